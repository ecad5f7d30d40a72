"""Which episodes a dataset keeps: an even cover of the (cost, return) plane, as DSRL's density filter makes it."""

import numpy as np


def thin(
    returns: np.ndarray,
    costs: np.ndarray,
    keep: int,
    max_cost: float,
    rng: np.random.Generator,
    cells: tuple[int, int] = (16, 20),
) -> np.ndarray:
    """Chooses episodes so that no cell of a (cost, return) grid dominates.

    Args:
      returns, costs: `[episodes]`.
      keep: Largest number of episodes to keep.
      max_cost: Episodes that cost more are left out.
      rng: For the choice within a cell.
      cells: Grid cells along cost and return.

    Returns:
      Sorted indices of the kept episodes: every cell gives at most the same number, the largest that fits `keep`.
    """
    eligible = np.flatnonzero(costs <= max_cost)
    if len(eligible) == 0:
        return eligible

    def cell_along(values: np.ndarray, count: int) -> np.ndarray:
        low, high = values.min(), values.max()
        return np.minimum((values - low) / max(high - low, 1e-9) * count, count - 1).astype(int)

    cell = cell_along(costs[eligible], cells[0]) * cells[1] + cell_along(returns[eligible], cells[1])
    shuffled = rng.permutation(len(eligible))
    rank = np.zeros(len(eligible), int)  # position of an episode among those of its cell, in random order
    seen: dict[int, int] = {}
    for index in map(int, shuffled):
        place = int(cell[index])
        rank[index] = seen.get(place, 0)
        seen[place] = seen.get(place, 0) + 1
    cap = max((c for c in range(1, len(eligible) + 1) if np.sum(rank < c) <= keep), default=1)
    return np.sort(eligible[rank < cap][:keep])
