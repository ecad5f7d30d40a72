"""Runs a sweep's chunks one after another, each into the folder when it is done."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax

from marvel_jax.config.errors import UserError
from marvel_jax.runs import writers
from marvel_jax.runs.console import Reporter
from marvel_jax.runs.interruption import StopRequest
from marvel_jax.runs.pipeline import Pipeline
from marvel_jax.runs.program import Program, host_is_free
from marvel_jax.runs.writers import WriterChoice
from marvel_jax.sweeps.common import CommonStages
from marvel_jax.sweeps.folder import SweepFolder
from marvel_jax.sweeps.plan import Chunk, Run
from marvel_jax.sweeps.programs import Programs
from marvel_jax.sweeps.results import results_of
from marvel_jax.training.stages import FINETUNE, PRETRAIN


@dataclass(frozen=True)
class Share:
    """Which chunks a process does: those whose number leaves `index` when divided by `count`."""

    index: int = 0
    count: int = 1

    def of(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """This process's chunks."""
        return [chunk for chunk in chunks if chunk.number % self.count == self.index]


@dataclass(frozen=True)
class Sweep:
    """What all of a sweep's chunks have in common.

    Attributes:
      folder: Where results go.
      programs: What is compiled.
      reporter: Of progress.
      choice: Writers of curves.
    """

    folder: SweepFolder
    programs: Programs
    reporter: Reporter
    choice: WriterChoice

    def run(self, mine: Sequence[Chunk]) -> dict[str, float]:
        """Does every one of these chunks that is not done yet; returns the seconds of each kind of work.

        Raises:
          Interrupted: After Ctrl-C, with everything saved.
          UserError: If the folder can no longer be written.
        """
        total = sum(len(chunk.runs) for chunk in mine)
        done = sum(len(chunk.runs) for chunk in mine if self.folder.done(chunk))
        seconds: Counter[str] = Counter()
        with self.reporter, StopRequest() as stop:
            self.reporter.begin("sweep", "runs", total, done)
            group = None
            for place, chunk in enumerate(mine, 1):
                if self.folder.done(chunk):
                    continue
                if host_is_free() and chunk.group != group:  # once: a group's chunks have their programs in common
                    self._compile_ahead(chunk, mine[place:])
                group = chunk.group
                program = self.programs.get(chunk.group, chunk.size)
                watcher = _ChunkReporter(self.reporter, done, chunk, f"chunk {place} of {len(mine)}", program)
                try:
                    seconds.update(ChunkOfSweep(self, chunk, watcher, stop).run())
                except OSError as error:
                    raise UserError(
                        f"{self.folder.path} can no longer be written ({error.strerror}) in chunk {chunk.number}. "
                        f"Finished chunks are intact: {self._finished(mine)}. Make room, and go on with: "
                        f"marvel sweep --resume {self.folder.path}"
                    ) from None
                done += len(chunk.runs)
        return dict(seconds)

    def common(self, runs: tuple[Run, ...]) -> CommonStages:
        """Stages that these runs have in common with others."""
        return CommonStages(self.folder.common, self.programs.datasets, runs)

    def _compile_ahead(self, now: Chunk, later: Sequence[Chunk]) -> None:
        """Begins to compile, in the background, what this chunk needs, and then what the next group does."""
        common = self.common(now.runs)
        self._begin(now, lambda stage: bool(common.missing(stage)))
        for chunk in later:
            if chunk.group != now.group and not self.folder.done(chunk):
                # Offline states are most often there by then, of an earlier group.
                self._begin(chunk, lambda stage: stage != PRETRAIN)
                return

    def _begin(self, chunk: Chunk, needed: Callable[[str], bool]) -> None:
        """Begins to compile a chunk's online stage, and the `needed` ones of those before it."""
        program = self.programs.get(chunk.group, chunk.size)
        names = [stage.name for stage in program.plan if stage.name == FINETUNE or needed(stage.name)]
        program.compile_ahead(self.programs.batch(chunk.group, chunk.size, chunk.runs), names)

    def _finished(self, chunks: Sequence[Chunk]) -> str:
        """The numbers of those that are done."""
        return ", ".join(str(chunk.number) for chunk in chunks if self.folder.done(chunk)) or "none yet"


@dataclass(frozen=True)
class ChunkOfSweep:
    """A chunk at work.

    Attributes:
      sweep: Of which it is a part.
      chunk: Its runs.
      reporter: Of its progress.
      stop: What says that the user wants to stop.
    """

    sweep: Sweep
    chunk: Chunk
    reporter: Reporter
    stop: StopRequest

    def run(self) -> dict[str, float]:
        """Does the chunk, and enters it into the folder; returns the seconds of each kind of work."""
        sweep, chunk, seconds = self.sweep, self.chunk, Counter[str]()
        program = sweep.programs.get(chunk.group, chunk.size)
        for stage in program.plan[:-1]:
            seconds.update(self._do_common(stage.name))
        pipeline = self._pipeline(chunk.runs, chunk.size, "all")
        series = [f"{run.point.task}, {run.point.label}/chunk {chunk.number}" for run in chunk.runs]
        with writers.opened(sweep.choice, sweep.folder.path, series, {"chunk": chunk.number}) as pipeline.writers:
            outcome = pipeline.run(FINETUNE, self.stop)
        # As NumPy's arrays, which can be read on any machine.
        acting = outcome.states[FINETUNE].acting
        policies = jax.device_get(jax.tree.map(lambda x: x[: len(chunk.runs)], acting))
        measured = pipeline.metrics.table
        sweep.folder.commit(chunk, measured, results_of(chunk, outcome, measured, policies), policies)
        seconds.update(outcome.seconds)
        return dict(seconds)

    def _do_common(self, stage: str) -> dict[str, float]:
        """Does a stage for the states that are not there yet, one run for each; returns its seconds."""
        missing = self.sweep.common(self.chunk.runs).missing(stage)
        if not missing:
            return {}
        size = self.sweep.programs.even_size(len(missing), self.chunk.size)
        pipeline = self._pipeline(missing, size, stage)
        outcome = pipeline.run(stage, self.stop)
        name = f"{self.chunk.number:05d}"
        self.sweep.common(missing).add(name, stage, outcome.states[stage], pipeline.metrics.table)
        return outcome.seconds

    def _pipeline(self, runs: tuple[Run, ...], size: int, part: str) -> Pipeline:
        """The pipeline of some of the chunk's runs, with a work folder for that part of it."""
        sweep, group = self.sweep, self.chunk.group
        program, batch = sweep.programs.get(group, size), sweep.programs.batch(group, size, runs)
        labels = {"run": [run.number for run in runs], "seed": [run.seed for run in runs]}
        work = sweep.folder.work(self.chunk, part)
        return Pipeline(program, batch, labels, work, self.reporter, sweep.common(runs))


class _ChunkReporter(Reporter):
    """Progress of a chunk, shown as part of the sweep's."""

    def __init__(self, parent: Reporter, runs_before: int, chunk: Chunk, name: str, program: Program):
        super().__init__(quiet=True)
        self._parent, self._runs_before, self._runs, self._name = parent, runs_before, len(chunk.runs), name
        updates = program.hyper.online.updates
        self._work = {s.name: s.total * (updates if s.name == FINETUNE else 1) for s in program.plan}

    def update(self, done: int, shown: dict[str, Any], detail: str = "") -> None:
        # Gradient updates are what takes time, of whatever stage.
        names = list(self._work)
        worked = sum(self._work[name] for name in names[: names.index(self._stage)])
        worked += self._work[self._stage] * done / self._total
        detail = f"{self._name}, {self._stage} {done}/{self._total}"
        share = worked / sum(self._work.values())
        self._parent.update(self._runs_before + share * self._runs, shown, detail)
