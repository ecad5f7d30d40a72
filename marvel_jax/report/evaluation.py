"""Evaluating the policies of a saved run."""

from typing import Any

import jax
import numpy as np

from marvel_jax.config import RunConfig
from marvel_jax.console import Reporter
from marvel_jax.evaluate import evaluate
from marvel_jax.pipeline import Pipeline
from marvel_jax.problem import from_environment
from marvel_jax.runfolder import RunFolder
from marvel_jax.seeds import map_seeds


def evaluate_run(config: RunConfig, folder: RunFolder, stage: str, episodes: int, seed: int) -> dict[str, Any]:
    """Fresh episodes of every seed's policy after a stage; ready for JSON.

    Raises:
      UserError: If the run has no checkpoint of that stage.
    """
    pipeline = Pipeline(config, folder, Reporter(quiet=True))
    state = pipeline.restore(stage)

    def of_one_seed(shared, learner):
        problem = from_environment(pipeline.env, shared.hyper)
        return evaluate(pipeline.env, problem, learner.actor.params, jax.random.key(seed), episodes)

    result = jax.device_get(jax.jit(map_seeds(of_one_seed))(pipeline.shared, state.learner))
    per_seed = [
        {
            "seed": number,
            "reward": float(np.mean(result.reward[row])),
            "cost": float(np.mean(result.cost[row])),
            "share_over_limit": float(np.mean(result.cost[row] > config.hyper.cost_limit)),
            "sampled_reward": float(np.mean(result.sampled_reward[row])),
            "sampled_cost": float(np.mean(result.sampled_cost[row])),
        }
        for row, number in enumerate(pipeline.seeds)
    ]
    return {
        "task": config.task,
        "method": config.method,
        "stage": stage,
        "cost_limit": config.hyper.cost_limit,
        "episodes": episodes,
        "per_seed": per_seed,
    }
