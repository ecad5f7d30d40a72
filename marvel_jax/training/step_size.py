"""How far the policy moves in an iteration, which is between two looks at its cost.

What step size suits a task depends on how its cost changes with the actions. The policy's exploration noise says by how
much actions may differ: what a policy might have done, it was seen to do. So it is not the learning rate that is set
but how far the mean action should move, in deviations of that noise; after every iteration the learning rate is
corrected by how far it did. Far over the limit, where the reason for small steps is absent, it is to move farther;
towards the end of the budget less and less, so that the policy that remains is not that of one last large step.

This project's; PPO's adaptive KL penalty (Schulman et al., 2017) follows the policy's change in the same way. See
docs/parts.md.
"""

import jax
import jax.numpy as jnp
from flax import struct

from marvel_jax.config.hyper import Online
from marvel_jax.core.networks import Params, policy
from marvel_jax.core.problem import Problem

RECENT = 5  # iterations whose costs say whether the policy is far over the limit
LARGEST_CORRECTION = 2.0  # ratio of wanted to measured that counts, per iteration
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


def see(state: State, episode_cost: jax.Array) -> State:
    """The state that knows the latest episode cost `[]`, too."""
    return state.replace(recent_costs=jnp.append(state.recent_costs[1:], episode_cost))


def urgency(hyper: Online, problem: Problem, state: State, iteration: jax.Array) -> jax.Array:
    """`[]` how many times as far as usual the policy should move: less while critics meet online data, less towards the
    end of the budget, more far over the limit."""
    warmth = jnp.minimum(1.0, (iteration + 1) / (hyper.actor_warmup + 1))
    settled = 1 - hyper.settling * jnp.minimum(1.0, iteration / hyper.iterations)
    return warmth * (settled + (hyper.recovery - 1) * distance(problem, state))


def distance(problem: Problem, state: State) -> jax.Array:
    """`[]` how far costs stay over the limit, from 0 to 1 at twice the limit or more.

    It is the least of the recent costs that counts: where cost is a cliff, a policy right below it, which needs small
    steps, has single iterations far over the limit.
    """
    excess = (jnp.min(state.recent_costs) - problem.cost_limit) / jnp.maximum(problem.cost_limit, 1.0)
    return jnp.clip(excess, 0.0, 1.0)


def change(problem: Problem, before: Params, after: Params, observation: jax.Array) -> jax.Array:
    """`[]` how far the policy's mean action moved at `[..., observation_size]`, in deviations of its exploration noise.

    Root mean squares, both in actions: those of the mean action's difference, and of one standard deviation around an
    action of 0. (Noise around saturated actions is smaller; but the steps of a policy that saturates need not be.)
    """
    distribution = policy(problem, before, observation)
    difference = policy(problem, after, observation).mode() - distribution.mode()
    deviation = jnp.tanh(jnp.exp(distribution.log_std))
    return jnp.sqrt(jnp.mean(difference**2) / jnp.mean(deviation**2))


def follow(state: State, changed: jax.Array, wanted: jax.Array | float) -> State:
    """Corrects the learning rate after an iteration that changed the policy by `changed`; not if `wanted` is 0.

    The square root of their ratio: steps that go back and forth add up less than in proportion.
    """
    correction = jnp.sqrt(wanted / jnp.maximum(changed, 1e-8))
    correction = jnp.clip(correction, 1 / LARGEST_CORRECTION, LARGEST_CORRECTION)
    factor = jnp.clip(state.factor * correction, 1 / RANGE, RANGE)
    return state.replace(factor=jnp.where((wanted > 0) & (changed > 0), factor, state.factor))
