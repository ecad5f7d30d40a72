"""A run's metrics as a Parquet table: one row per seed, stage and iteration."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from marvel_jax.config.errors import UserError


class Metrics:
    """A table in memory, mirrored to one Parquet file.

    Columns: the runs' labels (`seed`, and in sweeps `run`), `stage`, `iteration` (updates or iterations done after
    this row), and every metric of every stage; a metric that a stage does not have is null.
    """

    def __init__(self, path: Path, table: pa.Table | None = None):
        self.path = path
        self._parts = [] if table is None else [table]

    @property
    def table(self) -> pa.Table:
        """Everything so far."""
        whole = pa.concat_tables(self._parts, promote_options="default") if self._parts else pa.table({})
        self._parts = [whole]
        return whole

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Everything so far, a dictionary per row."""
        return self.table.to_pylist()

    def add(self, stage: str, labels: dict[str, list[int]], done: int, metrics: dict[str, np.ndarray]) -> None:
        """Adds a chunk's metrics.

        Args:
          stage: Its name.
          labels: What tells the runs apart, `[runs]` each.
          done: Iterations that are done; the number of each metric's last.
          metrics: `[runs, ...]` each, one number per run or per run and iteration. Runs beyond those that have labels
            are left out.
        """
        runs = len(next(iter(labels.values())))
        arrays = {name: np.asarray(values, float)[:runs].reshape(runs, -1) for name, values in metrics.items()}
        count = next(iter(arrays.values())).shape[1]
        columns: dict[str, Any] = {name: np.tile(values, count) for name, values in labels.items()}
        columns["stage"] = pa.array([stage] * (runs * count))
        columns["iteration"] = np.repeat(np.arange(done - count + 1, done + 1), runs)
        self._parts.append(pa.table({**columns, **{name: array.T.ravel() for name, array in arrays.items()}}))

    def append(self, table: pa.Table) -> None:
        """Adds rows of another run's table."""
        self._parts.append(table)

    def forget(self, stage: str, after: int) -> None:
        """Drops a stage's rows after an iteration: those that no checkpoint has."""
        if self.table.num_rows:
            self._parts = [self.table.filter((pc.field("stage") != stage) | (pc.field("iteration") <= after))]

    def write(self) -> None:
        """Writes the file anew, atomically."""
        write_table(self.path, self.table)


def write_table(path: Path, table: pa.Table) -> None:
    """Writes a Parquet file so that a reader sees the old file or the new one, never half of it."""
    partial = path.with_suffix(".partial")
    pq.write_table(table, partial)
    partial.replace(path)


def read_table(path: Path) -> pa.Table:
    """Reads a Parquet file.

    Raises:
      UserError: If the file is damaged.
    """
    try:
        return pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} cannot be read as metrics ({str(error).splitlines()[0]}).") from None


def read(path: Path) -> Metrics:
    """The metrics of a run folder; none if the file is not there yet. Raises as `read_table`."""
    return Metrics(path, read_table(path) if path.exists() else None)


def of_stage(table: pa.Table, stage: str) -> pa.Table:
    """The rows of one stage."""
    return table.filter(pc.field("stage") == stage)


def curves(rows: list[dict[str, Any]], stage: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """A metric of a stage as iterations `[K]` and values `[seeds, K]` (NaN where absent)."""
    of_stage = [r for r in rows if r["stage"] == stage]
    iterations = sorted({r["iteration"] for r in of_stage})
    seeds = sorted({r["seed"] for r in of_stage})
    values = np.full((len(seeds), len(iterations)), np.nan)
    place_of_seed, place = {s: i for i, s in enumerate(seeds)}, {t: i for i, t in enumerate(iterations)}
    for row in of_stage:
        value = row.get(name)
        values[place_of_seed[row["seed"]], place[row["iteration"]]] = np.nan if value is None else value
    return np.asarray(iterations), values


def violation(cost: np.ndarray, limit: float | np.ndarray) -> np.ndarray:
    """Mean over iterations of max(0, J_C − limit), from costs `[seeds, iterations]` and one limit or `[seeds, 1]`."""
    return np.maximum(cost - limit, 0.0).mean(axis=1)
