"""Settings of a method that comparison.py puts side by side: a list of points per study."""

from typing import Any

_LESS = {"gains.proportional": 0.5, "gains.margin": 0.25}
_NO_SETTLING = {"online.settling": 0.0}
_SET_STEP = {"online.policy_change": 0.0, **_NO_SETTLING}  # what was measured before there was anything else
# Of the default method where nothing else is said, from safe starts.
STUDIES: dict[str, list[dict[str, Any]]] = {
    "gains": [
        {"gains.proportional": 1.5},
        {"gains.proportional": 0.5},
        _LESS,
        {**_LESS, "gains.integral": 0.03},
    ],
    "twins": [{"alignment.reward_aggregation": how} for how in ("min", "mean")],
    "caution": [
        {
            "gains.caution": caution,
            "gains.release": release,
            "gains.margin": margin,
            **_SET_STEP,
            "online.recovery": 1.0,
        }
        for caution, release, margin in (
            *((0.0, 5.0, 0.4), (0.25, 5.0, 0.4), (0.5, 5.0, 0.4), (1.0, 5.0, 0.4)),
            *((0.5, 2.0, 0.4), (1.0, 2.0, 0.4), (0.5, 2.0, 0.3), (1.0, 5.0, 0.3)),
        )
    ],
    "step": [{"online.policy_change": value} for value in (0.4, 0.75, 1.2)],
    "settling": [
        {"online.policy_change": value, "online.settling": settling}
        for value, settling in ((0.4, 0.0), (0.4, 0.9), (0.75, 0.0), (0.75, 0.9), (1.2, 0.9), (1.2, 0.0))
    ],
    "recovery": [{"online.recovery": value, **_SET_STEP} for value in (1.0, 10.0, 30.0)],
    "release": [
        {"online.iterations": iterations, "gains.release": release}
        for iterations, release in ((50, 1.0), (50, 2.0), (200, 4.0), (200, 2.0))
    ],
    "adaptation": [
        {},
        *({"method.multiplier": "pid", "gains.proportional": gain} for gain in (1.5, 0.75, 0.3)),
    ],
    "range": [{"gains.adaptation_range": value} for value in (5.0, 2.0, 1.25)],
    "parts": [
        {},
        {"method.offline_fraction": 0.0},
        {"log_std_minimum": -20.0},
        {"critic_layer_norm": False},
    ],
    # Instead of the offline policy, a clone of the data's safe episodes.
    "clone": [{"algorithm": algorithm} for algorithm in ("cpq", "bc-safe")],
    # What finetuning starts from: which critics, for how long aligned, and what the pre-aligned multiplier is for.
    "start": [
        {},
        {"alignment.updates": 40_000},
        {"method.multiplier_alignment": "feed-forward"},
        {"method.critics": "offline"},
    ],
    # How much of each batch is offline data.
    "share": [{"method.offline_fraction": share} for share in (0.5, 0.25, 0.0)],
    "fading": [{"online.offline_fading": fading} for fading in (0.0, 2.0, 4.0)],
    # What became the default, against what was: explicit.
    "next": [
        {"online.offline_fading": 0.0},
        {"online.offline_fading": 2.0},
    ],
    # How much of the room under the limit is used, and when: towards more reward where costs are smooth or the limit is
    # loose. The second of `margin` became the default.
    "room": [{"gains.release": release, "gains.excursions": 0.0} for release in (2.0, 5.0)],
    "margin": [
        {"gains.release": 2.0, "gains.excursions": 0.0},
        {"gains.release": 2.0, "gains.excursions": 1.0},
        {"gains.release": 5.0, "gains.excursions": 1.0},
    ],
    "loose": [
        {"gains.release": 5.0, "gains.excursions": 1.0},
        {"gains.release": 5.0, "gains.excursions": 1.0, "online.policy_change": 1.5},
    ],
    # Whether saturated actions are pulled back while costs are far over the limit.
    "saturation": [{"sac.desaturate": pulled} for pulled in (False, True)],
    # The default with single parts of the paper's recipe, and what such a part of the default does to that.
    "back": [
        {},
        {"method.offline_fraction": 0.0},
        {"gains.caution": 0.0, "method.multiplier_alignment": "off"},
        {"online.recovery": 1.0, **_SET_STEP},
        {"online.recovery": 1.0, **_SET_STEP, "method.offline_fraction": 0.0},
    ],
    "paper": [
        {},
        {"method.critics": "random"},
        {"method.offline_fraction": 0.5},
        {"alignment.reward_aggregation": "mean"},
        {"method.multiplier_alignment": "initial"},
    ],
    # An exploring policy, whose samples differ from its mean.
    "mean-action": [{"sac.temperature": 0.05, "online.mean_action_episodes": episodes} for episodes in (0, 2)],
}
OF_PAPER = ("paper",)  # of method marvel-paper instead
ALSO_LOOSE = ("loose-BallCircle", "margin-BallCircle")  # parts that are run at twice the limit too
# These from unsafe starts too, where a task has such.
ALSO_UNSAFE = ("twins", "step", "recovery", "start", "share", "fading", "clone", "next", "room", "margin", "saturation")
# What is chosen from here on is chosen on seeds that no table has.
ON_UNSEEN_SEEDS = (
    *("settling", "step", "release", "adaptation", "range"),
    *("start", "share", "fading", "clone", "next", "loose", "room", "margin", "back", "paper"),
    "saturation",
)
UNSEEN = 200  # the first of them
