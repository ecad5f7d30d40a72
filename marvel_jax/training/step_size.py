"""How far the policy moves in an iteration, which is between two measurements of its cost.

What step size suits a task depends on how its cost changes with the actions. The policy's exploration noise says by how
much actions may differ: what a policy might have done, it was seen to do. So it is not the learning rate that is set
but how far the mean action should move, in deviations of that noise; after every iteration the learning rate is
corrected by how far it did. With the wanted change Δ* = scale·`policy_change` and the measured one Δ
(`algorithms.online.policy_change`),

    factor ← factor·clip(√(Δ*/Δ), ½, 2),   learning rate = factor·scale·`actor_learning_rate`,
    scale = min(1, (t + 1)/(warmup + 1))·(1 − decay·t/iterations + (largest_boost − 1)·excess),

t the iteration and excess how far costs stay over the limit, from 0 to 1 (`excess`).

This project's; PPO's adaptive KL penalty (Schulman et al., 2017) follows the policy's change in the same way.
"""

import jax
import jax.numpy as jnp
from flax import struct

from marvel_jax.config.training import StepSize
from marvel_jax.core.problem import Problem

RECENT = 5  # iterations whose costs say whether the policy is far over the limit
LARGEST_CORRECTION = 2.0  # of the factor, per iteration
RANGE = 1e3  # the learning rate stays within [1/RANGE, RANGE] times its start


class State(struct.PyTreeNode):
    """Memory of the step size.

    Attributes:
      factor: `[]` on the learning rate.
      recent_costs: `[RECENT]` episode costs of the latest iterations, oldest first; infinite before there were any.
    """

    factor: jax.Array
    recent_costs: jax.Array


def init() -> State:
    """The state before the first iteration."""
    return State(jnp.ones(()), jnp.full(RECENT, jnp.inf, jnp.float32))


def record_cost(state: State, episode_cost: jax.Array) -> State:
    """The state that knows the latest episode cost `[]`, too."""
    return state.replace(recent_costs=jnp.append(state.recent_costs[1:], episode_cost))


def step_scale(hyper: StepSize, problem: Problem, state: State, iteration: jax.Array, iterations: int) -> jax.Array:
    """`[]` how many times as far as usual the policy should move in iteration t of so many.

    Less while the critics meet online data, less towards the end of the budget, more far over the limit.
    """
    warmth = jnp.minimum(1.0, (iteration + 1) / (hyper.warmup + 1))
    decayed = 1 - hyper.decay * jnp.minimum(1.0, iteration / iterations)
    return warmth * (decayed + (hyper.largest_boost - 1) * excess(problem, state))


def excess(problem: Problem, state: State) -> jax.Array:
    """`[]` clip((min of recent J_C − d)/max(d, 1), 0, 1): how far costs stay over the limit; 1 is twice the limit.

    It is the least of the recent costs that counts: where cost is a cliff, a policy right below it, which needs small
    steps, has single iterations far over the limit.
    """
    over = (jnp.min(state.recent_costs) - problem.cost_limit) / jnp.maximum(problem.cost_limit, 1.0)
    return jnp.clip(over, 0.0, 1.0)


def adapt(state: State, changed: jax.Array, wanted: jax.Array | float) -> State:
    """Corrects the learning rate's factor after an iteration that changed the policy by `changed`; 0 `wanted` is none.

    By the square root of their ratio: steps that go back and forth add up less than in proportion.
    """
    correction = jnp.sqrt(wanted / jnp.maximum(changed, 1e-8))
    correction = jnp.clip(correction, 1 / LARGEST_CORRECTION, LARGEST_CORRECTION)
    factor = jnp.clip(state.factor * correction, 1 / RANGE, RANGE)
    return state.replace(factor=jnp.where((wanted > 0) & (changed > 0), factor, state.factor))
