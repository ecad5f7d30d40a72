"""The methods that can be run, as data. Importable without JAX.

A method is a dictionary of hyperparameters, by dotted path, that differ from the defaults; the defaults are `marvel`.
docs/your-own-method.md shows how to add one.
"""

import difflib
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, get_args

from marvel_jax.config.hyper import Hyper, OfflineName, override


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


_SET_STEP = {"online.policy_change": 0.0, "online.recovery": 1.0, "online.settling": 0.0}
_NO_FADING = {"online.offline_fading": 0.0}
_FIXED_MARGIN = {"gains.excursions": 0.0}
_PLAIN = {"gains.caution": 0.0, **_FIXED_MARGIN, **_SET_STEP, **_NO_FADING}
_NO_MPA = {"method.multiplier_alignment": "off", **_PLAIN}
_OFFLINE_NETWORKS = {**_NO_MPA, "method.critics": "offline"}
_PAPER = {**_OFFLINE_NETWORKS, "method.offline_fraction": 0.0, "alignment.reward_aggregation": "min"}
_NO_VPA = {"method.value_alignment": False}
_SCRATCH = {**_NO_MPA, **_NO_VPA, "method.actor": "random"}
_MARVEL = "Marvel, arXiv 2412.04426"

METHODS: dict[str, Recipe] = {
    "marvel": Recipe(
        "offline policy, value pre-alignment from fresh critics, adaptive PID in the units of the pre-aligned "
        "multiplier, which starts above it, policy steps in proportion to its exploration noise, smaller towards the "
        "end; half of the first batch from the offline data, none from the middle of the budget on"
    ),
    "marvel-fixed-step": Recipe(
        "marvel, but with the step size that is set, at any distance from the limit and at all times",
        _SET_STEP,
    ),
    "marvel-no-settling": Recipe("marvel, but the policy's steps stay as large to the end", {"online.settling": 0.0}),
    "marvel-no-caution": Recipe("marvel, but λ starts where the controller puts it", {"gains.caution": 0.0}),
    "marvel-fixed-margin": Recipe(
        "marvel, but it aims as far under the limit however little costs vary", _FIXED_MARGIN
    ),
    "marvel-no-fading": Recipe("marvel, but half of each batch is offline data to the end", _NO_FADING),
    "marvel-feed-forward": Recipe(
        "marvel, but the pre-aligned multiplier is only added to the controller's",
        {"method.multiplier_alignment": "feed-forward"},
    ),
    "marvel-initial": Recipe(
        "marvel, but the pre-aligned multiplier is only the first λ", {"method.multiplier_alignment": "initial"}
    ),
    "marvel-offline-critics": Recipe(
        "marvel, but value pre-alignment starts from the offline critics", {"method.critics": "offline"}
    ),
    "marvel-clone": Recipe(
        "marvel, but a clone of the data's safe episodes takes the place of an offline policy beyond twice the limit",
        {"pretrain.clone_beyond": 2.0},
    ),
    "marvel-paper": Recipe(
        "the paper's recipe: value pre-alignment from the offline critics, adaptive PID from λ = 0", _PAPER, _MARVEL
    ),
    "paper-fresh-critics": Recipe(
        "the paper's, but value pre-alignment starts from fresh critics", {**_PAPER, "method.critics": "random"}
    ),
    "paper-entropy": Recipe(
        "the paper's, with its entropy terms in value pre-alignment (its code leaves them out)",
        {**_PAPER, "alignment.reward_entropy": 0.01, "alignment.cost_entropy": 0.001},
        _MARVEL,
    ),
    "paper-aligned-multiplier": Recipe(
        "the paper's, with the pre-aligned multiplier as the first λ",
        {**_PAPER, "method.multiplier_alignment": "initial"},
    ),
    "paper-pid": Recipe("the paper's, with a PID of fixed gains", {**_PAPER, "method.multiplier": "pid"}, _MARVEL),
    "paper-dual-ascent": Recipe(
        "the paper's, with dual ascent for PID", {**_PAPER, "method.multiplier": "dual-ascent"}, _MARVEL
    ),
    "paper-fixed-multiplier": Recipe(
        "the paper's, with a fixed λ: gains.initial (marvel diagnose finds the best one)",
        {**_PAPER, "method.multiplier": "fixed"},
        _MARVEL,
    ),
    "adaptive-pid-alone": Recipe(
        "the paper's without value pre-alignment: offline policy and critics, adaptive PID",
        {**_PAPER, **_NO_VPA},
        _MARVEL,
    ),
    "warm-start": Recipe(
        "offline policy and critics, no alignment, half of each batch from the offline data",
        {**_OFFLINE_NETWORKS, **_NO_VPA},
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
        {**_PAPER, **_NO_VPA, "online.warmup_steps": 5_000},
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
            **_NO_VPA,
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


def apply(hyper: Hyper, name: str) -> Hyper:
    """`hyper` with a method's changes; what only other methods change returns to its default.

    Raises:
      ValueError: As `named`.
    """
    touched = {path for recipe in METHODS.values() for path in recipe.changes}
    defaults = {path: attrgetter(path)(Hyper()) for path in touched}
    return override(hyper, **{**defaults, **named(name).changes})


# What cannot go together, and why. Each reads the static fields of `Hyper`.
_WITHOUT_CRITICS = ("coptidice", "bc", "bc-safe")


def conflict(hyper: Hyper) -> str | None:
    """Why these hyperparameters' algorithms and method cannot go together, with what could; None if they can."""
    method, online = hyper.method, hyper.online_algorithm
    if method.critics == "offline" and hyper.algorithm in _WITHOUT_CRITICS:
        having = ", ".join(name for name in get_args(OfflineName) if name not in _WITHOUT_CRITICS)
        starting = ", ".join(n for n, r in METHODS.items() if r.changes.get("method.critics") != "offline")
        return (
            f"this method starts from offline critics, and {hyper.algorithm} has none. Offline algorithms with "
            f"critics: {having}. Methods that do without: {starting}."
        )
    if online == "ppo-lag":
        others = " Online algorithms that can: sac-lag, td3-lag."
        if method.guide != "none":
            return (
                f"ppo-lag learns from its own actions alone, and this method acts with the offline policy too.{others}"
            )
        if method.actor == "random" and method.offline_fraction > 0:
            return f"ppo-lag learns from its own episodes alone, and this method is about offline data.{others}"
        if hyper.online.mean_action_episodes:
            return f"ppo-lag cannot learn from episodes of the mean action (online.mean_action_episodes).{others}"
        if hyper.sac.critic_updates > 1 or hyper.sac.conservatism > 0:
            return f"ppo-lag has no Q-functions, and this method is about theirs.{others}"
    if online == "td3-lag" and (hyper.sac.critic_updates > 1 or hyper.sac.conservatism > 0):
        return "this method changes sac-lag's critics, which td3-lag does not have. Online algorithm that can: sac-lag."
    return None
