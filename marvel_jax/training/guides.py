"""The frozen offline policy as a guide of a learner that starts from nothing.

Jump-start (JSRL, Uchendu et al., ICML 2023): the guide plays the first steps of every episode, the learner the rest;
the guide's share shrinks in stages, as long as the mixture does not lose.

Expansion (PEX, Zhang, Xu, Yu, ICLR 2023): guide and learner both propose an action, and the critics choose between
them with probabilities that grow with Q − λ·Q_c.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from flax import struct

from marvel_jax.core.networks import Params, Twins, aggregate, policy, twin_values
from marvel_jax.core.problem import Problem

STAGES = 10  # in which the guide's share of an episode shrinks to nothing
TOLERANCE = 0.05  # of the best Lagrangian return, that a stage may lose
INVERSE_TEMPERATURE = 10.0  # of the choice between proposals
RANDOM_CHOICE = 0.1  # ε, the share of choices that ask no critic


class State(struct.PyTreeNode):
    """What is kept of the guide.

    Attributes:
      kind: jump-start or expansion.
      params: The frozen policy.
      stage: `[]` how many stages of jump-start the guide has given up, 0 to `STAGES`.
      reward, cost: `[]` per episode, of the best stage so far; −∞ and 0 before the first.
      multiplier: `[]` λ of the latest iteration.
    """

    kind: Literal["jump-start", "expansion"] = struct.field(pytree_node=False)
    params: Params
    stage: jax.Array
    reward: jax.Array
    cost: jax.Array
    multiplier: jax.Array


class Guided(struct.PyTreeNode):
    """A learner with its guide: what acts in place of a policy's parameters."""

    learner: Params
    guide: State
    reward_twins: Twins
    cost_twins: Twins


def init(kind: Literal["jump-start", "expansion"], params: Params) -> State:
    """A guide that still plays whole episodes."""
    zero = jnp.zeros(())
    return State(kind, params, jnp.zeros((), jnp.int32), jnp.full((), -jnp.inf, jnp.float32), zero, zero)


def act(
    problem: Problem,
    guided: Guided,
    observation: jax.Array,
    time: jax.Array,
    key: jax.Array,
    mean_action: jax.Array,
) -> jax.Array:
    """`[E, action_size]` actions at step `time` `[]` of E episodes, at observations `[E, o]`.

    Where `mean_action` `[E]`, policies act with their mode and the better proposal is taken.
    """
    guide_key, learner_key, choice_key = jax.random.split(key, 3)

    def proposal(params: Params, key: jax.Array) -> jax.Array:
        distribution = policy(problem, params, observation)
        return jnp.where(mean_action[:, None], distribution.mode(), distribution.sample(key)[0])

    by_guide, by_learner = proposal(guided.guide.params, guide_key), proposal(guided.learner, learner_key)
    if guided.guide.kind == "jump-start":
        steps = problem.episode_length * (1 - guided.guide.stage / STAGES)
        return jnp.where(time < steps, by_guide, by_learner)

    proposals = jnp.stack([by_guide, by_learner])  # [2, E, a]
    repeated = jnp.broadcast_to(observation, (2, *observation.shape))
    score = aggregate(twin_values(problem, guided.reward_twins, repeated, proposals), "min")
    score -= guided.guide.multiplier * aggregate(twin_values(problem, guided.cost_twins, repeated, proposals), "max")
    choice = jax.random.categorical(choice_key, INVERSE_TEMPERATURE * score, axis=0)
    anything = jax.random.uniform(jax.random.fold_in(choice_key, 0), (2, len(observation)))
    choice = jnp.where(anything[0] < RANDOM_CHOICE, (anything[1] < 0.5).astype(choice.dtype), choice)
    choice = jnp.where(mean_action, jnp.argmax(score, axis=0), choice)
    return jnp.where((choice == 0)[:, None], by_guide, by_learner)


def update(problem: Problem, guide: State, reward: jax.Array, cost: jax.Array, multiplier: jax.Array) -> State:
    """After an iteration: jump-start moves on if the mixture's Lagrangian return held.

    The return J_R − λ·J_C (scaled reward) of this iteration is compared with that of the best stage, both at this
    iteration's λ.
    """

    def worth(reward: jax.Array, cost: jax.Array) -> jax.Array:
        return problem.reward_scale * reward - multiplier * cost

    now, best = worth(reward, cost), worth(guide.reward, guide.cost)
    held = now >= best - TOLERANCE * jnp.abs(best)
    held |= jnp.isinf(guide.reward)
    better = now >= best
    return guide.replace(
        stage=jnp.minimum(guide.stage + held, STAGES).astype(jnp.int32),
        reward=jnp.where(better, reward, guide.reward),
        cost=jnp.where(better, cost, guide.cost),
        multiplier=multiplier,
    )
