"""A comparison as figures: every measure with its interval, and performance profiles."""

from pathlib import Path
from typing import Any

import numpy as np
from marvel_envs.tasks import task_spec
from matplotlib.figure import Figure

from marvel_jax.report.comparison import MEASURES, Entry
from marvel_jax.report.figures import LIMIT_COLOR, grid, save
from marvel_jax.report.statistics import performance_profile

SHOWN_BANDS = 3  # more of them hide each other


def draw(entries: list[Entry], result: dict[str, Any], folder: Path) -> list[Path]:
    """Writes `intervals.png`, and with enough seeds `profiles.png`; returns the paths."""
    figures = {"intervals": _intervals(result)}
    if not result["without_intervals"]:
        figures["profiles"] = _profiles(entries)
    return save(figures, folder)


def _intervals(result: dict[str, Any]) -> Figure:
    """Every measure of every entry with its interval, one panel per measure."""
    rows = result["entries"][::-1]
    title = f"{result['task']}, cost limit {result['cost_limit']:g}: interquartile means, 95 % intervals"
    size = 3.1 * len(MEASURES) + 1.6, 0.32 * len(rows) + 1.4
    figure, (panels,) = grid(1, len(MEASURES), size, title)
    for panel, (name, (label, _, _)) in zip(panels, MEASURES.items(), strict=True):
        for place, row in enumerate(rows):
            center, low, high = (row[name][end] for end in ("iqm", "low", "high"))
            color = "C1" if row["label"] == result["reference"] else "C0"
            if low is not None:
                panel.plot([low, high], [place, place], color=color, linewidth=4, alpha=0.4, solid_capstyle="butt")
            panel.plot([center], [place], "|", color=color, markersize=11, markeredgewidth=2)
        panel.set_yticks(range(len(rows)), [row["label"] for row in rows] if panel is panels[0] else [])
        panel.set_xlabel(label)
        if name == "cost":
            panel.axvline(result["cost_limit"], color=LIMIT_COLOR, linestyle="--", linewidth=1)
    return figure


def _profiles(entries: list[Entry]) -> Figure:
    """Shares of seeds above each normalized reward, and at or below each cost."""
    task = task_spec(entries[0].task)
    bands = ", pointwise 95 % bands" if len(entries) <= SHOWN_BANDS else ""
    figure, ((left, right),) = grid(1, 2, (11, 4.2), f"{entries[0].task}: share of seeds{bands}")
    rewards = [np.asarray(task.normalized_reward(entry.values["reward"])) for entry in entries]
    costs = [entry.values["cost"] for entry in entries]
    sides = ((left, rewards, 1), (right, costs, -1))
    for panel, values, sign in sides:
        ends = np.concatenate(values)
        thresholds = np.linspace(ends.min() - 1e-3, ends.max() + 1e-3, 200)
        for index, (entry, of_entry) in enumerate(zip(entries, values, strict=True)):
            center, low, high = performance_profile(sign * of_entry, sign * thresholds - (sign < 0) * 1e-9)
            style = "-" if index < 10 else "--"
            panel.plot(thresholds, center, style, color=f"C{index % 10}", label=entry.label, linewidth=1.4)
            if len(entries) <= SHOWN_BANDS:
                panel.fill_between(thresholds, low, high, color=f"C{index % 10}", alpha=0.12, linewidth=0)
        panel.set_ylim(-0.02, 1.02)
    left.set_xlabel("normalized reward τ")
    left.set_ylabel("share with more than τ")
    right.set_xlabel("cost per episode c")
    right.set_ylabel("share with at most c")
    right.axvline(entries[0].cost_limit, color=LIMIT_COLOR, linestyle="--", linewidth=1)
    right.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
