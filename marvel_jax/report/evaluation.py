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

EPISODES_AT_ONCE = 5  # of each seed in a simulator


def evaluate_run(
    pipeline: Pipeline, stage: str, episodes: int, seed: int, simulator: str | None = None
) -> dict[str, Any]:
    """Fresh episodes of every seed's policy after a stage; ready for JSON.

    With a simulator, the same policies also play there, and `per_seed` entries have a second set of numbers under
    "simulator".

    Raises:
      UserError: If the run has no checkpoint of that stage, or the simulator cannot be used.
    """
    config = pipeline.config
    state = pipeline.restore(stage)

    def of_one_seed(shared, learner):
        problem = from_environment(pipeline.env, shared.hyper)
        return evaluate(pipeline.env, problem, learner.actor.params, jax.random.key(seed), episodes)

    here = jax.device_get(jax.jit(map_seeds(of_one_seed))(pipeline.shared, state.learner))
    per_seed = [{"seed": number, **_numbers(here, row, config)} for row, number in enumerate(pipeline.seeds)]
    if simulator is not None:
        with Simulator(pipeline.env.spec, simulator, len(pipeline.seeds), min(episodes, EPISODES_AT_ONCE)) as real:
            problem, keys = from_environment(pipeline.env, pipeline.shared.hyper), jax.random.key(seed)
            keys = jax.random.split(keys, len(pipeline.seeds))
            there = jax.device_get(real.evaluate(problem, actors_of(state), keys, episodes))
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
