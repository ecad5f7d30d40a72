"""`marvel diagnose` in words and tables for a terminal."""

from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from marvel_jax.config.run_config import RunConfig


def print_diagnosis(config: RunConfig, found: dict[str, Any]) -> None:
    """Every part there is."""
    console = Console(width=None if Console().is_terminal else 120)
    if "critics" in found:
        console.print(_critics(found["critics"]))
        console.print(
            "Medians over seeds, against Monte-Carlo values of the offline policy; the bias is in discounted cost, and "
            "in scaled discounted reward.",
            highlight=False,
        )
        if found["critics"]["data"]:
            console.print(_ahead(found["critics"]["data"]))
    if "fixed" in found:
        console.print(_over("fixed λ", found["fixed"], ("reward", "cost", "violation", "dual"), config))
        console.print(_multiplier_words(found), highlight=False)
    if "initial" in found:
        console.print(_over("first λ", found["initial"], ("reward", "cost", "violation"), config))
    if "gains" in found:
        means = {name: found["gains"][name].mean(axis=-1) for name in ("violation", "reward")}
        row, column = np.unravel_index(np.argmin(means["violation"]), means["violation"].shape)
        console.print(
            f"Gains: violation is smallest ({means['violation'][row, column]:.2f}, reward "
            f"{means['reward'][row, column]:.0f}) at K_p {found['gains']['proportional'][row]:g}, K_i "
            f"{found['gains']['integral'][column]:g}; the run has K_p {config.hyper.gains.proportional:g}, K_i "
            f"{config.hyper.gains.integral:g}.",
            highlight=False,
        )


def _critics(found: dict[str, Any]) -> Table:
    table = Table("actions", "critics", title="Critics against the truth", title_style="bold")
    for name in ("reward-Q: rank correlation", "bias", "cost-Q: rank correlation", "bias"):
        table.add_column(name, justify="right")
    for place, times in found.items():
        for when, kinds in times.items():
            cells = []
            for kind in ("reward", "cost"):
                cells.append(f"{np.nanmedian(kinds[kind]['rank_correlation']):.2f}")
                cells.append(f"{np.median(kinds[kind]['bias']):+.1f}")
            table.add_row(place, f"{when} alignment", *cells)
    return table


def _ahead(times: dict[str, Any]) -> Table:
    """How far ahead the newest critics tell the truth."""
    when, kinds = list(times.items())[-1]
    steps = kinds["reward"]["rank_correlation_by_horizon"]
    title = f"Rank correlation {when} alignment, with returns over so many steps"
    table = Table("actions of the data", *(str(count) for count in steps), title=title, title_style="bold")
    for kind in ("reward", "cost"):
        ranks = kinds[kind]["rank_correlation_by_horizon"].values()
        table.add_row(f"{kind}-Q", *(f"{np.nanmedian(rank):.2f}" for rank in ranks))
    return table


def _over(label: str, found: dict[str, Any], names: tuple[str, ...], config: RunConfig) -> Table:
    count = found["reward"].shape[1]
    table = Table(label, title=f"Finetuning again, means over {count} seeds", title_style="bold")
    for name in names:
        table.add_column(name, justify="right")
    for index, value in enumerate(found["multipliers"]):
        cells = {name: float(found[name][index].mean()) for name in names}
        over = cells["cost"] > config.cost_limit
        shown = {name: f"{number:.1f}" for name, number in cells.items()}
        shown["cost"] = f"[red]{shown['cost']}[/red]" if over else shown["cost"]
        table.add_row(f"{value:g}", *shown.values())
    return table


def _multiplier_words(found: dict[str, Any]) -> str:
    best, before = found["fixed"], found["multiplier_before"]

    def words(values: list[float] | None) -> str:
        return "none" if values is None else f"{np.median(values):.3g} (median of seeds)"

    safe = "none of these" if best["best_safe"] is None else f"{best['best_safe']:g}"
    return (
        f"The dual function is smallest at λ = {best['optimal']:g}; most reward within the limit: {safe}. The offline "
        f"algorithm's own multiplier: {words(before['offline'])}; pre-aligned on the dataset's states: "
        f"{words(before['aligned'])}."
    )
