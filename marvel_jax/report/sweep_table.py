"""A sweep in a terminal: its plan before, and its best points after."""

from typing import Any

from rich.console import Console
from rich.table import Table

from marvel_jax.report.sweep_summary import best_first
from marvel_jax.sweeps.memory import megabytes
from marvel_jax.sweeps.request import changes_in_words

SHOWN_POINTS = 20  # rows of the printed table


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
