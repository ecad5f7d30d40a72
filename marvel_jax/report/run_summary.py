"""The result of a run as one JSON object."""

from importlib.metadata import version
from typing import Any

import chex
import numpy as np
from marvel_envs.tasks import TaskSpec

from marvel_jax.config.run_config import RunConfig
from marvel_jax.report.statistics import summary
from marvel_jax.runs.metrics import curves, violation
from marvel_jax.training.evaluate import Evaluation

PACKAGES = ("marvel-jax", "jax", "jaxlib", "flax", "optax", "brax", "flashbax", "numpy")


def normalized_cost(cost: chex.Array, limit: float) -> chex.Array:
    """Cost as a share of the limit, with DSRL's rule for a limit of 0."""
    epsilon = 1.0 if limit == 0 else 0.0
    return (cost + epsilon) / (limit + epsilon)


def summarize(
    config: RunConfig,
    task: TaskSpec,
    rows: list[dict[str, Any]],
    offline: Evaluation,
    final: Evaluation,
    seconds: dict[str, float],
    device: str,
) -> dict[str, Any]:
    """All of `summary.json`. Rewards and costs are per episode; `final` is the deterministic policy."""
    hyper = config.hyper
    limit = config.cost_limit
    _, online_cost = curves(rows, "finetune", "cost")
    reward, cost = final.reward.mean(axis=1), final.cost.mean(axis=1)
    episodes = hyper.online.iterations * hyper.online.episodes
    steps = {
        "pretrain": max((r["iteration"] for r in rows if r["stage"] == "pretrain"), default=0),
        "align": max((r["iteration"] for r in rows if r["stage"] == "align"), default=0),
        "finetune": hyper.online.iterations * hyper.online.updates,
    }
    return {
        "task": config.task,
        "method": config.method,
        "simulator": config.simulator,
        "cost_limit": limit,
        "seeds": list(range(config.first_seed, config.first_seed + config.seeds)),
        "online_episodes": episodes,
        "environment_steps": episodes * task.episode_length,
        "gradient_steps": sum(steps.values()),
        "gradient_steps_by_stage": steps,
        "per_seed": {
            "reward": reward.tolist(),
            "cost": cost.tolist(),
            "sampled_reward": final.sampled_reward.mean(axis=1).tolist(),
            "sampled_cost": final.sampled_cost.mean(axis=1).tolist(),
            "offline_reward": offline.reward.mean(axis=1).tolist(),
            "offline_cost": offline.cost.mean(axis=1).tolist(),
            "violation": violation(online_cost, limit).tolist(),
        },
        "final": {
            "reward": summary(reward),
            "cost": summary(cost),
            "normalized_reward": summary(task.normalized_reward(reward)),
            "normalized_cost": summary(normalized_cost(cost, limit)),
        },
        "final_sampled": {
            "reward": summary(final.sampled_reward.mean(axis=1)),
            "cost": summary(final.sampled_cost.mean(axis=1)),
        },
        "offline": {
            "reward": summary(offline.reward.mean(axis=1)),
            "cost": summary(offline.cost.mean(axis=1)),
        },
        "safe_seeds": int(np.sum(cost <= limit)),
        "violation": float(violation(online_cost, limit).mean()),
        "evaluation_episodes": hyper.evaluation_episodes,
        "first_gains": {name: getattr(hyper.gains, name) for name in ("proportional", "integral", "derivative")},
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "versions": {name: version(name) for name in PACKAGES},
        "device": device,
    }
