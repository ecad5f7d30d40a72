"""What is compared: methods, kinds of start, seeds, budgets."""

from typing import Any

from marvel_jax.config.tasks import find_task

DEFAULT, FROM_FAR = "marvel", "marvel-clone"  # the latter where policies may be far over the limit
# This project's methods have their defaults everywhere.
OWN = (
    DEFAULT,
    "marvel-no-decay",
    "marvel-no-offset",
    "marvel-fixed-step",
    "marvel-fixed-margin",
    "marvel-no-offline-decay",
    "marvel-feed-forward",
    "marvel-initial",
    "marvel-offline-critics",
    FROM_FAR,
)
TUNED = (
    "marvel-paper",
    "warm-start",
    "from-scratch",
    "rlpd",
    "wsrl",
    "jsrl",
    "pex",
    "so2",
    "cal-ql",
    "paper-fixed-multiplier",
)
# What differs from the paper's in one part only has its settings.
LIKE_PAPER = (
    "paper-fresh-critics",
    "paper-entropy",
    "paper-aligned-multiplier",
    "paper-pid",
    "paper-dual-ascent",
    "adaptive-pid-alone",
)
MANY_SEEDS = (DEFAULT, "warm-start", "from-scratch")
# On tasks without a search.
UNTUNED = (
    DEFAULT,
    "marvel-no-decay",
    "marvel-no-offset",
    "marvel-fixed-step",
    "marvel-fixed-margin",
    "marvel-no-offline-decay",
    "marvel-paper",
    "warm-start",
    "wsrl",
    "from-scratch",
)
# Offline policies that break the limit: one that imitates the data, most of which do; and an unfinished one.
UNSAFE = {"BallCircle": {"cpq.imitation_weight": 100.0}, "BallRun": {"pretrain.updates": 2_500}}
SEEDS, EPISODES = 8, 500  # online, of preset cpu


def reduced(task: str) -> dict[str, Any]:
    """Fewer seeds and iterations where episodes have 1,000 steps; nothing elsewhere."""
    return {"seeds": 4, "iterations": 50} if find_task(task).family == "velocity" else {}
