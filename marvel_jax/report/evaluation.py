"""Evaluating the policies of a saved run."""

from typing import Any

import jax
import numpy as np

from marvel_jax.config import RunConfig
from marvel_jax.evaluate import evaluate
from marvel_jax.pipeline import Pipeline
from marvel_jax.problem import from_environment
from marvel_jax.seeds import map_seeds
from marvel_jax.simulate import Simulator, actors_of
from marvel_jax.stages import problems

EPISODES_AT_ONCE = 5  # of each seed in a simulator


def evaluate_run(
    config: RunConfig, pipeline: Pipeline, stage: str, episodes: int, seed: int, simulator: str | None = None
) -> dict[str, Any]:
    """Fresh episodes of every seed's policy after a stage; ready for JSON.

    With a simulator, the same policies also play there, and `per_seed` entries have a second set of numbers under
    "simulator".

    Raises:
      UserError: If the run has no checkpoint of that stage, or the simulator cannot be used.
    """
    state = pipeline.restore(stage)

    env, hyper, seeds = pipeline.program.env, pipeline.batch.hyper, pipeline.labels["seed"]

    def of_one_seed(_, run):
        hyper, actor = run
        return evaluate(env, from_environment(env, hyper), actor, jax.random.key(seed), episodes)

    here = jax.device_get(jax.jit(map_seeds(of_one_seed))(None, (hyper, actors_of(state))))
    per_seed = [{"seed": number, **_numbers(here, row, config)} for row, number in enumerate(seeds)]
    if simulator is not None:
        with Simulator(env.spec, simulator, len(seeds), min(episodes, EPISODES_AT_ONCE)) as real:
            keys = jax.random.split(jax.random.key(seed), len(seeds))
            played = real.evaluate(problems(env.spec, hyper), actors_of(state), keys, episodes)
            there = jax.device_get(played)
        for row, entry in enumerate(per_seed):
            entry["simulator"] = _numbers(there, row, config)
    return {
        "task": config.task,
        "method": config.method,
        "stage": stage,
        "cost_limit": config.hyper.cost_limit,
        "episodes": episodes,
        "simulator": simulator,
        "per_seed": per_seed,
    }


def _numbers(result: Any, row: int, config: RunConfig) -> dict[str, float]:
    return {
        "reward": float(np.mean(result.reward[row])),
        "cost": float(np.mean(result.cost[row])),
        "share_over_limit": float(np.mean(result.cost[row] > config.hyper.cost_limit)),
        "sampled_reward": float(np.mean(result.sampled_reward[row])),
        "sampled_cost": float(np.mean(result.sampled_cost[row])),
    }
