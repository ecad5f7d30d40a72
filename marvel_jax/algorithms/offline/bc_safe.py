"""BC-Safe: behaviour cloning of the data's episodes within the cost limit."""

from collections.abc import Callable

import jax

from marvel_jax.algorithms.offline.batches import rows_where
from marvel_jax.algorithms.offline.bc import init, update
from marvel_jax.core import trajectories
from marvel_jax.core.problem import Problem
from marvel_jax.core.transitions import Transition, at

__all__ = ["batches", "init", "update"]


def batches(problem: Problem, dataset: Transition, size: int) -> Callable[[jax.Array], Transition]:
    """`key -> [size]` transitions of the episodes of `dataset` `[N]` whose cost is at most the limit."""
    rows = rows_where(trajectories.episode_costs(dataset) <= problem.cost_limit, size)
    return lambda key: at(dataset, rows(key))
