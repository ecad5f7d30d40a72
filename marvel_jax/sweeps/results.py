"""What a chunk's runs have come to: a row per run, and curves out of a sweep's metrics."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import pyarrow as pa

from marvel_jax.runs.metrics import of_stage, violation
from marvel_jax.runs.pipeline import Outcome
from marvel_jax.sweeps.plan import Chunk
from marvel_jax.training.stages import FINETUNE


def results_of(chunk: Chunk, outcome: Outcome, measured: pa.Table, policies: Any) -> pa.Table:
    """A row per run. `diverged` marks runs with a number that is not finite, in results, metrics or policy.

    Args:
      chunk: Whose runs.
      outcome: Of its pipeline.
      measured: The pipeline's metrics.
      policies: Finetuned acting policies, runs on axis 0.
    """
    assert outcome.offline is not None
    assert outcome.final is not None
    count = len(chunk.runs)
    columns = {
        f"{prefix}{name}": np.mean(getattr(found, name), axis=1)[:count].astype(float)
        for prefix, found in (("", outcome.final), ("offline_", outcome.offline))
        for name in ("reward", "cost", "sampled_reward", "sampled_cost")
    }
    cost = online_curves(measured, "cost", [run.number for run in chunk.runs])
    limits = np.asarray([run.point.cost_limit for run in chunk.runs])
    columns["violation"] = violation(cost, limits[:, None])
    numbers = [*columns.values(), *(np.asarray(leaf).reshape(count, -1) for leaf in jax.tree.leaves(policies))]
    columns["diverged"] = ~np.all([np.isfinite(x.reshape(count, -1)).all(axis=1) for x in numbers], axis=0)
    return pa.table({"run": [run.number for run in chunk.runs], **columns})


def online_curves(measured: pa.Table, name: str, runs: Sequence[int]) -> np.ndarray:
    """A metric of the online stage, `[runs, iterations]`."""
    table = of_stage(measured, FINETUNE).select(["run", "iteration", name])
    row, column, values = (table[part].to_numpy() for part in ("run", "iteration", name))
    place = {number: index for index, number in enumerate(runs)}
    wanted = np.asarray([number in place for number in row.tolist()])
    curves = np.full((len(runs), int(column.max())), np.nan)
    curves[[place[number] for number in row[wanted].tolist()], column[wanted] - 1] = values[wanted]
    return curves
