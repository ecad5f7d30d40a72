"""Single episodes of saved policies, with all of their physics: what pictures and viewers show."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from marvel_envs.base import SafetyEnv

from marvel_jax.core.networks import Params
from marvel_jax.core.problem import Problem
from marvel_jax.training import rollout


class Episode(NamedTuple):
    """One episode of T steps.

    Attributes:
      physics: Before each step, `[T, ...]`.
      cost: `[T]` of each step.
      reward: `[]` of the episode.
    """

    physics: Any
    cost: np.ndarray
    reward: float


def play(env: SafetyEnv, problem: Problem, actors: Params, key: jax.Array) -> list[Episode]:
    """One episode with the mean action for every policy in a batch (axis 0), all from the same start."""

    def one(actor: Params):
        return rollout.episodes(env, problem, actor, key, jnp.array([True]), record_physics=True)

    count = jax.tree.leaves(actors)[0].shape[0]
    run = jax.jit(one)
    return [_episode(run(jax.tree.map(lambda x, k=k: x[k], actors))) for k in range(count)]


def _episode(played: rollout.Rollout) -> Episode:
    ended = np.flatnonzero(np.asarray(played.ended)[:, 0])
    length = int(ended[0]) + 1 if len(ended) else len(played.ended)
    physics, cost = jax.device_get((played.physics, played.transitions.cost))
    return Episode(jax.tree.map(lambda x: x[:length, 0], physics), cost[:length, 0], float(played.reward[0]))
