"""Figures of runs: curves of reward, cost and multiplier, from saved metrics alone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from marvel_envs.tasks import task_spec
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from marvel_jax.report.figures import LIMIT_COLOR, dress, save
from marvel_jax.report.statistics import interval
from marvel_jax.runs.metrics import curves


@dataclass(frozen=True)
class RunData:
    """What the figures need of a run."""

    label: str
    rows: list[dict[str, Any]]
    summary: dict[str, Any]


def draw(runs: list[RunData], folder: Path) -> list[Path]:
    """Writes `reward.png`, `cost.png`, `multiplier.png` and `outcome.png` for one run or several; returns the paths."""
    figures = {
        "reward": _one_curve(runs, "reward", "return per episode", _mark_start),
        "cost": _one_curve(runs, "cost", "cost per episode", _mark_limit),
        "multiplier": _multiplier(runs),
        "outcome": _outcome(runs),
    }
    return save(figures, folder)


def _episodes(run: RunData, iterations: np.ndarray) -> np.ndarray:
    total = run.summary["online_episodes"]
    return iterations * (total / max(iterations.max(), 1))


def _band(axes: Axes, run: RunData, metric: str, color: str) -> None:
    """Interquartile mean over seeds with its 95 % band."""
    iterations, values = curves(run.rows, "finetune", metric)
    if values.size == 0 or np.isnan(values).all():
        return
    center, low, high = interval(values)
    x = _episodes(run, iterations)
    axes.plot(x, center, color=color, label=run.label, linewidth=1.6)
    axes.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)


def _frame(title: str, ylabel: str, rows: int = 1) -> tuple[Figure, list[Axes]]:
    figure, axes = plt.subplots(rows, 1, figsize=(7.8, 3.8 if rows == 1 else 6.0), sharex=True, squeeze=False)
    panels = list(axes[:, 0])
    panels[0].set_title(title, fontsize=10)
    panels[0].set_ylabel(ylabel)
    panels[-1].set_xlabel("online episodes")
    for panel in panels:
        dress(panel)
    figure.set_layout_engine("constrained")
    return figure, panels


def _legend(axes: Axes) -> None:
    """Beside the panel, where it hides no seed."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _title(runs: list[RunData]) -> str:
    first = runs[0].summary
    seeds = sorted({len(r.summary["seeds"]) for r in runs})
    count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return f"{first['task']}, limit {first['cost_limit']:g}: interquartile mean of {count} seeds, 95 % band"


def _one_curve(runs: list[RunData], metric: str, ylabel: str, mark: Any) -> Figure:
    figure, (axes,) = _frame(_title(runs), ylabel)
    for index, run in enumerate(runs):
        _band(axes, run, metric, f"C{index}")
    mark(axes, runs)
    _legend(axes)
    return figure


def _mark_limit(axes: Axes, runs: list[RunData]) -> None:
    for limit in sorted({r.summary["cost_limit"] for r in runs}):
        axes.axhline(limit, color=LIMIT_COLOR, linestyle="--", linewidth=1, label=f"cost limit {limit:g}")
    axes.set_ylim(bottom=0)


def _mark_start(axes: Axes, runs: list[RunData]) -> None:
    if len(runs) == 1:
        start = runs[0].summary["offline"]["reward"]["iqm"]
        axes.axhline(start, color="0.4", linestyle=":", linewidth=1, label=f"before finetuning: {start:.0f}")
    _mark_ceiling(axes, runs)


def _mark_ceiling(axes: Axes, runs: list[RunData]) -> None:
    """The task's best known return, where it was measured at these runs' cost limit."""
    task = task_spec(runs[0].summary["task"])
    if task.ceiling is not None and {run.summary["cost_limit"] for run in runs} == {task.cost_limit}:
        label = f"ceiling: {task.ceiling:.0f}"
        axes.axhline(task.ceiling, color="0.4", linestyle="--", linewidth=1, label=label)


def _multiplier(runs: list[RunData]) -> Figure:
    figure, (above, below) = _frame(_title(runs), "multiplier λ", rows=2)
    for index, run in enumerate(runs):
        _band(above, run, "multiplier", f"C{index}")
    _legend(above)
    styles = {"proportional": "-", "integral": "--", "derivative": ":"}
    for index, run in enumerate(runs):
        for gain, style in styles.items():
            iterations, values = curves(run.rows, "finetune", f"{gain}_gain")
            first = run.summary["first_gains"][gain]
            if values.size and first > 0:
                symbol = f"$K_{gain[0]}$" if index == 0 else None
                below.plot(
                    _episodes(run, iterations), interval(values)[0] / first, style, color=f"C{index}", label=symbol
                )
    below.set_ylabel("gain / its start")
    _legend(below)
    return figure


def _outcome(runs: list[RunData]) -> Figure:
    """Every seed before and after finetuning in the plane of cost and reward."""
    figure, (axes,) = _frame(_title(runs).split(":")[0] + ": every seed, mean policy", "return per episode")
    for index, run in enumerate(runs):
        seeds = run.summary["per_seed"]
        for x0, y0, x1, y1 in zip(
            seeds["offline_cost"], seeds["offline_reward"], seeds["cost"], seeds["reward"], strict=True
        ):
            axes.plot([x0, x1], [y0, y1], color=f"C{index}", alpha=0.35, linewidth=0.8)
        axes.scatter(
            seeds["offline_cost"], seeds["offline_reward"], facecolor="white", edgecolor=f"C{index}", s=26, zorder=3
        )
        axes.scatter(seeds["cost"], seeds["reward"], color=f"C{index}", s=26, zorder=3, label=run.label)
    axes.axvline(runs[0].summary["cost_limit"], color=LIMIT_COLOR, linestyle="--", linewidth=1, label="cost limit")
    _mark_ceiling(axes, runs)
    axes.scatter([], [], facecolor="white", edgecolor="0.3", s=26, label="before finetuning")
    axes.set_xlabel("cost per episode")
    _legend(axes)
    return figure
