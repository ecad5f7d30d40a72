"""What to tell a user of the policies that finetuning starts from, before the online budget is spent on them."""

import numpy as np

from marvel_jax.config.hyper import Hyper
from marvel_jax.training.evaluate import Evaluation

FAR_OVER = 2.0  # times the cost limit


def of_start(hyper: Hyper, limit: float, start: Evaluation) -> str:
    """Reward and cost of these policies; where they are far over the limit, what measured better than to go on.

    Args:
      hyper: Of the runs.
      limit: Their cost limit.
      start: Episodes of their policies, `[runs, episodes]`.
    """
    reward, cost = float(np.mean(start.reward)), float(np.mean(start.cost))
    said = f"starting from reward {reward:.0f}, cost {cost:.1f} (limit {limit:g})"
    cloned = hyper.algorithm == "bc-safe" or hyper.pretrain.clone_beyond or hyper.method.actor == "random"
    if cost <= FAR_OVER * max(limit, 1.0) or cloned or hyper.method.critics == "offline":
        return said
    return (
        f"{said}: far over the limit. From there a clone of the data's safe episodes was the better start: "
        f"--pretrain.clone-beyond {FAR_OVER:g} (docs/results.md)"
    )


def of_clones(hyper: Hyper, cloned: np.ndarray) -> str:
    """How many policies were replaced: `cloned` `[runs]` is 1 where one was."""
    return (
        f"{int(np.sum(cloned))} of {len(cloned)} policies cost more than {hyper.pretrain.clone_beyond:g} times the "
        "limit and gave way to a clone of the data's safe episodes"
    )
