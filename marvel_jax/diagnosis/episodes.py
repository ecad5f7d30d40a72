"""Single episodes of a run's policies, with all of their physics: what pictures and viewers show."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from marvel_envs.base import SafetyEnv

from marvel_jax.core.networks import Params
from marvel_jax.core.problem import Problem, from_environment
from marvel_jax.runs.pipeline import Pipeline
from marvel_jax.runs.simulator import actors_of
from marvel_jax.training import rollout
from marvel_jax.training.stages import FINETUNE

SHOWN_SEEDS = 4  # more lines than that cannot be told apart
START_KEY = 7  # every policy starts from the same place


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


def before_and_after(pipeline: Pipeline) -> dict[str, list[Episode]]:
    """Episodes of the first seeds' policies before finetuning ("offline") and after it ("finetuned").

    The pipeline has just finetuned.
    """
    outcome = pipeline.outcome
    actors = {"offline": outcome.offline_actors, "finetuned": actors_of(outcome.states[FINETUNE])}
    return {name: _play(pipeline, policies, SHOWN_SEEDS) for name, policies in actors.items()}


def first_seed(pipeline: Pipeline, stage: str) -> Episode:
    """An episode of the first seed's policy after a stage, from the newest checkpoint.

    Raises:
      UserError: If the run has no checkpoint of that stage.
    """
    return _play(pipeline, actors_of(pipeline.restore(stage)), 1)[0]


def _play(pipeline: Pipeline, actors: Any, count: int) -> list[Episode]:
    """An episode of each of the first `count` policies."""
    env = pipeline.program.env
    problem = from_environment(env, pipeline.program.hyper)
    return play(env, problem, jax.tree.map(lambda x: x[:count], actors), jax.random.key(START_KEY))


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
