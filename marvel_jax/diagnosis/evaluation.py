"""Evaluating the policies of a saved run."""

from dataclasses import asdict, dataclass
from typing import Any

import jax
import numpy as np

from marvel_jax.config.run_config import RunConfig
from marvel_jax.core.seeds import map_seeds
from marvel_jax.diagnosis import bounds
from marvel_jax.runs.pipeline import Pipeline
from marvel_jax.runs.simulator import Simulator, settings_of
from marvel_jax.training.evaluate import evaluate
from marvel_jax.training.stages import FINETUNE, PRETRAIN, setting_of

EPISODES_AT_ONCE = 5  # of each seed in a simulator


@dataclass(frozen=True)
class Question:
    """What is asked of a run's policies.

    Attributes:
      stage: After which the policies are played.
      episodes: Of each seed, with the mean action and as many sampled.
      seed: Of the episodes.
      simulator: A real simulator that they are played in as well; None is this package's environment alone.
      confidence: Of each bound, one-sided.
      risk: Share of the mean policy's episodes that may exceed the limit.
    """

    stage: str = FINETUNE
    episodes: int = 100
    seed: int = 1_000_000
    simulator: str | None = None
    confidence: float = 0.95
    risk: float = 0.1


def evaluate_run(config: RunConfig, pipeline: Pipeline, question: Question) -> dict[str, Any]:
    """Fresh episodes of every seed's policy after a stage, and what they say of its safety; ready for JSON.

    With a simulator, the same policies also play there, and `per_seed` entries have a second set of numbers under
    "simulator".

    Raises:
      UserError: If the run has no checkpoint of that stage, or the simulator cannot be used.
    """
    policies = pipeline.restore(question.stage).acting
    length = pipeline.program.env.spec.episode_length
    here = _here(pipeline, policies, question)
    per_seed = [
        {"seed": number, **_numbers(here, row, config, length, question)}
        for row, number in enumerate(pipeline.labels["seed"])
    ]
    if question.simulator is not None:
        there = _in_simulator(pipeline, policies, question, question.simulator)
        for row, entry in enumerate(per_seed):
            entry["simulator"] = _numbers(there, row, config, length, question)
    return {
        "task": config.task,
        "method": config.method,
        "stage": question.stage,
        "cost_limit": config.cost_limit,
        "episodes": question.episodes,
        "simulator": question.simulator,
        "confidence": question.confidence,
        "risk": question.risk,
        "per_seed": per_seed,
    }


def _here(pipeline: Pipeline, policies: Any, question: Question) -> Any:
    """Episodes in this package's environment, `[seeds, episodes]`; every seed's start alike."""
    env = pipeline.program.env

    def of_one_seed(_, run):
        hyper, policy = run
        problem, offline, online = setting_of(env.spec, hyper)
        networks = offline if question.stage == PRETRAIN else online
        return evaluate(env, problem, networks, policy, jax.random.key(question.seed), question.episodes)

    return jax.device_get(jax.jit(map_seeds(of_one_seed))(None, (pipeline.batch.hyper, policies)))


def _in_simulator(pipeline: Pipeline, policies: Any, question: Question, simulator: str) -> Any:
    """Episodes in a real simulator, `[seeds, episodes]`."""
    spec, seeds = pipeline.program.env.spec, len(pipeline.labels["seed"])
    keys = jax.random.split(jax.random.key(question.seed), seeds)
    with Simulator(spec, simulator, seeds, min(question.episodes, EPISODES_AT_ONCE)) as real:
        setting = settings_of(spec, pipeline.batch.hyper)
        return jax.device_get(real.evaluate(setting, policies, keys, question.episodes))


def _numbers(result: Any, row: int, config: RunConfig, episode_length: int, question: Question) -> dict[str, Any]:
    """What a seed's episodes say."""
    cost, limit = result.cost[row], config.cost_limit
    # A step costs at most 1, so an episode at most its length.
    expected = bounds.expected_cost(cost, limit, float(episode_length), question.confidence)
    exceedance = bounds.exceedance(cost, limit, question.risk, question.confidence)
    return {
        "expected_cost": asdict(expected),
        "exceedance": asdict(exceedance),
        "reward": float(np.mean(result.reward[row])),
        "cost": float(np.mean(cost)),
        "share_over_limit": float(np.mean(cost > limit)),
        "sampled_reward": float(np.mean(result.sampled_reward[row])),
        "sampled_cost": float(np.mean(result.sampled_cost[row])),
    }
