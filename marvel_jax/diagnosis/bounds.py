"""Is it safe to deploy? Distribution-free confidence bounds on what a policy costs, from the episodes it has played.

They hold for any distribution of episode costs in [0, maximum], at any number of episodes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

MOST_EPISODES = 1_000_000  # beyond which nobody will evaluate
LARGEST_BET = 0.75  # of what would risk ruin
# What bets are sized by before anything is seen, as shares of the maximum; any choice is valid.
PRIOR_MEAN, PRIOR_VARIANCE = 0.1, 0.01


@dataclass(frozen=True)
class Verdict:
    """What the episodes say of a quantity and its limit.

    Attributes:
      estimate, lower, upper: One-sided bounds, each with the asked-for confidence.
      limit: What the quantity must not exceed.
      verdict: "within" if the upper bound is, "over" if the lower bound is, else "open".
      more_episodes: About how many more would settle it, if they are like these; 0 if it is settled, and None if even
        a million would not.
    """

    estimate: float
    lower: float
    upper: float
    limit: float
    verdict: Literal["within", "over", "open"]
    more_episodes: int | None


def mean_upper_bound(values: np.ndarray, maximum: float, confidence: float = 0.95) -> float:
    """A number that the mean exceeds with probability 1 − confidence at most, from `[n]` values in [0, maximum].

    For every m a gambler bets that the mean is below m; if it is not, the capital Π(1 + λ_t·(m − x_t)) is a
    non-negative supermartingale, which seldom grows by 1/(1 − confidence). The bound is the largest m at which it has
    not.

    Source: Waudby-Smith & Ramdas, Estimating means of bounded random variables by betting, JRSS B, 2024, section 4.
    """
    x = np.clip(np.asarray(values, float) / maximum, 0.0, 1.0)
    goal = np.log(1 / (1 - confidence))
    bets = _bets(x, goal)
    low, high = 0.0, 1.0
    for _ in range(40):  # the capital grows with m
        middle = (low + high) / 2
        bet = np.minimum(bets, LARGEST_BET / max(1 - middle, 1e-12))
        capital = np.cumsum(np.log1p(bet * (middle - x)))
        low, high = (low, middle) if capital.max() >= goal else (middle, high)
    return high * maximum


def _bets(x: np.ndarray, goal: float) -> np.ndarray:
    """λ_t `[n]`, each from the values before it alone: the size that suits their variance."""
    count = np.arange(1, len(x) + 1)
    mean = (PRIOR_MEAN + np.cumsum(x)) / (count + 1)
    variance = (PRIOR_VARIANCE + np.cumsum((x - mean) ** 2)) / (count + 1)
    before = np.concatenate([[PRIOR_VARIANCE], variance[:-1]])
    return np.sqrt(2 * goal / (before * len(x)))


def mean_lower_bound(values: np.ndarray, maximum: float, confidence: float = 0.95) -> float:
    """As `mean_upper_bound`, from below."""
    return maximum - mean_upper_bound(maximum - np.asarray(values, float), maximum, confidence)


def share_bounds(count: int, episodes: int, confidence: float = 0.95) -> tuple[float, float]:
    """One-sided lower and upper bounds of a probability, after `count` of `episodes`.

    Source: Clopper & Pearson, Biometrika, 1934.
    """
    lower = 0.0 if count == 0 else float(stats.beta.ppf(1 - confidence, count, episodes - count + 1))
    upper = 1.0 if count == episodes else float(stats.beta.ppf(confidence, count + 1, episodes - count))
    return lower, upper


def expected_cost(costs: np.ndarray, limit: float, maximum: float, confidence: float = 0.95) -> Verdict:
    """Whether the expected episode cost is within the limit, from `[n]` episode costs in [0, maximum]."""
    costs = np.asarray(costs, float)

    def bounds(repeats: float) -> tuple[float, float]:
        size = round(len(costs) * repeats)
        # As many episodes like these, in an order of their own.
        more = costs if size == len(costs) else np.random.default_rng(0).permutation(np.resize(costs, size))
        return mean_lower_bound(more, maximum, confidence), mean_upper_bound(more, maximum, confidence)

    return _verdict(float(costs.mean()), limit, len(costs), bounds)


def exceedance(costs: np.ndarray, limit: float, risk: float, confidence: float = 0.95) -> Verdict:
    """Whether the probability that an episode exceeds the limit is at most `risk`, from `[n]` episode costs."""
    over, episodes = int(np.sum(np.asarray(costs) > limit)), len(costs)

    def bounds(repeats: float) -> tuple[float, float]:
        size = round(episodes * repeats)
        return share_bounds(round(over / episodes * size), size, confidence)

    return _verdict(over / episodes, risk, episodes, bounds)


def _verdict(estimate: float, limit: float, episodes: int, bounds: Callable[[float], tuple[float, float]]) -> Verdict:
    """The verdict of bounds that depend on how many times as many episodes there are."""
    lower, upper = bounds(1.0)
    verdict = "within" if upper <= limit else "over" if lower > limit else "open"
    more: int | None = 0
    if verdict == "open":
        more, repeats = None, 1.0
        while more is None and repeats * episodes < MOST_EPISODES:
            repeats *= 1.25
            lower_then, upper_then = bounds(repeats)
            if upper_then <= limit or lower_then > limit:
                more = int(np.ceil(episodes * (repeats - 1)))
    return Verdict(estimate, lower, upper, limit, verdict, more)
