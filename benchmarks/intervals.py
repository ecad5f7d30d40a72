"""How far the intervals and marks of `marvel compare` can be trusted, by how many seeds there are.

    python benchmarks/intervals.py

Draws a few seeds at a time from the 256 that BallRun-20-safe-256.json has of two methods, so that distributions are
those of real runs. Of one method: how often its 95 % interval holds the interquartile mean of all 256. Of both: how
often a difference is marked though there is none, since which run is whose is drawn by lot, seed by seed. Takes three
minutes.
"""

from typing import Any

import common
import numpy as np

from marvel_jax.report import statistics

SEEDS = (4, 8, 16, 32)
DRAWS = 4000
MEASURES = ("reward", "cost", "violation")


def coverage(values: np.ndarray, seeds: int, generator: np.random.Generator) -> float:
    """Share of draws of `seeds` from `[all]` values whose interval holds the interquartile mean of all."""
    truth = statistics.interquartile_mean(values)
    held = 0
    for _ in range(DRAWS):
        _, low, high = statistics.interval(generator.choice(values, seeds))
        held += bool(low <= truth <= high)
    return held / DRAWS


def marked(ours: np.ndarray, theirs: np.ndarray, seeds: int, generator: np.random.Generator) -> float:
    """Share of draws whose difference is marked, when ours and theirs `[all]` are exchanged by lot."""
    found = 0
    for _ in range(DRAWS):
        which = generator.integers(0, len(ours), seeds)
        swap = generator.random(seeds) < 0.5
        one, other = np.where(swap, (theirs[which], ours[which]), (ours[which], theirs[which]))
        _, low, high = statistics.difference(one, other, paired=True)
        found += bool(low > 0 or high < 0)
    return found / DRAWS


def main() -> None:
    methods = common.read("comparison/BallRun-20-safe-256")["methods"]
    values = {name: {m: np.asarray(found["values"][m]) for m in MEASURES} for name, found in methods.items()}
    ours, theirs = values["marvel"], values["warm-start"]
    statistics.RESAMPLES = 1000  # half as many as usual, for time
    generator, found = np.random.default_rng(0), {}
    for seeds in SEEDS:
        row: dict[str, Any] = {
            "coverage": {
                f"{name}, {measure}": coverage(of_method[measure], seeds, generator)
                for name, of_method in values.items()
                for measure in MEASURES
            },
            "marked_without_difference": {
                measure: marked(ours[measure], theirs[measure], seeds, generator) for measure in MEASURES
            },
        }
        found[str(seeds)] = row
        print(seeds, row, flush=True)
    common.write("intervals", "python benchmarks/intervals.py", {"draws": DRAWS, "seeds": found})


if __name__ == "__main__":
    main()
