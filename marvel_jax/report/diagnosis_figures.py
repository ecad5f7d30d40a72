"""Figures of `marvel diagnose`."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from marvel_jax.config.run_config import RunConfig
from marvel_jax.report.figures import LIMIT_COLOR, grid, save

SHOWN_SEEDS = 4  # more points than theirs hide each other


def draw(config: RunConfig, found: dict[str, Any], folder: Path) -> list[Path]:
    """Writes a figure for every part of a diagnosis; returns the paths."""
    limit, title = config.cost_limit, f"{config.task}, {config.method}"
    figures = {}
    if found.get("critics", {}).get("data"):
        figures["critics"] = critics(found["critics"], title)
    if "fixed" in found:
        figures["fixed-multipliers"] = fixed(found["fixed"], found["multiplier_before"], limit, title)
    if "initial" in found:
        figures["initial-multipliers"] = initial(found["initial"], limit, title)
    if "gains" in found:
        figures["gains"] = gains(found["gains"], title)
    return save(figures, folder)


def critics(found: dict[str, Any], title: str) -> Figure:
    """Critics' values against Monte-Carlo truth: places and kinds in rows, before and after in columns."""
    times = list(next(iter(found.values())))
    rows = [(place, kind) for place in found for kind in ("reward", "cost")]
    columns = max(len(times), 1)
    figure, axes = grid(len(rows), columns, (3.4 * columns, 3.1 * len(rows)), title)
    for row, (place, kind) in enumerate(rows):
        entries = [found[place][when][kind] for when in times]
        everything = np.concatenate([entry["truth"].ravel() for entry in entries])
        low, high = everything.min(), everything.max()
        for panel, when, entry in zip(axes[row], times, entries, strict=True):
            for seed in range(min(SHOWN_SEEDS, len(entry["truth"]))):
                panel.scatter(entry["truth"][seed], entry["values"][seed], s=5, alpha=0.4, color=f"C{seed}")
            panel.plot([low, high], [low, high], color="0.4", linewidth=1)
            rank, bias = np.nanmedian(entry["rank_correlation"]), np.median(entry["bias"])
            panel.set_title(f"{kind}, {place} actions, {when}: ρ = {rank:.2f}, bias {bias:+.1f}", fontsize=8)
            panel.set_xlabel("Monte-Carlo value", fontsize=8)
            panel.set_ylabel("critic", fontsize=8)
    return figure


def _with_seeds(panel: Any, x: np.ndarray, values: np.ndarray) -> None:
    panel.plot(x, values, "o", color="C0", markersize=3, alpha=0.45)
    panel.plot(x, values.mean(axis=1), color="C0", linewidth=1.6)


def _multiplier_axis(panel: Any, grid: list[float]) -> None:
    positive = [value for value in grid if value > 0]
    panel.set_xscale("symlog", linthresh=min(positive) if positive else 1.0)
    panel.set_xlim(left=min(grid))


def fixed(found: dict[str, Any], before: dict[str, Any], limit: float, title: str) -> Figure:
    """Reward, cost and dual function over fixed multipliers, with the offline and the pre-aligned one."""
    figure, (panels,) = grid(1, 3, (12.0, 3.6), title)
    labels = {"reward": "final reward", "cost": "final cost", "dual": "dual function (scaled reward)"}
    marks = {"offline algorithm's": before["offline"], "pre-aligned": before["aligned"]}
    for panel, (name, label) in zip(panels, labels.items(), strict=True):
        _with_seeds(panel, np.asarray(found["multipliers"]), found[name])
        panel.set_xlabel("fixed multiplier λ")
        panel.set_ylabel(label)
        _multiplier_axis(panel, found["multipliers"])
        panel.axvline(
            found["optimal"], color="0.3", linestyle="--", linewidth=1, label=f"optimal: {found['optimal']:g}"
        )
        for index, (mark, values) in enumerate(marks.items()):
            if values is not None:
                middle = float(np.median(values))
                panel.axvline(middle, color=f"C{index + 1}", linestyle=":", label=f"{mark}: {middle:.2g}")
    panels[1].axhline(limit, color=LIMIT_COLOR, linestyle="--", linewidth=1)
    panels[2].legend(frameon=False, fontsize=8)
    return figure


def initial(found: dict[str, Any], limit: float, title: str) -> Figure:
    """What the first multiplier changes."""
    figure, (panels,) = grid(1, 3, (12.0, 3.6), title)
    labels = {"reward": "final reward", "cost": "final cost", "violation": "violation while training"}
    for panel, (name, label) in zip(panels, labels.items(), strict=True):
        _with_seeds(panel, np.asarray(found["multipliers"]), found[name])
        panel.set_xlabel("first multiplier λ")
        panel.set_ylabel(label)
        _multiplier_axis(panel, found["multipliers"])
    panels[1].axhline(limit, color=LIMIT_COLOR, linestyle="--", linewidth=1)
    return figure


def gains(found: dict[str, Any], title: str) -> Figure:
    """Maps of violation and final reward over K_p and K_i."""
    figure, (panels,) = grid(1, 2, (10.0, 4.2), title)
    for panel, (name, label) in zip(panels, {"violation": "violation", "reward": "final reward"}.items(), strict=True):
        values = found[name].mean(axis=-1)
        image = panel.imshow(
            values, origin="lower", aspect="auto", cmap="viridis_r" if name == "violation" else "viridis"
        )
        panel.set_xticks(range(len(found["integral"])), [f"{x:.2g}" for x in found["integral"]])
        panel.set_yticks(range(len(found["proportional"])), [f"{x:.2g}" for x in found["proportional"]])
        panel.set_xlabel("$K_i$")
        panel.set_ylabel("$K_p$")
        panel.set_title(label, fontsize=9)
        panel.grid(visible=False)
        middle = (values.max() + values.min()) / 2
        for (row, column), value in np.ndenumerate(values):
            dark = (value > middle) == (name == "violation")
            panel.text(column, row, f"{value:.3g}", ha="center", va="center", fontsize=8, color="w" if dark else "k")
        figure.colorbar(image, ax=panel, shrink=0.85)
    return figure
