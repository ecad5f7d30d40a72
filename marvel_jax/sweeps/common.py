"""Stages that several of a sweep's runs have in common, such as one seed's offline stage for all methods: done once.

common/STAGE-CHUNK/   states of some runs (a checkpoint), what they are of (index.json), and their metrics
"""

import json
import shutil
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from marvel_jax.runs import checkpoint, metrics
from marvel_jax.runs.folder import write_json
from marvel_jax.sweeps.plan import Run
from marvel_jax.training import stages


def key(stage: str, run: Run, datasets: dict[str, str]) -> str:
    """What decides a run's state after a stage; equal for runs that have it in common."""
    counting = stages.what_counts(stage, run.point.hyper)
    return json.dumps([run.point.task, datasets.get(run.point.task), run.seed, counting])


class CommonStages:
    """The folder of these states; for one chunk's runs, a source of finished stages for its pipeline.

    Args:
      path: The folder.
      datasets: The request's.
      runs: The chunk's.
    """

    keeps_copy = False  # in the work folder of a pipeline that takes from here

    def __init__(self, path: Path, datasets: dict[str, str], runs: tuple[Run, ...]):
        self.path, self._datasets, self.runs = path, datasets, runs

    def of(self, runs: tuple[Run, ...]) -> "CommonStages":
        """The same for other runs."""
        return CommonStages(self.path, self._datasets, runs)

    def missing(self, stage: str) -> tuple[Run, ...]:
        """One run for each state after `stage` that the chunk needs and that is not here yet."""
        here = self._places(stage)
        needed = {key(stage, run, self._datasets): run for run in reversed(self.runs)}
        return tuple(run for wanted, run in reversed(needed.items()) if wanted not in here)

    def add(self, name: str, stage: str, state: Any, measured: pa.Table) -> None:
        """Enters these runs' states (axis 0; any beyond the runs are left out) and metrics, whole or not at all."""
        folder = self.path / f"{stage}-{name}"
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        count = len(self.runs)
        with checkpoint.Saver(partial) as saver:
            saver.save(0, jax.tree.map(lambda x: x[:count], state))
        metrics.write_table(partial / "metrics.parquet", metrics.of_stage(measured, stage))
        write_json(partial / "index.json", [key(stage, run, self._datasets) for run in self.runs])
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)

    def take(self, stage: str, total: int, shapes: Any) -> tuple[Any, pa.Table] | None:
        """States `[runs, ...]` after a stage, with the structure and shardings of `shapes`, and metrics; or None.

        Raises:
          UserError: If one is damaged.
        """
        del total
        here = self._places(stage)
        wanted = [key(stage, run, self._datasets) for run in self.runs]
        if not all(one in here for one in wanted):
            return None
        places = [here[one] for one in wanted]
        parts = {folder: self._read(folder, shapes) for folder in dict(places)}  # each once, for all its runs
        first_rows = dict(zip(parts, np.cumsum([0, *(_count(state) for state, _ in parts.values())]), strict=False))
        rows = [first_rows[folder] + row for folder, row in places]
        rows += [rows[-1]] * (_count(shapes) - len(rows))
        joined = _rows([state for state, _ in parts.values()], np.asarray(rows))
        joined = jax.tree.map(lambda like, x: jax.device_put(x, like.sharding), shapes, joined)
        return joined, self._relabelled([(parts[folder][1], row) for folder, row in places])

    def _relabelled(self, rows: list[tuple[pa.Table, int]]) -> pa.Table:
        """The metrics of each run, under its own number and seed."""
        tables = []
        for run, (table, place) in zip(self.runs, rows, strict=True):
            own = table.filter(pc.field("run") == table["run"].unique()[place])
            own = own.set_column(own.column_names.index("run"), "run", pa.array([run.number] * len(own)))
            tables.append(own)
        return pa.concat_tables(tables)

    def _read(self, folder: Path, shapes: Any) -> tuple[Any, pa.Table]:
        count = len(json.loads((folder / "index.json").read_text()))
        like = jax.tree.map(lambda x: jax.ShapeDtypeStruct((count, *x.shape[1:]), x.dtype), shapes)
        return checkpoint.restore(folder, like), metrics.read_table(folder / "metrics.parquet")

    def _places(self, stage: str) -> dict[str, tuple[Path, int]]:
        """Folder and row of every state that is here."""
        found = {}
        for index in sorted(self.path.glob(f"{stage}-*/index.json")):
            if not index.parent.name.endswith(".partial"):
                found |= {one: (index.parent, row) for row, one in enumerate(json.loads(index.read_text()))}
        return found


def _count(state: Any) -> int:
    return jax.tree.leaves(state)[0].shape[0]


@jax.jit
def _rows(states: list[Any], rows: jax.Array) -> Any:
    """Such rows of states `[runs, ...]`, one after another: one program, as hundreds of runs have thousands of them."""
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves)[rows], *states)
