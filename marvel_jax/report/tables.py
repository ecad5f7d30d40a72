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
    step = result["one_step"]
    console.print(
        f"{result['task']}: largest error given recorded states: reward {result['reward_error']:.1e}, observation "
        f"{result['observation_error']:.1e}; within rounding on {result['reward_agreement']:.2%} and "
        f"{result['observation_agreement']:.2%} of steps. Costs agree on {result['cost_agreement']:.2%}, terminations "
        f"on {result['termination_agreement']:.2%}.\n"
        f"One step: position {step['position']['median']:.1e} m (99 % below {step['position']['p99']:.1e}), velocity "
        f"{step['velocity']['median']:.1e} m/s ({step['velocity']['p99']:.1e}).",
        highlight=False,
    )
    table = Table(title="Open-loop replay from recorded states: median error (90th percentile)")
    table.add_column("error")
    for horizon in result["replay"]:
        table.add_column(f"{horizon} steps", justify="right")

    def cell(entry: dict[str, Any] | None) -> str:
        return "–" if entry is None or entry["median"] is None else f"{entry['median']:.2%} ({entry['p90']:.2%})"

    table.add_row("position / distance travelled", *(cell(e) for e in result["replay"].values()))
    table.add_row("velocity / mean speed", *(cell(e.get("velocity")) for e in result["replay"].values()))
    table.add_row("return / Σ|reward|", *(cell(e.get("return")) for e in result["replay"].values()), end_section=True)
    for episode, errors in result["episodes"].items():
        table.add_row(f"position, episode {episode}", *(cell(e) for e in errors.values()))
    console.print(table)
    ours, theirs = result["whole_episodes"]["ours"], result["whole_episodes"]["recorded"]
    console.print(
        f"Whole episodes under the recorded actions: speed {ours['speed']:.3g} m/s (recorded {theirs['speed']:.3g}), "
        f"height {ours['height']:.3g} m ({theirs['height']:.3g}), costs {_costs(ours)} ({_costs(theirs)}).",
        highlight=False,
    )


def _costs(side: dict[str, Any]) -> str:
    return " ".join(f"{cost:g}" for cost in side["costs"])


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
    """Reward and cost of every seed's policy, and what the same policies do in the real simulator, if asked."""
    limit, simulator = result["cost_limit"], result["simulator"]
    table = Table(
        title=f"{result['task']}, {result['method']}: {result['episodes']} fresh episodes per seed, limit {limit:g}"
    )
    columns = ["reward", "cost", r"E\[cost]", f"within {limit:g}?", "P(over)", f"within {result['risk']:.0%}?"]
    columns += ["sampled reward", "sampled cost"]
    for column in ["seed", *(["where"] if simulator else []), *columns]:
        table.add_column(column, justify="right")
    for row in result["per_seed"]:
        sides = [("here", row)] + ([(simulator, row["simulator"])] if simulator else [])
        for name, numbers in sides:
            cost = f"{numbers['cost']:.1f}"
            table.add_row(
                str(row["seed"]) if numbers is row else "",
                *([name] if simulator else []),
                f"{numbers['reward']:.1f}",
                f"[red]{cost}[/red]" if numbers["cost"] > limit else cost,
                *_bounds(numbers["expected_cost"], ".1f"),
                *_bounds(numbers["exceedance"], ".0%"),
                f"{numbers['sampled_reward']:.1f}",
                f"{numbers['sampled_cost']:.1f}",
                end_section=name == sides[-1][0] and simulator is not None,
            )
    console = Console(width=None if Console().is_terminal else 140)
    console.print(table)
    console.print(
        r"E\[cost] and P(over): from the lower to the upper bound of the mean policy's expected episode cost, and of "
        f"the probability that an episode exceeds the limit, each one-sided with {result['confidence']:.0%} confidence "
        "for any distribution of costs. open: about how many more episodes would settle it, were they like these.",
        highlight=False,
    )


def _bounds(found: dict[str, Any], form: str) -> tuple[str, str]:
    """Both bounds, and the verdict."""
    more = found["more_episodes"]
    needed = "a million would not" if more is None else f"{more:,} more"
    verdict = {"within": "[green]yes[/green]", "over": "[red]no[/red]", "open": f"open: {needed}"}[found["verdict"]]
    return f"{found['lower']:{form}} to {found['upper']:{form}}", verdict
