"""The errors of an environment against a recording, for a terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table


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
