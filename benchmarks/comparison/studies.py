"""Settings of a method side by side. A study's name is also that of its files."""

import json
from pathlib import Path
from typing import Any

from comparison.design import DEFAULT, SEEDS, UNSAFE, reduced
from comparison.sweeps import dataset, runs, sweep, table
from marvel_jax.config.tasks import find_task
from marvel_jax.report.comparison import compare, entries_of_sweep

_LESS = {"gains.proportional": 0.5, "control.margin": 0.25}
_SET_STEP = {"step_size.policy_change": 0.0, "step_size.decay": 0.0}  # the learning rate that is set, all the time
# Of the default method where nothing else is said, from safe starts: a list of points per study.
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
            "control.offset": offset,
            "control.offset_decay": decay,
            "control.margin": margin,
            **_SET_STEP,
            "step_size.largest_boost": 1.0,
        }
        for offset, decay, margin in (
            (0.0, 5.0, 0.4),
            (0.25, 5.0, 0.4),
            (0.5, 5.0, 0.4),
            (1.0, 5.0, 0.4),
            (0.5, 2.0, 0.4),
            (1.0, 2.0, 0.4),
            (0.5, 2.0, 0.3),
            (1.0, 5.0, 0.3),
        )
    ],
    "step": [{"step_size.policy_change": value} for value in (0.4, 0.75, 1.2)],
    "settling": [
        {"step_size.policy_change": value, "step_size.decay": decay}
        for value, decay in ((0.4, 0.0), (0.4, 0.9), (0.75, 0.0), (0.75, 0.9), (1.2, 0.9), (1.2, 0.0))
    ],
    "recovery": [{"step_size.largest_boost": value, **_SET_STEP} for value in (1.0, 10.0, 30.0)],
    "release": [
        {"online.iterations": iterations, "control.offset_decay": decay}
        for iterations, decay in ((50, 1.0), (50, 2.0), (200, 4.0), (200, 2.0))
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
    # How much of each batch is offline data, at first, and until when.
    "share": [{"method.offline_fraction": share} for share in (0.5, 0.25, 0.0)],
    "fading": [{"replay.offline_decay": decay} for decay in (0.0, 2.0, 4.0)],
    "next": [{"replay.offline_decay": decay} for decay in (0.0, 2.0)],
    # How much of the headroom under the limit is used, and when: towards more reward where costs are smooth or the
    # limit is loose.
    "room": [{"control.offset_decay": decay, "control.overshoot_factor": 0.0} for decay in (2.0, 5.0)],
    "margin": [
        {"control.offset_decay": 2.0, "control.overshoot_factor": 0.0},
        {"control.offset_decay": 2.0, "control.overshoot_factor": 1.0},
        {"control.offset_decay": 5.0, "control.overshoot_factor": 1.0},
    ],
    "loose": [
        {"control.offset_decay": 5.0, "control.overshoot_factor": 1.0},
        {"control.offset_decay": 5.0, "control.overshoot_factor": 1.0, "step_size.policy_change": 1.5},
    ],
    # The default with single parts of the paper's recipe, and what such a part of the default does to that.
    "back": [
        {},
        {"method.offline_fraction": 0.0},
        {"control.offset": 0.0, "method.multiplier_alignment": "off"},
        {"step_size.largest_boost": 1.0, **_SET_STEP},
        {"step_size.largest_boost": 1.0, **_SET_STEP, "method.offline_fraction": 0.0},
    ],
    "paper": [
        {},
        {"method.critics": "random"},
        {"method.offline_fraction": 0.5},
        {"alignment.reward_aggregation": "mean"},
        {"method.multiplier_alignment": "initial"},
    ],
}
OF_PAPER = ("paper",)  # of method marvel-paper instead
ALSO_LOOSE = ("loose-BallCircle", "margin-BallCircle")  # parts that are run at twice the limit too
# These from unsafe starts too, where a task has such.
ALSO_UNSAFE = ("twins", "step", "recovery", "start", "share", "fading", "clone", "next", "room", "margin")
# These on seeds from UNSEEN on, which no table has; the others on seeds from 0.
ON_SEEN_SEEDS = ("gains", "twins", "caution", "recovery", "parts")
UNSEEN = 200


def study(work: Path, name: str, part: str) -> dict[str, Any]:
    """Settings of a method side by side: a table per kind of start."""
    task, *many = part.removeprefix(f"{name}-").split("-")
    budget = reduced(task)
    seeds = int(many[0]) if many else budget.get("seeds", SEEDS)
    text = runs(task, ["marvel-paper" if name in OF_PAPER else DEFAULT], seeds)
    text += f"seed = {0 if name in ON_SEEN_SEEDS else UNSEEN}\n"
    text += "".join(table({k: json.dumps(v) for k, v in point.items()}, "[points]") for point in STUDIES[name])
    text += dataset(work, task)
    starts = {part: {"online.iterations": budget["iterations"], "cost_limit": 25.0} if budget else {}}
    if name in ALSO_UNSAFE and task in UNSAFE:
        starts[f"{part}-unsafe"] = UNSAFE[task]
    if part in ALSO_LOOSE:
        starts[f"{part}-loose"] = {"cost_limit": 2 * find_task(task).cost_limit}
    swept = (sweep(work, where, text + table(fixed, "fixed")) for where, fixed in starts.items())
    entries = [entries for folder in swept for entries in entries_of_sweep(folder).values()]
    return {"tables": [compare(each) for each in entries]}
