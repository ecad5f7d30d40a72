"""A run's metrics as a Parquet table: one row per seed, stage and iteration."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from marvel_jax.errors import UserError


class Metrics:
    """Rows in memory, mirrored to one Parquet file.

    Columns: `seed`, `stage`, `iteration` (updates or iterations done after this row), and every metric of every
    stage; a metric that a stage does not have is null.
    """

    def __init__(self, path: Path, rows: list[dict[str, Any]] | None = None):
        self.path = path
        self.rows = rows or []

    def add(self, stage: str, seeds: list[int], done: int, metrics: dict[str, np.ndarray]) -> None:
        """Adds a chunk's metrics, each `[seeds]` or `[seeds, iterations]`, the last of which is number `done`."""
        arrays = {name: np.asarray(values).reshape(len(seeds), -1) for name, values in metrics.items()}
        count = next(iter(arrays.values())).shape[1]
        for column in range(count):
            for row, seed in enumerate(seeds):
                values = {name: float(array[row, column]) for name, array in arrays.items()}
                self.rows.append({"seed": seed, "stage": stage, "iteration": done - count + column + 1, **values})

    def forget(self, stage: str, after: int) -> None:
        """Drops a stage's rows after an iteration: those that no checkpoint has."""
        self.rows = [r for r in self.rows if r["stage"] != stage or r["iteration"] <= after]

    def write(self) -> None:
        """Writes the file anew, atomically."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        table = pa.table({name: [row.get(name) for row in self.rows] for name in names})
        partial = self.path.with_suffix(".partial")
        pq.write_table(table, partial)
        partial.replace(self.path)


def read(path: Path) -> Metrics:
    """The metrics of a run folder; none if the file is not there yet.

    Raises:
      UserError: If the file is damaged.
    """
    if not path.exists():
        return Metrics(path)
    try:
        return Metrics(path, pq.read_table(path).to_pylist())
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} cannot be read as metrics ({str(error).splitlines()[0]}).") from None


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
