"""What came of a sweep: one object, a table and figures, from its tables alone."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter
from rich.console import Console
from rich.table import Table

from marvel_jax.report.figures import LIMIT_COLOR, dress, save
from marvel_jax.report.statistics import interval, summary
from marvel_jax.report.summarize import PACKAGES
from marvel_jax.sweeps.folder import SweepFolder
from marvel_jax.sweeps.memory import megabytes
from marvel_jax.sweeps.request import Point, Request, changes_in_words
from marvel_jax.sweeps.run import online_curves

SHOWN_POINTS = 20  # rows of the printed table
SHOWN_CURVES = 8  # lines that can be told apart


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
        "cost_limit": float(point.hyper.cost_limit),
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


def print_summary(result: dict[str, Any], place: str) -> None:
    """The closing table of a sweep on standard output, task by task."""
    console = Console(width=None if Console().is_terminal else 120)
    for task in result["tasks"]:
        ranked = best_first([entry for entry in result["points"] if entry["task"] == task])
        table = Table(title=f"{task}: {len(ranked)} points, best first", title_style="bold")
        for name in ("method", "changes", "limit", "reward", "cost", "violation", "safe seeds"):
            table.add_column(name, justify="left" if name in ("method", "changes") else "right")
        for entry in ranked[:SHOWN_POINTS]:
            table.add_row(*_cells(entry))
        console.print(table)
        if len(ranked) > SHOWN_POINTS:
            console.print(f"… and {len(ranked) - SHOWN_POINTS} more in summary.json.")
    if result["diverged"]:
        console.print(f"[red]Diverged, and left out of all statistics: runs {_list(result['diverged'])}.[/red]")
    console.print(
        f"{result['finished']} of {result['runs']} runs; interquartile means over seeds with 95 % intervals, mean "
        f"policy. Seconds: {', '.join(f'{n} {s:.0f}' for n, s in result['seconds'].items())}. Sweep folder: {place}",
        highlight=False,
        soft_wrap=True,
    )


def _cells(entry: dict[str, Any]) -> list[str]:
    def with_interval(numbers: dict[str, float], digits: int) -> str:
        return f"{numbers['iqm']:.{digits}f} [{numbers['low']:.{digits}f}, {numbers['high']:.{digits}f}]"

    reward, cost = entry["final"]["reward"], entry["final"]["cost"]
    shown = with_interval(cost, 1)
    healthy = entry["finished"] - entry["diverged"]
    return [
        entry["method"],
        ", ".join(changes_in_words(entry["changes"])),
        f"{entry['cost_limit']:g}",
        with_interval(reward, 0),
        f"[red]{shown}[/red]" if cost["iqm"] > entry["cost_limit"] else shown,
        f"{entry['violation']:.2f}",
        f"{entry['safe_seeds']} of {healthy}" + (f" ({entry['diverged']} diverged)" if entry["diverged"] else ""),
    ]


def _list(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:20])) + (f" and {len(numbers) - 20} more" if len(numbers) > 20 else "")


def print_plan(plan: dict[str, Any]) -> None:
    """What a dry run found."""
    table = Table(title=f"{plan['runs']} runs in {plan['chunks']} chunks, {plan['programs']} programs")
    for name in ("group", "runs", "chunk", "per run", "dataset", "a chunk"):
        table.add_column(name, justify="left" if name == "group" else "right")
    for group in plan["groups"]:
        sizes = (megabytes(group[name]) for name in ("bytes_per_run", "dataset_bytes", "bytes"))
        table.add_row(group["group"], str(group["runs"]), str(group["chunk"]), *sizes)
    console = Console()
    console.print(table)
    hours, seconds = divmod(round(plan["estimated_seconds"]), 3600)
    console.print(
        f"{megabytes(plan['available_bytes'])} available. Estimated time, without compiling and evaluating: "
        f"{hours}:{seconds // 60:02d}:{seconds % 60:02d}.",
        highlight=False,
    )


def draw(folder: SweepFolder, request: Request, points: list[Point], result: dict[str, Any], out: Path) -> list[Path]:
    """Per task: the points in the plane of cost and reward, the best ones' curves, and a figure per varied number."""
    measured = folder.table("metrics")
    figures: dict[str, Figure] = {}
    for task in request.tasks:
        entries = best_first([entry for entry in result["points"] if entry["task"] == task])
        if not entries:
            continue
        figures[f"{task}-outcome"] = _outcome(task, entries)
        figures[f"{task}-curves"] = _curves(task, entries[:SHOWN_CURVES], points, request, measured, result)
        for name in _varied_numbers(entries):
            figures[f"{task}-{name}"] = _against(task, name, entries)
    return save(figures, out)


def _figure(title: str, panels: int) -> tuple[Figure, list[Any]]:
    figure, axes = plt.subplots(1, panels, figsize=(4.6 * panels + 2.4, 4), squeeze=False, layout="constrained")
    figure.suptitle(title, fontsize=10)
    for panel in axes[0]:
        dress(panel)
    return figure, list(axes[0])


def _colors(entries: list[dict[str, Any]]) -> dict[str, str]:
    methods = dict.fromkeys(entry["method"] for entry in entries)
    return {method: f"C{index}" for index, method in enumerate(methods)}


def _mark_limits(axes: Any, entries: list[dict[str, Any]], line: Any) -> None:
    for limit in sorted({entry["cost_limit"] for entry in entries}):
        line(limit, color=LIMIT_COLOR, linestyle="--", linewidth=1, label=f"cost limit {limit:g}")


def _legend(axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    axes.legend(unique.values(), unique, frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _outcome(task: str, entries: list[dict[str, Any]]) -> Figure:
    figure, (axes,) = _figure(f"{task}: every point, interquartile mean over seeds", 1)
    colors = _colors(entries)
    for entry in entries:
        reward, cost = entry["final"]["reward"], entry["final"]["cost"]
        axes.errorbar(
            *(cost["iqm"], reward["iqm"]),
            xerr=[[cost["iqm"] - cost["low"]], [cost["high"] - cost["iqm"]]],
            yerr=[[reward["iqm"] - reward["low"]], [reward["high"] - reward["iqm"]]],
            **{"fmt": "o", "markersize": 4, "linewidth": 0.6, "alpha": 0.8},
            color=colors[entry["method"]],
            label=entry["method"],
        )
    _mark_limits(axes, entries, axes.axvline)
    axes.set_xlabel("cost per episode")
    axes.set_ylabel("return per episode")
    _legend(axes)
    return figure


def _curves(
    task: str,
    entries: list[dict[str, Any]],
    points: list[Point],
    request: Request,
    measured: pa.Table,
    result: dict[str, Any],
) -> Figure:
    figure, panels = _figure(f"{task}: the best {len(entries)} points while finetuning, 95 % band", 2)
    for index, entry in enumerate(entries):
        number, point = entry["point"], points[entry["point"]]
        runs = [number * request.seeds + k for k in range(request.seeds)]
        runs = [run for run in runs if run not in result["diverged"]]
        for axes, name in zip(panels, ("reward", "cost"), strict=True):
            values = online_curves(measured, name, runs)
            values = values[:, : int(point.hyper.online.iterations)]
            values = values[~np.isnan(values).any(axis=1)]
            if len(values) == 0:
                continue
            center, low, high = interval(values)
            episodes = np.arange(1, values.shape[1] + 1) * point.hyper.online.episodes
            axes.plot(episodes, center, color=f"C{index}", label=point.label, linewidth=1.4)
            axes.fill_between(episodes, low, high, color=f"C{index}", alpha=0.15, linewidth=0)
    panels[0].set_ylabel("return per episode")
    panels[1].set_ylabel("cost per episode")
    for axes in panels:
        axes.set_xlabel("online episodes")
    _mark_limits(panels[1], entries, panels[1].axhline)
    _legend(panels[1])
    return figure


def _varied_numbers(entries: list[dict[str, Any]]) -> list[str]:
    """Hyperparameters that take several numeric values among the points."""
    values: dict[str, set[float]] = {}
    for entry in entries:
        for name, value in entry["changes"].items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                values.setdefault(name, set()).add(float(value))
    return [name for name, found in values.items() if len(found) > 1]


def _against(task: str, name: str, entries: list[dict[str, Any]]) -> Figure:
    """Reward and cost of every point against one hyperparameter."""
    figure, panels = _figure(f"{task}: interquartile mean over seeds against {name}", 2)
    colors = _colors(entries)
    shown = [entry for entry in entries if name in entry["changes"]]
    for axes, what in zip(panels, ("reward", "cost"), strict=True):
        for entry in shown:
            numbers = entry["final"][what]
            axes.errorbar(
                *(entry["changes"][name], numbers["iqm"]),
                yerr=[[numbers["iqm"] - numbers["low"]], [numbers["high"] - numbers["iqm"]]],
                **{"fmt": "o", "markersize": 4, "linewidth": 0.6, "alpha": 0.8},
                color=colors[entry["method"]],
                label=entry["method"],
            )
        values = [entry["changes"][name] for entry in shown]
        if min(values) > 0 and max(values) / min(values) > 20:
            axes.set_xscale("log")
            axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(name)
        axes.set_ylabel("return per episode" if what == "reward" else "cost per episode")
    if name != "cost_limit":
        _mark_limits(panels[1], shown, panels[1].axhline)
    _legend(panels[1])
    return figure
