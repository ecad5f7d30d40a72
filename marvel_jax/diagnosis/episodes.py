"""Single episodes of a run's policies, with all of their physics: what pictures and viewers show."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from marvel_envs.base import SafetyEnv

from marvel_jax.core.acting import ActingPolicy
from marvel_jax.core.rollouts import Rollout
from marvel_jax.runs.pipeline import Pipeline
from marvel_jax.training import rollout
from marvel_jax.training.stages import FINETUNE, Setting, setting_of

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
    acting = {"offline": outcome.offline_policies, "finetuned": outcome.states[FINETUNE].acting}
    return {name: _play(pipeline, policies, SHOWN_SEEDS) for name, policies in acting.items()}


def first_seed(pipeline: Pipeline, stage: str) -> Episode:
    """An episode of the first seed's policy after a stage, from the newest checkpoint.

    Raises:
      UserError: If the run has no checkpoint of that stage.
    """
    return _play(pipeline, pipeline.restore(stage).acting, 1)[0]


def _play(pipeline: Pipeline, policies: Any, count: int) -> list[Episode]:
    """An episode of each of the first `count` policies."""
    env = pipeline.program.env
    setting = setting_of(env.spec, pipeline.program.hyper)
    return play(env, setting, jax.tree.map(lambda x: x[:count], policies), jax.random.key(START_KEY))


def play(env: SafetyEnv, setting: Setting, policies: Any, key: jax.Array) -> list[Episode]:
    """One episode with the mean action for every acting policy in a batch (axis 0), all from the same start."""

    def one(policy: ActingPolicy) -> Rollout:
        mean_action = jnp.array([True])
        return rollout.episodes(env, setting.problem, setting.online, policy, key, mean_action, record_physics=True)

    count = jax.tree.leaves(policies)[0].shape[0]
    run = jax.jit(one)
    return [_episode(run(jax.tree.map(lambda x, k=k: x[k], policies))) for k in range(count)]


def _episode(played: Rollout) -> Episode:
    ended = np.flatnonzero(np.asarray(played.ended)[:, 0])
    length = int(ended[0]) + 1 if len(ended) else len(played.ended)
    physics, cost = jax.device_get((played.physics, played.transitions.cost))
    return Episode(jax.tree.map(lambda x: x[:length, 0], physics), cost[:length, 0], float(played.reward[0]))
