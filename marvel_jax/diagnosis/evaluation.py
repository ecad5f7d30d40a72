"""Evaluating the policies of a saved run."""

from dataclasses import asdict, dataclass
from typing import Any

import jax
import numpy as np

from marvel_jax.config.run import RunConfig
from marvel_jax.core.seeds import map_seeds
from marvel_jax.diagnosis import bounds
from marvel_jax.runs.pipeline import Pipeline
from marvel_jax.runs.simulator import Simulator, settings_of
from marvel_jax.training.evaluate import evaluate
from marvel_jax.training.stages import PRETRAIN, setting_of

EPISODES_AT_ONCE = 5  # of each seed in a simulator


@dataclass(frozen=True)
class Question:
    """What is asked of the deployed (mean) policies.

    Attributes:
      confidence: Of each bound, one-sided.
      risk: Share of episodes that may exceed the limit.
    """

    confidence: float = 0.95
    risk: float = 0.1


def evaluate_run(
    config: RunConfig,
    pipeline: Pipeline,
    stage: str,
    episodes: int,
    seed: int,
    simulator: str | None = None,
    question: Question = Question(),
) -> dict[str, Any]:
    """Fresh episodes of every seed's policy after a stage, and what they say of its safety; ready for JSON.

    With a simulator, the same policies also play there, and `per_seed` entries have a second set of numbers under
    "simulator".

    Raises:
      UserError: If the run has no checkpoint of that stage, or the simulator cannot be used.
    """
    state = pipeline.restore(stage)

    env, hyper, seeds = pipeline.program.env, pipeline.batch.hyper, pipeline.labels["seed"]

    def of_one_seed(_, run):
        hyper, policy = run
        problem, offline, online = setting_of(env.spec, hyper)
        networks = offline if stage == PRETRAIN else online
        return evaluate(env, problem, networks, policy, jax.random.key(seed), episodes)

    here = jax.device_get(jax.jit(map_seeds(of_one_seed))(None, (hyper, state.acting)))
    per_seed = [
        {"seed": number, **_numbers(here, row, config, env.spec.episode_length, question)}
        for row, number in enumerate(seeds)
    ]
    if simulator is not None:
        with Simulator(env.spec, simulator, len(seeds), min(episodes, EPISODES_AT_ONCE)) as real:
            keys = jax.random.split(jax.random.key(seed), len(seeds))
            played = real.evaluate(settings_of(env.spec, hyper), state.acting, keys, episodes)
            there = jax.device_get(played)
        for row, entry in enumerate(per_seed):
            entry["simulator"] = _numbers(there, row, config, env.spec.episode_length, question)
    return {
        "task": config.task,
        "method": config.method,
        "stage": stage,
        "cost_limit": config.cost_limit,
        "episodes": episodes,
        "simulator": simulator,
        "confidence": question.confidence,
        "risk": question.risk,
        "per_seed": per_seed,
    }


def _numbers(result: Any, row: int, config: RunConfig, episode_length: int, question: Question) -> dict[str, Any]:
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
