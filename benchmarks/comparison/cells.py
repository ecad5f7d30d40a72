"""Cells of the comparison: all methods on a task at a limit from one kind of start, condensed to what is committed."""

import itertools
import sys
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import common
import numpy as np
import pyarrow as pa

from comparison.design import DEFAULT, EPISODES, LIKE_PAPER, MANY_SEEDS, OWN, SEEDS, TUNED, UNSAFE, UNTUNED, reduced
from comparison.parts import FOLDER, read
from comparison.sweeps import VALUES, dataset, runs, runs_of, sweep, table
from marvel_jax.config.presets import layered
from marvel_jax.report.comparison import settled
from marvel_jax.report.statistics import interval
from marvel_jax.sweeps.folder import SweepFolder
from marvel_jax.sweeps.results import online_curves

# Of a machine, what rounding depends on: after thousands of updates a seed's offline policy is another one elsewhere.
ROUNDING = ("cpu", "device", "jaxlib")


def cells(work: Path, part: str, only: Sequence[str], seeds: int, share: Sequence[str]) -> dict[str, Any]:
    """All methods on a task, at limits, from kinds of start; or a few of them with more seeds; or `only` these."""
    task, limits, starts, *many = part.split("-")
    settings = settings_of(task)
    if many:
        seeds, settings = int(many[0]), {method: settings[method] for method in MANY_SEEDS}
    points = {
        "-".join([task, limit, start, *many]): point(task, float(limit), start)
        for limit, start in itertools.product(limits.split(","), starts.split(","))
    }
    for file in (FOLDER / f"{name}.json" for name in points):
        if only and file.exists() and (other := other_machine(file)):
            sys.exit(f"{file.name} was made on {other}, where these seeds have other offline policies: omit --only.")
    before = {name: kept(name, settings, seeds, only or OWN) for name in points}
    methods = [method for method in only or settings if not all(method in found for found in before.values())]
    text = runs(task, methods, seeds) + "".join(table(values, "[points]") for values in points.values())
    text += "".join(table(settings[method], f"by_method.{method}") for method in methods)
    folder = sweep(work, part + "".join(f"-{method}" for method in only), text, share)
    found = {}
    for name, values in points.items():
        new = before[name] | outcomes(folder, {method: settings[method] for method in methods}, **values)
        start = ", ".join([name.split("-")[2], *(f"{count} seeds" for count in many)])
        of_cell = {"task": task, "cost_limit": values["cost_limit"], "start": start, "episodes": EPISODES}
        found[name] = of_cell | {"methods": {method: new[method] for method in settings if method in new}}
    return found


def settings_of(task: str) -> dict[str, dict[str, float]]:
    """Every method's own hyperparameters on a task: the defaults, or what the search found."""
    best = read(FOLDER / f"search-{task}.json")["methods"]
    settings: dict[str, dict[str, float]] = {method: {} for method in OWN}
    settings |= {method: best[method]["best"] for method in TUNED}
    return settings | dict.fromkeys(LIKE_PAPER, settings["marvel-paper"])


def point(task: str, cost_limit: float, start: str) -> dict[str, float]:
    """What tells a cell's runs from those of other cells of its task."""
    unsafe, defaults = UNSAFE[task], layered("cpu", task, DEFAULT)
    safe = {name: attrgetter(name)(defaults) for name in unsafe}
    return {"cost_limit": cost_limit, **(unsafe if start == "unsafe" else safe)}


def kept(part: str, settings: dict[str, dict[str, float]], seeds: int, anew: Sequence[str] = OWN) -> dict[str, Any]:
    """What the committed file has of methods with these settings and as many seeds, without those that are run `anew`:
    by default this project's, since a change of ours does not touch the others'. Nothing, if another kind of machine
    made it."""
    file = FOLDER / f"{part}.json"
    if not file.exists() or other_machine(file):
        return {}
    before = read(file)["methods"]
    there = {method: found for method, found in before.items() if len(found["seeds"]) + found["diverged"] == seeds}
    same = [method for method in settings if method in there and there[method]["settings"] == settings[method]]
    return {method: there[method] for method in same if method not in anew}


def other_machine(file: Path) -> str | None:
    """The machine that made a file, if numbers are rounded otherwise there than here."""
    there, here = read(file)["machine"], common.machine()
    return None if all(there[name] == here[name] for name in ROUNDING) else ", ".join(there[name] for name in ROUNDING)


def untuned(work: Path, part: str) -> dict[str, Any]:
    """The default beside what it is compared with, all with their defaults."""
    task, limit, start = part.split("-")
    budget = reduced(task)
    seeds, iterations = budget.get("seeds", SEEDS), budget.get("iterations", EPISODES // 5)
    found = kept(part, {method: {} for method in UNTUNED}, seeds)
    methods = [method for method in UNTUNED if method not in found]
    text = runs(task, methods, seeds) + table({"cost_limit": float(limit), "online.iterations": iterations}, "fixed")
    folder = sweep(work, part, text + dataset(work, task))
    new = found | outcomes(folder, {method: {} for method in methods})
    found = {method: new[method] for method in UNTUNED}
    return {"task": task, "cost_limit": float(limit), "start": start, "episodes": 5 * iterations, "methods": found}


def outcomes(folder: SweepFolder, settings: dict[str, dict[str, float]], **where: float) -> dict[str, Any]:
    """What came of methods with these settings, in a sweep's runs `where` hyperparameters have these values."""
    done, measured = runs_of(folder), folder.table("metrics")
    here = [run for run in done if all(run[name] == value for name, value in where.items())]
    return {
        method: outcome([run for run in here if run["method"] == method], measured, settings[method])
        for method in settings
    }


def outcome(of_method: Sequence[dict[str, Any]], measured: pa.Table, settings: dict[str, float]) -> dict[str, Any]:
    """What came of a method's runs, with their sweep's metrics."""
    rows = [run for run in of_method if not run["diverged"]]
    numbers = [row["run"] for row in rows]
    curves = {name: online_curves(measured, name, numbers) for name in ("reward", "cost", "multiplier")}
    limit, episodes = of_method[0]["cost_limit"], 5 * curves["cost"].shape[1]
    return {
        "seeds": [row["seed"] for row in rows],
        "diverged": len(of_method) - len(rows),
        "settings": settings,
        "values": {name: [row[column] for row in rows] for name, column in VALUES.items()},
        "settled": settled(curves["cost"], limit, episodes).tolist(),
        "curves": {name: condensed(curve) for name, curve in curves.items()},
    }


def condensed(curve: np.ndarray) -> dict[str, list[float]]:
    """Interquartile mean and 95 % band of `[runs, iterations]`, in four digits."""
    parts = zip(("iqm", "low", "high"), interval(curve), strict=True)
    return {name: [float(f"{x:.4g}") for x in values] for name, values in parts}
