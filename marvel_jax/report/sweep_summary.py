"""What came of a sweep as one JSON object, from its tables alone."""

from importlib.metadata import version
from typing import Any

import numpy as np

from marvel_jax.report.run_summary import PACKAGES
from marvel_jax.report.statistics import summary
from marvel_jax.sweeps.folder import SweepFolder
from marvel_jax.sweeps.request import Point, Request


def summarize(
    folder: SweepFolder, request: Request, points: list[Point], seconds: dict[str, float], device: str
) -> dict[str, Any]:
    """All of a sweep's `summary.json`: per point the statistics over its seeds, without those that diverged."""
    rows = folder.table("results").to_pydict()
    by_run = {run: {name: column[i] for name, column in rows.items()} for i, run in enumerate(rows["run"])}
    entries = []
    for index, point in enumerate(points):
        numbers = range(index * request.seeds, (index + 1) * request.seeds)
        found = [by_run[number] for number in numbers if number in by_run]
        entries.append(_point_summary(index, point, found))
    return {
        "tasks": list(request.tasks),
        "methods": list(request.methods),
        "seeds": list(range(request.first_seed, request.first_seed + request.seeds)),
        "runs": len(points) * request.seeds,
        "finished": len(by_run),
        "diverged": sorted(run for run, row in by_run.items() if row["diverged"]),
        "points": entries,
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "versions": {name: version(name) for name in PACKAGES},
        "device": device,
    }


def _point_summary(index: int, point: Point, rows: list[dict[str, Any]]) -> dict[str, Any]:
    healthy = [row for row in rows if not row["diverged"]]
    entry: dict[str, Any] = {
        "point": index,
        "task": point.task,
        "method": point.method,
        "changes": point.changes,
        "cost_limit": point.cost_limit,
        "finished": len(rows),
        "diverged": len(rows) - len(healthy),
    }
    if healthy:
        columns = {name: np.asarray([row[name] for row in healthy], float) for name in healthy[0] if name != "run"}
        entry["final"] = {name: summary(columns[name]) for name in ("reward", "cost")}
        entry["final_sampled"] = {name: summary(columns[f"sampled_{name}"]) for name in ("reward", "cost")}
        entry["offline"] = {name: summary(columns[f"offline_{name}"]) for name in ("reward", "cost")}
        entry["violation"] = float(columns["violation"].mean())
        entry["safe_seeds"] = int(np.sum(columns["cost"] <= entry["cost_limit"]))
    return entry


def best_first(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Points that have results: those within their limit first, of these the highest reward first."""

    def rank(entry: dict[str, Any]) -> tuple[bool, float]:
        final = entry["final"]
        return final["cost"]["iqm"] > entry["cost_limit"], -final["reward"]["iqm"]

    return sorted((entry for entry in entries if "final" in entry), key=rank)
