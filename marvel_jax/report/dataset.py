"""What an offline dataset offers under a cost limit, in numbers and in a figure."""

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.table import Table

from marvel_jax.config.errors import UserError
from marvel_jax.datasets.hdf5 import Dataset
from marvel_jax.report.figures import LIMIT_COLOR, dress

QUANTILES = {"least": 0.0, "25 %": 0.25, "median": 0.5, "75 %": 0.75, "most": 1.0}


def describe(dataset: Dataset, cost_limit: float) -> dict[str, Any]:
    """Its size, the spread of its episodes' returns and costs, and what is within the limit, ready for JSON."""
    returns, costs = dataset.episode_sums()
    within = returns[costs <= cost_limit]
    best = float(within.max()) if len(within) else None
    return {
        "task": dataset.task.name,
        "episodes": len(returns),
        "steps": len(dataset.ends),
        "steps_of_an_unfinished_episode": int(len(dataset.ends) - 1 - np.flatnonzero(dataset.ends)[-1]),
        "return": _spread(returns),
        "cost": _spread(costs),
        "cost_limit": cost_limit,
        "episodes_within": len(within),
        "best_return_within": best,
        "best_normalized_return_within": None if best is None else float(dataset.task.normalized_reward(best)),
    }


def _spread(values: np.ndarray) -> dict[str, float]:
    return {name: float(np.quantile(values, at)) for name, at in QUANTILES.items()}


def print_description(found: dict[str, Any]) -> None:
    """The description on standard output."""
    console = Console(width=None if Console().is_terminal else 100)
    table = Table("per episode", title=f"{found['task']}: {found['episodes']:,} episodes, {found['steps']:,} steps")
    for name in QUANTILES:
        table.add_column(name, justify="right")
    for name in ("return", "cost"):
        table.add_row(name, *(f"{value:.1f}" for value in found[name].values()))
    console.print(table)
    limit, within = f"{found['cost_limit']:g}", found["episodes_within"]
    said = f"Within a cost limit of {limit}: {within:,} of {found['episodes']:,} episodes"
    if within:
        best, normalized = found["best_return_within"], found["best_normalized_return_within"]
        said += f", the best with a return of {best:.1f} (normalized {normalized:.3f})."
    else:
        said += "; bc-safe has nothing to imitate, and what is safe has to be inferred from what is not."
    if found["steps_of_an_unfinished_episode"]:
        said += f" The last {found['steps_of_an_unfinished_episode']} steps are of an episode that does not end."
    console.print(said, highlight=False)


def draw(dataset: Dataset, cost_limit: float, path: Path) -> None:
    """Draws every episode in the plane of cost and return.

    Raises:
      UserError: If `path` cannot be written.
    """
    returns, costs = dataset.episode_sums()
    figure, panel = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    dress(panel)
    safe = costs <= cost_limit
    for chosen, color, name in ((safe, "C0", "within the limit"), (~safe, "C1", "over it")):
        panel.scatter(costs[chosen], returns[chosen], s=14, alpha=0.6, color=color, label=f"{name}: {chosen.sum()}")
    panel.axvline(cost_limit, color=LIMIT_COLOR, linestyle="--", linewidth=1, label=f"cost limit {cost_limit:g}")
    panel.set(xlabel="cost per episode", ylabel="return per episode")
    panel.set_title(f"{dataset.task.name}: {len(returns):,} episodes of offline data", fontsize=10)
    panel.legend(frameon=False, fontsize=8)
    try:
        figure.savefig(path, dpi=130)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be written ({error}). Give another --out, such as data.png.") from None
    finally:
        plt.close(figure)
