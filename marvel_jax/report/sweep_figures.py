"""A sweep as figures, from its tables alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from marvel_jax.report.figures import LIMIT_COLOR, grid, save
from marvel_jax.report.statistics import interval
from marvel_jax.report.sweep_summary import best_first
from marvel_jax.sweeps.folder import SweepFolder
from marvel_jax.sweeps.request import Point, Request
from marvel_jax.sweeps.results import online_curves

SHOWN_CURVES = 8  # lines that can be told apart


@dataclass(frozen=True)
class _Sweep:
    """What curves are drawn from.

    Attributes:
      points: Of the sweep.
      seeds: Of each point.
      diverged: Numbers of the runs that are left out.
      measured: The table of metrics.
    """

    points: list[Point]
    seeds: int
    diverged: list[int]
    measured: pa.Table

    def curves(self, point: int, name: str) -> np.ndarray:
        """An online metric of a point's runs that are finished and did not diverge, `[runs, iterations]`."""
        runs = [run for run in range(point * self.seeds, (point + 1) * self.seeds) if run not in self.diverged]
        values = online_curves(self.measured, name, runs)
        values = values[:, : int(self.points[point].hyper.online.iterations)]
        return values[~np.isnan(values).any(axis=1)]


def draw(folder: SweepFolder, request: Request, points: list[Point], result: dict[str, Any], out: Path) -> list[Path]:
    """Per task: the points in the plane of cost and reward, the best ones' curves, and a figure per varied number.

    Args:
      folder: Of the sweep.
      request, points: What is in it.
      result: Its summary.
      out: Folder for the PNG files.

    Returns:
      Their paths.
    """
    sweep = _Sweep(points, request.seeds, result["diverged"], folder.table("metrics"))
    figures: dict[str, Figure] = {}
    for task in request.tasks:
        entries = best_first([entry for entry in result["points"] if entry["task"] == task])
        if not entries:
            continue
        figures[f"{task}-outcome"] = _outcome(task, entries)
        figures[f"{task}-curves"] = _curves(sweep, task, entries[:SHOWN_CURVES])
        for name in _varied_numbers(entries):
            figures[f"{task}-{name}"] = _against(task, name, entries)
    return save(figures, out)


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


def _point(axes: Any, x: float, y: dict[str, float], method: str, colors: dict[str, str], xerr: Any = None) -> None:
    """An interquartile mean with its interval."""
    color = colors[method]
    axes.errorbar(
        x, y["iqm"], _arms(y), xerr, fmt="o", markersize=4, linewidth=0.6, alpha=0.8, color=color, label=method
    )


def _arms(numbers: dict[str, float]) -> list[list[float]]:
    """How far an interval goes below its mean, and above."""
    return [[numbers["iqm"] - numbers["low"]], [numbers["high"] - numbers["iqm"]]]


def _outcome(task: str, entries: list[dict[str, Any]]) -> Figure:
    figure, ((axes,),) = grid(1, 1, (7, 4), f"{task}: every point, interquartile mean over seeds")
    colors = _colors(entries)
    for entry in entries:
        reward, cost = entry["final"]["reward"], entry["final"]["cost"]
        _point(axes, cost["iqm"], reward, entry["method"], colors, xerr=_arms(cost))
    _mark_limits(axes, entries, axes.axvline)
    axes.set_xlabel("cost per episode")
    axes.set_ylabel("return per episode")
    _legend(axes)
    return figure


def _curves(sweep: _Sweep, task: str, entries: list[dict[str, Any]]) -> Figure:
    """Reward and cost of the best points while finetuning."""
    title = f"{task}: the best {len(entries)} points while finetuning, 95 % band"
    figure, (panels,) = grid(1, 2, (11.6, 4), title)
    for index, entry in enumerate(entries):
        point = sweep.points[entry["point"]]
        for panel, name in zip(panels, ("reward", "cost"), strict=True):
            values = sweep.curves(entry["point"], name)
            if len(values) == 0:
                continue
            center, low, high = interval(values)
            episodes = np.arange(1, values.shape[1] + 1) * point.hyper.online.episodes
            panel.plot(episodes, center, color=f"C{index}", label=point.label, linewidth=1.4)
            panel.fill_between(episodes, low, high, color=f"C{index}", alpha=0.15, linewidth=0)
    panels[0].set_ylabel("return per episode")
    panels[1].set_ylabel("cost per episode")
    for panel in panels:
        panel.set_xlabel("online episodes")
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
    figure, (panels,) = grid(1, 2, (11.6, 4), f"{task}: interquartile mean over seeds against {name}")
    colors = _colors(entries)
    shown = [entry for entry in entries if name in entry["changes"]]
    for axes, what in zip(panels, ("reward", "cost"), strict=True):
        for entry in shown:
            _point(axes, entry["changes"][name], entry["final"][what], entry["method"], colors)
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
