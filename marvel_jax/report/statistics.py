"""Statistics across seeds, with rliable's definitions (Agarwal et al., NeurIPS 2021)."""

import chex
import numpy as np
from scipy import stats

RESAMPLES = 2000
CONFIDENCE = 0.95
AT_ONCE = 2**22  # numbers that are resampled at once, which limits memory


def interquartile_mean(values: chex.Array, axis: int = 0) -> np.ndarray:
    """Mean of the middle half along `axis` (25 % trimmed at either end)."""
    return stats.trim_mean(values, 0.25, axis=axis)


def interval(values: chex.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Interquartile mean over seeds with a bootstrap interval.

    Args:
      values: `[seeds, ...]`.

    Returns:
      IQM and the ends of its 95 % percentile-bootstrap interval, `[...]` each. One seed has no spread: all are equal.
    """
    values = np.asarray(values, float)
    center = interquartile_mean(values)
    if len(values) == 1:
        return center, center, center
    which = np.random.default_rng(0).integers(0, len(values), (RESAMPLES, len(values)))
    parts = np.array_split(which, min(RESAMPLES, 1 + RESAMPLES * values.size // AT_ONCE))
    draws = np.concatenate([interquartile_mean(values[part], axis=1) for part in parts])
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    return center, low, high


def summary(values: chex.Array) -> dict[str, float]:
    """`iqm`, `low`, `high` of `[seeds]` values."""
    return dict(zip(("iqm", "low", "high"), (float(x) for x in interval(values)), strict=True))
