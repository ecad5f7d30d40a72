"""Tables for a terminal, from saved summaries."""

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


def print_parity(result: dict[str, Any]) -> None:
    """The errors of an environment against a recording."""
    console = Console()
    if "replay" not in result:
        _print_step_errors(console, result)
        return
    console.print(
        f"{result['task']}: largest error given recorded states: reward {result['reward_error']:.1e}, observation "
        f"{result['observation_error']:.1e}; cost agrees on {result['cost_agreement']:.2%} of steps.",
        highlight=False,
    )
    table = Table(title="Open-loop replay: position error / distance travelled, median (90th percentile)")
    table.add_column("episode")
    for horizon in result["replay"]:
        table.add_column(f"{horizon} steps", justify="right")

    def cell(entry: dict[str, Any]) -> str:
        return "–" if entry["median"] is None else f"{entry['median']:.2%} ({entry['p90']:.2%})"

    table.add_row("all", *(cell(e) for e in result["replay"].values()), end_section=True)
    for episode, errors in result["episodes"].items():
        table.add_row(episode, *(cell(e) for e in errors.values()))
    console.print(table)


def _print_step_errors(console: Console, result: dict[str, Any]) -> None:
    """One step from every recorded state."""
    table = Table("", "99 % of steps", "largest", title=f"{result['task']}: error of one step from each recorded state")
    for name in ("position_error", "velocity_error"):
        entry = result[name]
        table.add_row(name.replace("_", " ") + ", generalized", f"{entry['p99']:.1e}", f"{entry['max']:.1e}")
    for name in ("reward_error", "observation_error"):
        table.add_row(name.replace("_", " "), f"{result[name]:.1e}", "")
    console.print(table)
    console.print(f"Cost agrees on {result['cost_agreement']:.2%} of steps.", highlight=False)


def print_evaluation(result: dict[str, Any]) -> None:
    """Reward and cost of every seed's policy."""
    limit = result["cost_limit"]
    table = Table(
        title=f"{result['task']}, {result['method']}: {result['episodes']} fresh episodes per seed, limit {limit:g}"
    )
    for column in ("seed", "reward", "cost", "over limit", "sampled reward", "sampled cost"):
        table.add_column(column, justify="right")
    for row in result["per_seed"]:
        cost = f"{row['cost']:.1f}"
        table.add_row(
            str(row["seed"]),
            f"{row['reward']:.1f}",
            f"[red]{cost}[/red]" if row["cost"] > limit else cost,
            f"{row['share_over_limit']:.0%}",
            f"{row['sampled_reward']:.1f}",
            f"{row['sampled_cost']:.1f}",
        )
    Console().print(table)
