"""A comparison as a table (terminal, CSV, Markdown) and as figures."""

import csv
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from marvel_envs.tasks import task_spec
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from marvel_jax.report.comparison import MEASURES, Entry
from marvel_jax.report.figures import LIMIT_COLOR, dress, save
from marvel_jax.report.statistics import FEWEST, performance_profile

SHOWN_BANDS = 3  # more of them hide each other
# Share of differences that are marked where there are none; of few seeds twice that (benchmarks/intervals.py).
MARKED_BY_CHANCE, FEW = 0.06, 8
MANY_JUDGED = 20  # differences, from which on that is said


def _number(entry: dict[str, Any], digits: int) -> str:
    if entry["low"] is None:
        return f"{entry['iqm']:.{digits}f}"
    return f"{entry['iqm']:.{digits}f} [{entry['low']:.{digits}f}, {entry['high']:.{digits}f}]"


def cells(row: dict[str, Any]) -> dict[str, str]:
    """The row of an entry by column title: start, measures with intervals and marks, safe seeds."""
    marks = {True: " ▲", False: " ▼", None: ""}
    found = {
        "method": row["label"],
        "start: reward / cost": f"{row['start_reward']['iqm']:.0f} / {row['start_cost']['iqm']:.0f}",
    }
    for name, (title, _, digits) in MEASURES.items():
        better = row.get("against", {}).get(name, {}).get("better")
        found[title] = _number(row[name], digits) + marks[better]
    return found | {"safe seeds": f"{row['safe_seeds']} of {len(row['seeds'])}"}


def notes(result: dict[str, Any]) -> list[str]:
    """What the table cannot say by itself."""
    found = [
        f"{result['task']}, cost limit {result['cost_limit']:g}, {result['online_episodes']} online episodes. "
        "Interquartile means over seeds with 95 % bootstrap intervals; mean policy. Violation is the mean over "
        "iterations of what costs went over the limit; episodes until safe are those after which the mean cost of "
        "every five iterations stays under it.",
        f"▲ better and ▼ worse than {result['reference']} where the 95 % interval of the difference leaves out 0. "
        "Unmarked differences are not supported by these seeds.",
    ]
    found += _by_chance(result)
    if result["without_intervals"]:
        names = ", ".join(result["without_intervals"])
        found.append(
            f"Without intervals, and not judged: {names} (fewer than {FEWEST} seeds say nothing of the spread)."
        )
    unsupported = [
        row["label"]
        for row in result["entries"]
        if "against" in row and not any(entry.get("supported") for entry in row["against"].values())
    ]
    if unsupported:
        found.append(
            f"Not told apart from {result['reference']} in anything: {', '.join(unsupported)}. More seeds would."
        )
    return found


def _by_chance(result: dict[str, Any]) -> list[str]:
    """How many marks of a large table to expect if nothing differed."""
    judged = sum("supported" in entry for row in result["entries"] for entry in row.get("against", {}).values())
    if judged < MANY_JUDGED:
        return []
    seeds = min(len(row["seeds"]) for row in result["entries"] if row["reward"]["low"] is not None)
    marked = judged * MARKED_BY_CHANCE * (2 if seeds < FEW else 1)
    return [f"Each of {judged} differences is judged by itself: about {marked:.0f} would be marked if there were none."]


def print_table(result: dict[str, Any]) -> None:
    """The table on standard output."""
    console = Console(width=None if Console().is_terminal else 140)
    rows = [cells(row) for row in result["entries"]]
    table = Table(*rows[0], title=f"{result['task']}, cost limit {result['cost_limit']:g}", title_style="bold")
    for row in rows:
        table.add_row(*row.values())
    console.print(table)
    for note in notes(result):
        console.print(note, highlight=False)


def markdown(result: dict[str, Any]) -> str:
    """The table and its notes in Markdown."""
    rows = [cells(row) for row in result["entries"]]
    lines = [f"| {' | '.join(rows[0])} |", "|" + "---|" * len(rows[0])]
    lines += [f"| {' | '.join(row.values())} |" for row in rows]
    return "\n".join([*lines, "", *notes(result)]) + "\n"


def write_csv(result: dict[str, Any], path: Path) -> None:
    """A row per entry and measure."""
    fields = ("label", "measure", "iqm", "low", "high", "difference", "difference_low", "difference_high", "supported")
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(fields)
        for row in result["entries"]:
            for name in (*MEASURES, "normalized_reward"):
                other = row.get("against", {}).get(name, {})
                numbers = (row[name][end] for end in ("iqm", "low", "high"))
                writer.writerow(
                    [row["label"], name, *numbers, *(other.get(k) for k in ("difference", "low", "high", "supported"))]
                )


def draw(entries: list[Entry], result: dict[str, Any], folder: Path) -> list[Path]:
    """Writes `intervals.png`, and with enough seeds `profiles.png`; returns the paths."""
    figures = {"intervals": _intervals(result)}
    if not result["without_intervals"]:
        figures["profiles"] = _profiles(entries)
    return save(figures, folder)


def _panels(count: int, height: float, title: str) -> tuple[Figure, list[Any]]:
    figure, axes = plt.subplots(1, count, figsize=(3.1 * count + 1.6, height), squeeze=False, layout="constrained")
    figure.suptitle(title, fontsize=10)
    for panel in axes[0]:
        dress(panel)
    return figure, list(axes[0])


def _intervals(result: dict[str, Any]) -> Figure:
    """Every measure of every entry with its interval, one panel per measure."""
    rows = result["entries"][::-1]
    title = f"{result['task']}, cost limit {result['cost_limit']:g}: interquartile means, 95 % intervals"
    figure, panels = _panels(len(MEASURES), 0.32 * len(rows) + 1.4, title)
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
    figure, (left, right) = _panels(2, 4.2, f"{entries[0].task}: share of seeds{bands}")
    figure.set_size_inches(11, 4.2)
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
