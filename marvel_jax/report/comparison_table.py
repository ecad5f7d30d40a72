"""A comparison as a table: in a terminal, as CSV and in Markdown."""

import csv
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from marvel_jax.report.comparison import MEASURES
from marvel_jax.report.statistics import FEWEST

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
