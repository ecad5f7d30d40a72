"""Runs a sweep's chunks one after another, each into the folder when it is done."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import pyarrow as pa

from marvel_jax.config.errors import UserError
from marvel_jax.runs import writers
from marvel_jax.runs.console import Reporter
from marvel_jax.runs.interruption import StopRequest
from marvel_jax.runs.metrics import of_stage, violation
from marvel_jax.runs.pipeline import Outcome, Pipeline
from marvel_jax.runs.program import Program, host_is_free
from marvel_jax.runs.simulator import actors_of
from marvel_jax.runs.writers import WriterChoice
from marvel_jax.sweeps.common import CommonStages, key
from marvel_jax.sweeps.folder import SweepFolder
from marvel_jax.sweeps.plan import Chunk, Group, Run
from marvel_jax.sweeps.programs import Programs
from marvel_jax.training import stages


@dataclass(frozen=True)
class Share:
    """Which chunks a process does: those whose number leaves `index` when divided by `count`."""

    index: int = 0
    count: int = 1

    def of(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """This process's chunks."""
        return [chunk for chunk in chunks if chunk.number % self.count == self.index]


def run(
    folder: SweepFolder,
    chunks: Sequence[Chunk],
    programs: Programs,
    share: Share,
    reporter: Reporter,
    choice: WriterChoice,
) -> dict[str, float]:
    """Does every chunk of this process's share that is not done yet; returns the seconds of each kind of work.

    Raises:
      Interrupted: After Ctrl-C, with everything saved.
      UserError: If the folder can no longer be written.
    """
    mine = share.of(chunks)
    total = sum(len(chunk.runs) for chunk in mine)
    done = sum(len(chunk.runs) for chunk in mine if folder.done(chunk))
    seconds: Counter[str] = Counter()
    with reporter, StopRequest() as stop:
        reporter.begin("sweep", "runs", total, done)
        group = None
        for place, chunk in enumerate(mine, 1):
            if not folder.done(chunk):
                program = programs.get(chunk.group, chunk.size)
                if host_is_free() and chunk.group != group:  # once: a group's chunks have their programs in common
                    _compile_ahead(folder, programs, chunk, mine[place:])
                group = chunk.group
                watcher = _ChunkReporter(reporter, done, chunk, f"chunk {place} of {len(mine)}", program)
                try:
                    seconds.update(_run_chunk(folder, chunk, programs, watcher, stop, choice))
                except OSError as error:
                    raise UserError(
                        f"{folder.path} can no longer be written ({error.strerror}) in chunk {chunk.number}. Finished "
                        f"chunks are intact: {_finished(folder, mine)}. Make room, and go on with: "
                        f"marvel sweep --resume {folder.path}"
                    ) from None
                done += len(chunk.runs)
    return dict(seconds)


def _compile_ahead(folder: SweepFolder, programs: Programs, now: Chunk, later: Sequence[Chunk]) -> None:
    """Begins to compile, in the background, what this chunk needs, and then what the next group does."""
    common = CommonStages(folder.common, programs.datasets, now.runs)
    _begin(programs, now, lambda stage: bool(common.missing(stage)))
    for chunk in later:
        if chunk.group != now.group and not folder.done(chunk):
            # Offline states are most often there by then, of an earlier group.
            _begin(programs, chunk, lambda stage: stage != stages.PRETRAIN)
            return


def _begin(programs: Programs, chunk: Chunk, needed: Callable[[str], bool]) -> None:
    """Begins to compile a chunk's online stage, and the `needed` ones of those before it."""
    program = programs.get(chunk.group, chunk.size)
    names = [stage.name for stage in program.plan if stage.name == stages.FINETUNE or needed(stage.name)]
    program.compile_ahead(programs.batch(chunk.group, chunk.size, chunk.runs), names)


def _finished(folder: SweepFolder, chunks: Sequence[Chunk]) -> str:
    """The numbers of those that are done."""
    return ", ".join(str(chunk.number) for chunk in chunks if folder.done(chunk)) or "none yet"


def _run_chunk(
    folder: SweepFolder,
    chunk: Chunk,
    programs: Programs,
    reporter: Reporter,
    stop: StopRequest,
    choice: WriterChoice,
) -> dict[str, float]:
    program = programs.get(chunk.group, chunk.size)
    batch = programs.batch(chunk.group, chunk.size, chunk.runs)
    seconds: Counter[str] = Counter()
    common = CommonStages(folder.common, programs.datasets, chunk.runs)
    for stage in program.plan[:-1]:
        missing = common.missing(stage.name)
        if missing:
            size = programs.even_size(len(missing), chunk.size)
            outcome = _do_common(folder, chunk, programs, common.of(missing), stage.name, size, reporter, stop)
            seconds.update(outcome.seconds)
    pipeline = Pipeline(program, batch, _labels(chunk.runs), folder.work(chunk), reporter, common)
    series = [f"{run.point.task}, {run.point.label}/chunk {chunk.number}" for run in chunk.runs]
    with writers.opened(choice, folder.path, series, {"chunk": chunk.number}) as pipeline.writers:
        outcome = pipeline.run(stages.FINETUNE, stop)
    # As NumPy's arrays, which can be read on any machine.
    actors = jax.device_get(jax.tree.map(lambda x: x[: len(chunk.runs)], actors_of(outcome.states[stages.FINETUNE])))
    measured = pipeline.metrics.table
    folder.commit(chunk, measured, _results(chunk, outcome, measured, actors), actors)
    seconds.update(outcome.seconds)
    return dict(seconds)


def _labels(runs: Sequence[Run]) -> dict[str, list[int]]:
    return {"run": [run.number for run in runs], "seed": [run.seed for run in runs]}


def _do_common(
    folder: SweepFolder,
    chunk: Chunk,
    programs: Programs,
    common: CommonStages,
    stage: str,
    size: int,
    reporter: Reporter,
    stop: StopRequest,
) -> Outcome:
    """Does a stage of the runs of `common`, and enters it there."""
    program, batch = programs.get(chunk.group, size), programs.batch(chunk.group, size, common.runs)
    pipeline = Pipeline(program, batch, _labels(common.runs), folder.work(chunk, stage), reporter, common)
    outcome = pipeline.run(stage, stop)
    common.add(f"{chunk.number:05d}", stage, outcome.states[stage], pipeline.metrics.table)
    return outcome


def _results(chunk: Chunk, outcome: Outcome, measured: pa.Table, actors: Any) -> pa.Table:
    """A row per run. `diverged` marks runs with a number that is not finite, in results, metrics or policy."""
    assert outcome.offline is not None
    assert outcome.final is not None
    count = len(chunk.runs)
    columns = {
        f"{prefix}{name}": np.mean(getattr(found, name), axis=1)[:count].astype(float)
        for prefix, found in (("", outcome.final), ("offline_", outcome.offline))
        for name in ("reward", "cost", "sampled_reward", "sampled_cost")
    }
    cost = online_curves(measured, "cost", [run.number for run in chunk.runs])
    limits = np.asarray([float(run.point.hyper.cost_limit) for run in chunk.runs])
    columns["violation"] = violation(cost, limits[:, None])
    numbers = [*columns.values(), *(np.asarray(leaf).reshape(count, -1) for leaf in jax.tree.leaves(actors))]
    columns["diverged"] = ~np.all([np.isfinite(x.reshape(count, -1)).all(axis=1) for x in numbers], axis=0)
    return pa.table({"run": [run.number for run in chunk.runs], **columns})


def online_curves(measured: pa.Table, name: str, runs: Sequence[int]) -> np.ndarray:
    """A metric of the online stage, `[runs, iterations]`."""
    table = of_stage(measured, stages.FINETUNE).select(["run", "iteration", name])
    row, column, values = (table[part].to_numpy() for part in ("run", "iteration", name))
    place = {number: index for index, number in enumerate(runs)}
    wanted = np.asarray([number in place for number in row.tolist()])
    curves = np.full((len(runs), int(column.max())), np.nan)
    curves[[place[number] for number in row[wanted].tolist()], column[wanted] - 1] = values[wanted]
    return curves


def estimate(parts: Sequence[Group], sizes: Sequence[int], programs: Programs) -> float:
    """Seconds that the sweep will take, from one chunk of updates or iterations of every stage of every group."""
    total, known = 0.0, set()
    for index, (group, size) in enumerate(zip(parts, sizes, strict=True)):
        program, batch = programs.get(index, size), programs.batch(index, size, group.runs[:size])
        states: dict[str, Any] = {}
        for stage in program.plan:
            first = program.start(stage, batch, states)
            clock = time.monotonic()
            states[stage.name], measured = program.advance(stage, batch, first)
            jax.block_until_ready(measured)
            seconds = (time.monotonic() - clock) * stage.total / stage.chunk
            if stage.name == stages.FINETUNE:
                total += seconds * -(-len(group.runs) // size)
            else:
                needed = {(stage.name, key(stage.name, run, programs.datasets)) for run in group.runs} - known
                total += seconds * len(needed) / size
                known |= needed
    return total


class _ChunkReporter(Reporter):
    """Progress of a chunk, shown as part of the sweep's."""

    def __init__(self, parent: Reporter, runs_before: int, chunk: Chunk, name: str, program: Program):
        super().__init__(quiet=True)
        self._parent, self._runs_before, self._runs, self._name = parent, runs_before, len(chunk.runs), name
        updates = program.hyper.online.updates
        self._work = {s.name: s.total * (updates if s.name == stages.FINETUNE else 1) for s in program.plan}

    def update(self, done: int, shown: dict[str, float], detail: str = "") -> None:
        # Gradient updates are what takes time, of whatever stage.
        names = list(self._work)
        worked = sum(self._work[name] for name in names[: names.index(self._stage)])
        worked += self._work[self._stage] * done / self._total
        detail = f"{self._name}, {self._stage} {done}/{self._total}"
        share = worked / sum(self._work.values())
        self._parent.update(self._runs_before + share * self._runs, shown, detail)
