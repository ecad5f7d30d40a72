"""Statistics across seeds, with rliable's definitions (Agarwal et al., NeurIPS 2021), by percentile bootstrap."""

import math
from collections.abc import Callable, Sequence

import chex
import numpy as np
from scipy import stats

RESAMPLES = 2000
CONFIDENCE = 0.95
AT_ONCE = 2**22  # numbers that are resampled at once, which limits memory
FEWEST = 3  # seeds, below which an interval would say nothing

Interval = tuple[np.ndarray, np.ndarray, np.ndarray]


def interquartile_mean(values: chex.Array, axis: int = 0) -> np.ndarray:
    """Mean of the middle half along `axis` (25 % trimmed at either end)."""
    return stats.trim_mean(values, 0.25, axis=axis)


def interval(values: chex.Array) -> Interval:
    """Interquartile mean over seeds with a bootstrap interval.

    Args:
      values: `[seeds, ...]`.

    Returns:
      IQM and the ends of its 95 % percentile-bootstrap interval, `[...]` each. One seed has no spread: all are equal.
    """
    return stratified_interval([np.asarray(values, float)])


def stratified_interval(values: Sequence[np.ndarray]) -> Interval:
    """Interquartile mean of all runs of several tasks, `[seeds, ...]` each; every task's seeds are resampled apart.

    Tasks count alike: a run of one that has half as many seeds as another counts twice.
    """
    common = math.lcm(*(len(of_task) for of_task in values))

    def together(each: Sequence[np.ndarray], axis: int) -> np.ndarray:
        balanced = [np.repeat(of_task, common // of_task.shape[axis], axis=axis) for of_task in each]
        return interquartile_mean(np.concatenate(balanced, axis=axis), axis=axis)

    center = together(values, axis=0)
    if all(len(of_task) == 1 for of_task in values):
        return center, center, center
    generator = np.random.default_rng(0)
    which = [generator.integers(0, len(of_task), (RESAMPLES, len(of_task))) for of_task in values]
    pieces = min(RESAMPLES, 1 + RESAMPLES * sum(of_task.size for of_task in values) // AT_ONCE)
    draws = [
        together([v[rows] for v, rows in zip(values, part, strict=True)], axis=1)
        for part in zip(*(np.array_split(rows, pieces) for rows in which), strict=True)
    ]
    return center, *_ends(np.concatenate(draws))


def _ends(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    return low, high


def summary(values: chex.Array) -> dict[str, float]:
    """`iqm`, `low`, `high` of `[seeds]` values."""
    return dict(zip(("iqm", "low", "high"), (float(x) for x in interval(values)), strict=True))


def difference(ours: np.ndarray, theirs: np.ndarray, paired: bool) -> Interval:
    """Difference of interquartile means, `[seeds]` each, with its interval; paired seeds are resampled together."""

    def measure(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return interquartile_mean(x, axis=-1) - interquartile_mean(y, axis=-1)

    return _of_two(measure, ours, theirs, paired)


def probability_of_improvement(ours: np.ndarray, theirs: np.ndarray, paired: bool = False) -> Interval:
    """Probability that a run of ours exceeds one of theirs (ties count half), `[seeds]` each, with its interval."""

    def measure(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        x, y = x[..., :, None], y[..., None, :]
        return np.mean((x > y) + 0.5 * (x == y), axis=(-2, -1))

    return _of_two(measure, ours, theirs, paired)


def _of_two(measure: Callable, ours: np.ndarray, theirs: np.ndarray, paired: bool) -> Interval:
    generator = np.random.default_rng(0)
    mine = generator.integers(0, len(ours), (RESAMPLES, len(ours)))
    other = mine if paired else generator.integers(0, len(theirs), (RESAMPLES, len(theirs)))
    return measure(ours, theirs), *_ends(measure(ours[mine], theirs[other]))


def performance_profile(values: np.ndarray, thresholds: np.ndarray) -> Interval:
    """Share of `[seeds]` runs above each of `[K]` thresholds, with its pointwise interval, `[K]` each."""
    above = np.asarray(values)[:, None] > thresholds
    which = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    return above.mean(axis=0), *_ends(above[which].mean(axis=1))
