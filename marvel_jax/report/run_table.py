"""The closing table of a run, from its summary."""

from typing import Any

from rich.console import Console
from rich.table import Table


def _with_interval(entry: dict[str, float], digits: int = 0) -> str:
    return f"{entry['iqm']:.{digits}f} [{entry['low']:.{digits}f}, {entry['high']:.{digits}f}]"


def print_summary(summary: dict[str, Any], place: str) -> None:
    """The closing table of a run on standard output."""
    limit = summary["cost_limit"]
    seeds = len(summary["seeds"])
    table = Table(
        title=f"{summary['task']}, {summary['method']}, cost limit {limit:g}, {seeds} seeds", title_style="bold"
    )
    table.add_column("policy")
    table.add_column("reward", justify="right")
    table.add_column("cost", justify="right")
    rows = {
        "before finetuning": summary["offline"],
        "finetuned, mean action": summary["final"],
        "finetuned, sampled": summary["final_sampled"],
    }
    for name, entry in rows.items():
        over = entry["cost"]["iqm"] > limit
        cost = _with_interval(entry["cost"], 1)
        table.add_row(name, _with_interval(entry["reward"]), f"[red]{cost}[/red]" if over else cost)
    console = Console(width=None if Console().is_terminal else 100)
    console.print(table)
    normalized = summary["final"]["normalized_reward"]
    console.print(
        f"Interquartile means over seeds with 95 % intervals, {summary['evaluation_episodes']} fresh episodes each. "
        f"Normalized reward {normalized['iqm']:.3f}; {summary['safe_seeds']} of {seeds} seeds at or under the limit; "
        f"mean violation during {summary['online_episodes']} online episodes {summary['violation']:.2f}.",
        highlight=False,
    )
    took = summary["seconds"]
    console.print(
        "Seconds: " + ", ".join(f"{name} {value:.0f}" for name, value in took.items()) + f". Run folder: {place}",
        highlight=False,
        soft_wrap=True,
    )
