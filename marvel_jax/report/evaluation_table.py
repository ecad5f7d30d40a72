"""An evaluation of a run's policies, for a terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table


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
