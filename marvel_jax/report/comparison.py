"""Runs side by side: what each reached, how safely, and which differences the seeds at hand support."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from marvel_envs.tasks import task_spec

from marvel_jax.config.errors import UserError
from marvel_jax.report.statistics import (
    FEWEST,
    difference,
    interquartile_mean,
    probability_of_improvement,
    summary,
)
from marvel_jax.runs import metrics
from marvel_jax.runs.folder import RunFolder
from marvel_jax.sweeps.folder import SweepFolder
from marvel_jax.sweeps.request import expand
from marvel_jax.sweeps.results import online_curves

WINDOW = 5  # iterations whose mean cost says whether a run is under the limit
# What is compared, in whose favour a difference is, and with how many digits it is shown.
MEASURES = {
    "reward": ("final reward", 1, 0),
    "cost": ("final cost", -1, 1),
    "violation": ("violation", -1, 2),
    "settled": ("episodes until safe", -1, 0),
}


@dataclass(frozen=True)
class Entry:
    """One side of a comparison.

    Attributes:
      label: For people.
      task, cost_limit, episodes: What was run: the task, its limit, and the number of online episodes.
      seeds: `[runs]` their seeds.
      values: Per run, `[runs]` each: the `MEASURES`, and `start_reward`, `start_cost`.
      curves: Online metrics, `[runs, iterations]` each: reward and cost.
    """

    label: str
    task: str
    cost_limit: float
    episodes: int
    seeds: tuple[int, ...]
    values: dict[str, np.ndarray]
    curves: dict[str, np.ndarray]

    @property
    def safe(self) -> int:
        """How many runs end at or under the limit."""
        return int(np.sum(self.values["cost"] <= self.cost_limit))


def settled(cost: np.ndarray, limit: float, episodes: int) -> np.ndarray:
    """Episodes after which the mean cost of every five iterations stays under the limit, `[runs]`.

    Args:
      cost: `[runs, iterations]` J_C.
      limit: The cost limit.
      episodes: All online episodes. A run that never settles gets this number.
    """
    window = min(WINDOW, cost.shape[1])
    kernel = np.ones(window) / window
    means = np.stack([np.convolve(row, kernel, mode="valid") for row in cost])  # of iterations t … t + window − 1
    over = means > limit
    last = np.where(over.any(axis=1), over.shape[1] - np.argmax(over[:, ::-1], axis=1), 0)  # iterations to be past
    first_safe = np.where(last == 0, 0, last + window)
    return np.minimum(first_safe, cost.shape[1]) * episodes / cost.shape[1]


def entry_of_run(folder: RunFolder, label: str) -> Entry:
    """A finished run. Raises a `UserError` if it is not finished."""
    found = folder.read_summary()
    rows, seeds = metrics.read(folder.metrics).rows, found["per_seed"]
    curves = {name: metrics.curves(rows, "finetune", name)[1] for name in ("reward", "cost")}
    limit, episodes = found["cost_limit"], found["online_episodes"]
    values = {
        "reward": np.asarray(seeds["reward"]),
        "cost": np.asarray(seeds["cost"]),
        "violation": np.asarray(seeds["violation"]),
        "settled": settled(curves["cost"], limit, episodes),
        "start_reward": np.asarray(seeds["offline_reward"]),
        "start_cost": np.asarray(seeds["offline_cost"]),
    }
    return Entry(label, found["task"], limit, episodes, tuple(found["seeds"]), values, curves)


def entries_of_runs(paths: list[Path]) -> list[Entry]:
    """Finished runs, labelled by their methods, or by their folders where methods repeat.

    Raises:
      UserError: If one is not finished, or they differ in task, limit or budget.
    """
    folders = [RunFolder(path) for path in paths]
    labels = [folder.read_summary()["method"] for folder in folders]
    if len(set(labels)) < len(labels):
        labels = [str(path) for path in paths]
    entries = [entry_of_run(folder, label) for folder, label in zip(folders, labels, strict=True)]
    for name in ("task", "cost_limit", "episodes"):
        if len({getattr(entry, name) for entry in entries}) > 1:
            which = "; ".join(f"{path}: {getattr(e, name)}" for path, e in zip(paths, entries, strict=True))
            words = {"task": "tasks", "cost_limit": "cost limits", "episodes": "numbers of online episodes"}
            raise UserError(f"These runs have different {words[name]} and cannot be compared: {which}.")
    return entries


def entries_of_sweep(folder: SweepFolder) -> dict[str, list[Entry]]:
    """A sweep's points that have results, by task, limit and budget; runs that diverged are left out.

    Raises:
      UserError: If it is no sweep, or has no finished chunk.
    """
    request, _ = folder.read_plan()
    results = {row["run"]: row for row in folder.table("results").to_pylist()}
    measured, found = folder.table("metrics"), {}
    for index, point in enumerate(expand(request)):
        numbers = range(index * request.seeds, (index + 1) * request.seeds)
        rows = [results[number] for number in numbers if number in results and not results[number]["diverged"]]
        if not rows:
            continue
        online, limit = point.hyper.online, point.cost_limit
        episodes, runs = online.iterations * online.episodes, [row["run"] for row in rows]
        curves = {name: online_curves(measured, name, runs)[:, : online.iterations] for name in ("reward", "cost")}
        values = {name: np.asarray([row[name] for row in rows]) for name in ("reward", "cost", "violation")}
        values |= {f"start_{name}": np.asarray([row[f"offline_{name}"] for row in rows]) for name in ("reward", "cost")}
        values["settled"] = settled(curves["cost"], limit, episodes)
        seeds = tuple(request.first_seed + run % request.seeds for run in runs)
        entry = Entry(point.label, point.task, limit, episodes, seeds, values, curves)
        found.setdefault(f"{point.task}-{limit:g}-{episodes}", []).append(entry)
    return found


def with_reference(entries: list[Entry], label: str | None) -> list[Entry]:
    """The entries with that of a label first; as they are for None. Raises a `UserError` if there is none."""
    if label is not None and label not in (labels := [entry.label for entry in entries]):
        raise UserError(f"--reference {label} is none of these: {'; '.join(labels)}.")
    return sorted(entries, key=lambda entry: label is not None and entry.label != label)


def compare(entries: list[Entry]) -> dict[str, Any]:
    """Everything that is said of entries of one task, limit and budget, for JSON. The first is the reference.

    With fewer than three runs an entry has no intervals, and no difference from it is judged.
    """
    task, reference = task_spec(entries[0].task), entries[0]
    found = []
    for entry in entries:
        row: dict[str, Any] = {"label": entry.label, "seeds": list(entry.seeds), "safe_seeds": entry.safe}
        for name in (*MEASURES, "start_reward", "start_cost"):
            row[name] = _with_interval(entry.values[name])
        row["normalized_reward"] = _with_interval(task.normalized_reward(entry.values["reward"]))
        if entry is not reference:
            row["against"] = {name: _against(entry, reference, name) for name in MEASURES}
        found.append(row)
    return {
        "task": reference.task,
        "cost_limit": reference.cost_limit,
        "online_episodes": reference.episodes,
        "reference": reference.label,
        "without_intervals": [entry.label for entry in entries if len(entry.seeds) < FEWEST],
        "entries": found,
    }


def _with_interval(values: np.ndarray) -> dict[str, float | None]:
    if len(values) < FEWEST:
        return {"iqm": float(interquartile_mean(values)), "low": None, "high": None}
    return dict(summary(values))


def _against(entry: Entry, reference: Entry, name: str) -> dict[str, Any]:
    """The difference from the reference in one measure, and whether the seeds support it."""
    ours, theirs = entry.values[name], reference.values[name]
    if min(len(ours), len(theirs)) < FEWEST:
        return {"difference": float(interquartile_mean(ours) - interquartile_mean(theirs))}
    paired = entry.seeds == reference.seeds
    center, low, high = (float(x) for x in difference(ours, theirs, paired))
    sign = MEASURES[name][1]
    chance = [float(x) for x in probability_of_improvement(sign * ours, sign * theirs, paired)]
    supported = low > 0 or high < 0
    better = None if not supported else sign * center > 0
    return {
        "difference": center,
        "low": low,
        "high": high,
        "paired": paired,
        "supported": supported,
        "better": better,
        "probability_of_improvement": dict(zip(("value", "low", "high"), chance, strict=True)),
    }
