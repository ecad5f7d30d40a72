"""A sweep's folder: what lies where, and how a chunk's results enter it, whole or not at all.

sweep.json       the request, and how it was cut into chunks
runs.parquet     one row per run: its task, method, seed and what differs
metrics/         one columnar table in parts, one per chunk: a row per run, stage and iteration
results/         likewise, a row per run; a chunk is done when its part is here
policies/        finetuned policies, one checkpoint per chunk
work/            checkpoints of the chunk that is going on
common/          stages that several runs have in common, until the sweep is done
summary.json     the result
figures/         PNG
"""

import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import pyarrow as pa

from marvel_jax.config.errors import UserError
from marvel_jax.config.tasks import load_env_module
from marvel_jax.runs import checkpoint, metrics
from marvel_jax.runs.folder import RunFolder, write_json
from marvel_jax.sweeps.plan import Chunk, Group
from marvel_jax.sweeps.request import Point, Request, from_json, to_json


class SweepFolder:
    """Paths and files of one sweep."""

    def __init__(self, path: Path):
        self.path = path
        self.plan, self.runs = path / "sweep.json", path / "runs.parquet"
        self.summary, self.figures = path / "summary.json", path / "figures"
        self.common = path / "common"

    def create(self, request: Request, points: list[Point], groups: list[Group], sizes: list[int]) -> None:
        """Makes the folder, with what will be done; it is there whole or not at all.

        Raises:
          UserError: If the folder cannot be written.
        """
        partial = SweepFolder(self.path.with_name(self.path.name + ".partial"))
        try:
            shutil.rmtree(partial.path, ignore_errors=True)  # of a process that was killed here
            for name in ("metrics", "results", "policies", "work", "common"):
                (partial.path / name).mkdir(parents=True)
            metrics.write_table(partial.runs, _runs_table(points, groups))
            plan = {"version": version("marvel-jax"), "chunk_sizes": sizes, "request": to_json(request)}
            write_json(partial.plan, plan)
            partial.path.replace(self.path)
        except OSError as error:
            raise UserError(f"{self.path} cannot be written ({error.strerror}). Give another --out.") from None

    def read_plan(self) -> tuple[Request, list[int]]:
        """The request and the chunk size of each of its groups.

        Raises:
          UserError: If this is no sweep's folder, or one of another version.
        """
        try:
            data = json.loads(self.plan.read_text())
            made_by = data["version"]
            if made_by == version("marvel-jax"):
                load_env_module(data["request"]["env_module"])
                return from_json(data["request"]), data["chunk_sizes"]
        except FileNotFoundError:
            raise UserError(f"There is no sweep at {self.path}.") from None
        except (OSError, UnicodeDecodeError, json.JSONDecodeError, TypeError, KeyError) as error:
            raise UserError(f"{self.plan} cannot be read as a sweep's plan ({error}).") from None
        raise UserError(f"{self.path} is a sweep of version {made_by}; this is {version('marvel-jax')}. Start it anew.")

    def done(self, chunk: Chunk) -> bool:
        """Whether a chunk's results are here."""
        return self._part("results", chunk.number).exists()

    def work(self, chunk: Chunk, part: str = "all") -> RunFolder:
        """Where a chunk that is going on keeps its checkpoints, of all its runs or of what they have in common."""
        path = self._work(chunk) / part
        path.mkdir(parents=True, exist_ok=True)
        return RunFolder(path)

    def _work(self, chunk: Chunk) -> Path:
        return self.path / "work" / f"{chunk.number:05d}"

    def commit(self, chunk: Chunk, measured: pa.Table, results: pa.Table, policies: Any) -> None:
        """Enters a finished chunk. Its results come last: before that, it is not done, and nothing of it counts."""
        saved = self.path / "policies" / f"{chunk.number:05d}"
        shutil.rmtree(saved, ignore_errors=True)
        with checkpoint.Saver(saved) as saver:
            saver.save(0, policies)
        metrics.write_table(self._part("metrics", chunk.number), measured)
        metrics.write_table(self._part("results", chunk.number), results)
        shutil.rmtree(self._work(chunk), ignore_errors=True)

    def table(self, name: str) -> pa.Table:
        """All parts of `metrics` or `results`.

        Raises:
          UserError: If a part is damaged; it says how to have it made again.
        """
        parts = []
        for path in sorted((self.path / name).glob("*.parquet")):
            try:
                parts.append(metrics.read_table(path))
            except UserError:
                raise UserError(
                    f"{path} is damaged. Delete results/{path.name} and go on with: marvel sweep --resume {self.path} "
                    "(the other chunks stay as they are)."
                ) from None
        if not parts:
            raise UserError(f"{self.path} has no finished chunk yet. Go on with: marvel sweep --resume {self.path}")
        return pa.concat_tables(parts, promote_options="default")

    def policy(self, run: int) -> Any:
        """The finetuned policy's parameters of a run, by its number.

        Raises:
          UserError: If it is not finished.
        """
        for path in sorted((self.path / "results").glob("*.parquet")):
            numbers = metrics.read_table(path)["run"].to_pylist()
            if run in numbers:
                params = checkpoint.read(self.path / "policies" / path.stem, ("params",))
                place = numbers.index(run)
                return jax.tree.map(lambda x, place=place: x[place], params)
        raise UserError(f"Run {run} of {self.path} is not finished.")

    def _part(self, name: str, number: int) -> Path:
        return self.path / name / f"{number:05d}.parquet"


def _runs_table(points: list[Point], groups: list[Group]) -> pa.Table:
    """A row per run, in order of their numbers."""
    place = {id(point): index for index, point in enumerate(points)}
    rows = [
        {
            "run": run.number,
            "point": place[id(run.point)],
            "task": run.point.task,
            "method": run.point.method,
            "seed": run.seed,
            "cost_limit": run.point.hyper.cost_limit,
            **{n: str(v) if isinstance(v, tuple) else v for n, v in run.point.changes.items()},
        }
        for group in groups
        for run in group.runs
    ]
    rows.sort(key=lambda row: row["run"])
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: [row.get(name) for row in rows] for name in names})
