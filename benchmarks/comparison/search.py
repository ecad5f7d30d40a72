"""The search for the settings of the methods that are not this project's."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from marvel_envs.tasks import TaskSpec

from comparison.design import TUNED
from comparison.sweeps import runs, runs_of, sweep, table
from marvel_jax.config.tasks import find_task

# The same number of configurations for every method, on seeds that no comparison uses, each for as long as in the
# comparison: less favours large steps.
SEARCH = {"draws": 8, "seeds": 4, "seed": 100}
RANGES = {
    "sac.actor_learning_rate": "{ low = 1e-5, high = 4e-4, log = true }",
    "gains.proportional": "{ low = 0.2, high = 5.0, log = true }",
    "gains.integral": "{ low = 1e-3, high = 1e-1, log = true }",
    "control.margin": "{ low = 0.0, high = 0.5 }",
}
FIXED = "paper-fixed-multiplier"
FIXED_RANGES = {
    "sac.actor_learning_rate": RANGES["sac.actor_learning_rate"],
    "gains.initial": "{ low = 0.03, high = 3.0, log = true }",
}


def search(work: Path, task: str) -> dict[str, Any]:
    """Every method's best configuration of as many for each: the defaults and those drawn."""
    tried = {method: [] for method in TUNED}
    others = [method for method in TUNED if method != FIXED]
    groups: dict[str, tuple[list[str], dict[str, str]]] = {
        "others": (others, RANGES),
        "fixed": ([FIXED], FIXED_RANGES),
        "others-default": (others, {}),
        "fixed-default": ([FIXED], {}),
    }
    for name, (methods, ranges) in groups.items():
        for method, entries in tried_in(work, task, name, methods, ranges).items():
            tried[method] += entries
    spec = find_task(task)
    for entry in (entry for entries in tried.values() for entry in entries):
        entry["score"] = float(np.mean([score(spec, run) for run in entry["runs"]]))
    settings = {
        method: {"best": max(entries, key=lambda entry: entry["score"])["changes"], "tried": entries}
        for method, entries in tried.items()
    }
    return {"search": SEARCH, "ranges": RANGES, "methods": settings}


def tried_in(
    work: Path, task: str, name: str, methods: list[str], ranges: dict[str, str]
) -> dict[str, list[dict[str, Any]]]:
    """By method, the configurations of a sweep that draws from ranges: their `changes` and their `runs`."""
    text = runs(task, methods, SEARCH["seeds"]) + f"seed = {SEARCH['seed']}\ndraws = {SEARCH['draws']}\n"
    text += table(ranges, "draw")
    found: dict[str, dict[str, Any]] = {method: {} for method in methods}
    for run in runs_of(sweep(work, f"search-{task}-{name}", text)):
        changes = {key: run[key] for key in ranges}
        entry = found[run["method"]].setdefault(json.dumps(changes), {"changes": changes, "runs": []})
        entry["runs"].append({key: run[key] for key in ("seed", "reward", "cost", "violation")})
    return {method: list(entries.values()) for method, entries in found.items()}


def score(task: TaskSpec, run: dict[str, Any]) -> float:
    """Normalized reward less what costs went over the limit, in limits: while training, and at the end."""
    if not np.isfinite([run["reward"], run["cost"], run["violation"]]).all():
        return -10.0
    over = run["violation"] + max(0.0, run["cost"] - task.cost_limit)
    return float(task.normalized_reward(run["reward"])) - over / task.cost_limit
