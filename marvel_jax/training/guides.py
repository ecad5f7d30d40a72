"""The frozen offline policy as a guide of a learner that starts from nothing.

Jump-start: the guide plays the first steps of every episode, the learner the rest. Of T steps the guide has
T·(1 − stage/`STAGES`); the stage goes up by one after every iteration whose Lagrangian return J_R − λ·J_C is no less
than that of the best stage so far, within a tolerance.

Expansion: guide and learner both propose an action, and the critics choose between them with probabilities
∝ exp(τ⁻¹·(min Q − λ·max Q_c)).

Sources: JSRL, Uchendu et al., ICML 2023; PEX, Zhang, Xu, Yu, ICLR 2023.
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import struct

from marvel_jax.core.acting import ActingPolicy, NetworkPolicy, propose
from marvel_jax.core.networks import Networks, Params, Twins, aggregate
from marvel_jax.core.problem import Problem

STAGES = 10  # in which the guide's share of an episode shrinks to nothing
TOLERANCE = 0.05  # of the best Lagrangian return, that a stage may lose
INVERSE_TEMPERATURE = 10.0  # τ⁻¹ of the choice between proposals
RANDOM_CHOICE = 0.1  # ε, the share of choices that ask no critic

Kind = Literal["jump-start", "expansion"]


class State(struct.PyTreeNode):
    """What is kept of the guide.

    Attributes:
      kind: jump-start or expansion.
      params: The frozen policy.
      stage: `[]` how many stages of jump-start the guide has given up, 0 to `STAGES`.
      reward, cost: `[]` per episode, of the best stage so far; −∞ and 0 before the first.
      multiplier: `[]` λ of the latest iteration.
    """

    kind: Kind = struct.field(pytree_node=False)
    params: Params
    stage: jax.Array
    reward: jax.Array
    cost: jax.Array
    multiplier: jax.Array


class JumpStart(struct.PyTreeNode):
    """An acting policy: the guide first, then the learner (see `State` and `core.acting`)."""

    learner: Params
    guide: Params
    stage: jax.Array

    def act(
        self,
        problem: Problem,
        networks: Networks,
        observation: jax.Array,
        time: jax.Array,
        key: jax.Array,
        mean_action: jax.Array,
    ) -> jax.Array:
        """As in `ActingPolicy`."""
        guide_key, learner_key, _ = jax.random.split(key, 3)
        by_guide = propose(networks, self.guide, observation, guide_key, mean_action)
        by_learner = propose(networks, self.learner, observation, learner_key, mean_action)
        return jnp.where(time < problem.episode_length * (1 - self.stage / STAGES), by_guide, by_learner)


class Expansion(struct.PyTreeNode):
    """An acting policy: the critics choose between the guide's and the learner's proposal (see `core.acting`)."""

    learner: Params
    guide: Params
    multiplier: jax.Array
    reward_twins: Twins
    cost_twins: Twins

    def act(
        self,
        problem: Problem,
        networks: Networks,
        observation: jax.Array,
        time: jax.Array,
        key: jax.Array,
        mean_action: jax.Array,
    ) -> jax.Array:
        """As in `ActingPolicy`; where `mean_action`, the better proposal is taken."""
        del problem, time
        guide_key, learner_key, choice_key = jax.random.split(key, 3)
        by_guide = propose(networks, self.guide, observation, guide_key, mean_action)
        by_learner = propose(networks, self.learner, observation, learner_key, mean_action)
        score = self._score(networks, observation, jnp.stack([by_guide, by_learner]))
        choice = jax.random.categorical(choice_key, INVERSE_TEMPERATURE * score, axis=0)
        anything = jax.random.uniform(jax.random.fold_in(choice_key, 0), (2, len(observation)))
        choice = jnp.where(anything[0] < RANDOM_CHOICE, (anything[1] < 0.5).astype(choice.dtype), choice)
        choice = jnp.where(mean_action, jnp.argmax(score, axis=0), choice)
        return jnp.where((choice == 0)[:, None], by_guide, by_learner)

    def _score(self, networks: Networks, observation: jax.Array, proposals: jax.Array) -> jax.Array:
        """min Q − λ·max Q_c `[2, E]` of proposals `[2, E, action_size]`."""
        repeated = jnp.broadcast_to(observation, (2, *observation.shape))
        reward_value = aggregate(networks.twin_values(self.reward_twins, repeated, proposals), "min")
        cost_value = aggregate(networks.twin_values(self.cost_twins, repeated, proposals), "max")
        return reward_value - self.multiplier * cost_value


def init(kind: Kind, params: Params) -> State:
    """A guide that still plays whole episodes."""
    zero = jnp.zeros(())
    return State(kind, params, jnp.zeros((), jnp.int32), jnp.full((), -jnp.inf, jnp.float32), zero, zero)


def acting(guide: State | None, learner: Any) -> ActingPolicy:
    """What plays episodes while an online algorithm's state `learner` is trained, with a guide or alone."""
    if guide is None:
        return NetworkPolicy(learner.actor.params)
    if guide.kind == "jump-start":
        return JumpStart(learner.actor.params, guide.params, guide.stage)
    twins = learner.reward_critic.params, learner.cost_critic.params
    return Expansion(learner.actor.params, guide.params, guide.multiplier, *twins)


def update(problem: Problem, guide: State, reward: jax.Array, cost: jax.Array, multiplier: jax.Array) -> State:
    """After an iteration: jump-start moves on if the mixture's Lagrangian return held.

    Args:
      problem: The reward scale.
      guide: From `init` or `update`.
      reward, cost: `[]` J_R and J_C of this iteration.
      multiplier: `[]` λ of this iteration, at which it is compared with the best stage.
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
