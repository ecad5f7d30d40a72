"""The methods that can be run, as data. Importable without JAX.

A method is a dictionary of hyperparameters, by dotted path, that differ from the defaults; the defaults are `marvel`.
docs/your-own-method.md shows how to add one.
"""

import difflib
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """A method.

    Attributes:
      summary: What it does, in a line.
      changes: Hyperparameters by dotted path.
      source: Where it comes from.
    """

    summary: str
    changes: dict[str, Any] = field(default_factory=dict)
    source: str = "this project"


# What this project adds to the paper's recipe, taken away: its step size, offset, setpoint and offline decay.
_PLAIN = {
    "step_size.policy_change": 0.0,
    "step_size.largest_boost": 1.0,
    "step_size.decay": 0.0,
    "control.offset": 0.0,
    "control.overshoot_factor": 0.0,
    "replay.offline_decay": 0.0,
    "method.multiplier_alignment": "off",
}
_OFFLINE_NETWORKS = {**_PLAIN, "method.critics": "offline"}
PAPER = {**_OFFLINE_NETWORKS, "method.offline_fraction": 0.0, "alignment.reward_aggregation": "min"}
NO_VALUE_ALIGNMENT = {"method.value_alignment": False}
_SCRATCH = {**_PLAIN, **NO_VALUE_ALIGNMENT, "method.actor": "random"}
MARVEL = "Marvel, arXiv 2412.04426"

METHODS: dict[str, Recipe] = {
    "marvel": Recipe(
        "offline policy, value pre-alignment from fresh critics, adaptive PID in the units of the pre-aligned "
        "multiplier, which starts above it, policy steps in proportion to its exploration noise, smaller towards the "
        "end; half of the first batch from the offline data, none from the middle of the budget on"
    ),
    "marvel-clone": Recipe(
        "marvel, but a clone of the data's safe episodes takes the place of an offline policy beyond twice the limit",
        {"pretrain.clone_beyond": 2.0},
    ),
    "marvel-paper": Recipe(
        "the paper's recipe: value pre-alignment from the offline critics, adaptive PID from λ = 0", PAPER, MARVEL
    ),
    "paper-fixed-multiplier": Recipe(
        "the paper's, with a fixed λ: gains.initial (marvel diagnose finds the best one)",
        {**PAPER, "method.multiplier": "fixed"},
        MARVEL,
    ),
    "warm-start": Recipe(
        "offline policy and critics, no alignment, half of each batch from the offline data",
        {**_OFFLINE_NETWORKS, **NO_VALUE_ALIGNMENT},
    ),
    "from-scratch": Recipe(
        "no offline stage or data: the online algorithm from random networks",
        {**_SCRATCH, "method.offline_fraction": 0.0},
    ),
    "rlpd": Recipe(
        "random networks, half of each batch from the offline data, layer-normalized critics",
        _SCRATCH,
        "RLPD, Ball et al., ICML 2023",
    ),
    "wsrl": Recipe(
        "offline policy and critics, 5,000 steps of that policy before the first update, no offline data",
        {**PAPER, **NO_VALUE_ALIGNMENT, "online.warmup_steps": 5_000},
        "WSRL, Zhou et al., ICLR 2025",
    ),
    "jsrl": Recipe(
        "random networks; the offline policy plays the first steps of episodes, fewer and fewer",
        {**_SCRATCH, "method.guide": "jump-start"},
        "JSRL, Uchendu et al., ICML 2023",
    ),
    "pex": Recipe(
        "random policy beside the frozen offline one; the critics choose between their actions",
        {**_SCRATCH, "method.guide": "expansion", "method.critics": "offline"},
        "PEX, Zhang, Xu, Yu, ICLR 2023",
    ),
    "so2": Recipe(
        "warm-start with noise on target actions and ten updates of the critics for each of the policy",
        {
            **_OFFLINE_NETWORKS,
            **NO_VALUE_ALIGNMENT,
            "sac.target_noise": 0.3,
            "sac.target_noise_clip": 0.6,
            "sac.critic_updates": 10,
        },
        "SO2, Zhang et al., AAAI 2024",
    ),
    "cal-ql": Recipe(
        "offline policy; conservative reward critics, calibrated by the returns seen, offline and online",
        {
            **_OFFLINE_NETWORKS,
            "alignment.reward_aggregation": "min",
            "alignment.conservatism": 1.0,
            "sac.conservatism": 1.0,
        },
        "Cal-QL, Nakamoto et al., NeurIPS 2023",
    ),
}


def named(name: str) -> Recipe:
    """A method by name.

    Raises:
      ValueError: If there is none; the message has the nearest name.
    """
    if name in METHODS:
        return METHODS[name]
    near = difflib.get_close_matches(name, METHODS, n=1, cutoff=0.4)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise ValueError(f"Unknown method {name!r}.{hint} Methods: {', '.join(METHODS)}. `marvel methods` explains them.")
