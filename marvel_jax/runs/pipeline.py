"""Takes a batch of runs through its stages: advance in chunks, report, checkpoint, resume."""

import json
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import jax
import marvel_envs
import numpy as np

from marvel_jax.config.errors import UserError
from marvel_jax.config.run_config import RunConfig
from marvel_jax.config.tasks import find_task
from marvel_jax.core.problem import problem_of
from marvel_jax.datasets.hdf5 import load_dataset, shipped_path
from marvel_jax.runs import advice, checkpoint, metrics
from marvel_jax.runs.console import Reporter
from marvel_jax.runs.finished import FinishedRun, FinishedStages
from marvel_jax.runs.folder import RunFolder, write_json
from marvel_jax.runs.interruption import Interrupted, StopRequest
from marvel_jax.runs.program import Batch, OnDevice, Program
from marvel_jax.runs.simulator import InSimulator, Simulator, settings_of
from marvel_jax.runs.writers import Writers
from marvel_jax.training import stages
from marvel_jax.training.evaluate import Evaluation
from marvel_jax.training.stages import Stage

CHECKPOINT_EVERY = 60.0  # seconds


@dataclass
class Outcome:
    """What the pipeline leaves in memory when all asked-for stages are done.

    Attributes:
      states: Final states of the last stages by name, runs on axis 0; finetuning leaves only its own.
      seconds: Wall time per stage, and `compile` of them all.
      offline_policies: Acting policies that finetuning started from, runs on axis 0.
      offline, final: Evaluations `[runs, episodes]`; None if finetuning was not asked for.
    """

    states: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    offline_policies: Any = None
    offline: Evaluation | None = None
    final: Evaluation | None = None


class Pipeline:
    """A batch of runs with a folder.

    Args:
      program: What is compiled.
      batch: The runs.
      labels: What tells them apart in metrics, `[runs]` each; runs beyond those that have labels leave no metrics.
      folder: For checkpoints and metrics; what it has of them is gone on with.
      reporter: Of progress.
      finished: Stages that are used as they are.
      simulator: Name of the real simulator that the online stage plays in; None is the program's environment.
    """

    def __init__(
        self,
        program: Program,
        batch: Batch,
        labels: dict[str, list[int]],
        folder: RunFolder,
        reporter: Reporter,
        finished: FinishedStages | None = None,
        simulator: str | None = None,
    ):
        self.program, self.batch, self.labels = program, batch, labels
        self.folder, self.reporter, self.finished, self.simulator = folder, reporter, finished, simulator
        self.writers: Writers | None = None  # what gets the metrics as well, if anything
        self.metrics = metrics.read(folder.metrics)
        self.outcome = Outcome(seconds=self._read_seconds())
        self._wanted: list[str] = []  # stages up to the last one that is asked for, which are compiled
        self._waited = program.compile_seconds

    def run(self, last: str = stages.FINETUNE, stop: StopRequest | None = None) -> Outcome:
        """Goes through the method's stages up to `last`, from wherever the folder's checkpoints are.

        Args:
          last: The last stage; after finetuning policies are evaluated as well.
          stop: What says that the user wants to stop. Default: its own.

        Raises:
          Interrupted: After Ctrl-C, with everything saved.
          UserError: If a checkpoint does not fit.
          OSError: If the folder cannot be written.
        """
        plan = self._plan_to(last)
        self._wanted = [stage.name for stage in plan if stage.name != stages.FINETUNE or self.simulator is None]
        stopping = StopRequest() if stop is None else nullcontext(stop)
        with self.reporter, stopping as asked, self._real_simulator(last) as simulator:
            try:
                for stage in plan:
                    if stage.name == stages.FINETUNE:
                        self._finetune(stage, asked, simulator)
                    else:
                        self.outcome.states[stage.name] = self._run_stage(stage, asked)
            finally:
                self.program.stop_compiling()
        return self.outcome

    def restore(self, name: str) -> Any:
        """The newest saved state of a stage, runs on axis 0.

        Raises:
          UserError: If the method has no such stage, or the folder no checkpoint of it.
        """
        self._plan_to(name)  # refuses stages that the method has not
        return checkpoint.restore(self.folder.checkpoints(name), self.program.shapes(self.batch)[name])

    def _plan_to(self, last: str) -> list[Stage]:
        plan = self.program.plan
        names = [stage.name for stage in plan]
        if last not in names:
            raise UserError(f"This method has no {last} stage. It has: {', '.join(names)}.")
        return plan[: names.index(last) + 1]

    def _real_simulator(self, last: str) -> AbstractContextManager[Simulator | None]:
        """The real simulator, if the online stage is to play in one."""
        if self.simulator is None or last != stages.FINETUNE:
            return nullcontext()
        self.reporter.say(f"starting {self.simulator}")
        program = self.program
        return Simulator(program.env.spec, self.simulator, program.count, program.hyper.online.episodes)

    def _finetune(self, stage: Stage, stop: StopRequest, simulator: Simulator | None) -> None:
        """The online stage between two evaluations. What came before it is let go, since replay needs the memory."""
        first = self._first_state(stage)
        self.outcome.states.clear()
        self.outcome.offline_policies = jax.tree.map(lambda x: x.copy(), first.acting)
        self.outcome.offline = self._evaluate(self.outcome.offline_policies, False, simulator)
        limit = float(problem_of(self.program.env.spec, self.program.hyper).cost_limit)
        self.reporter.say(advice.of_start(self.program.hyper, limit, self.outcome.offline))
        player = None if simulator is None else InSimulator(self.program, simulator)
        state = self._run_stage(stage, stop, first, player)
        self.outcome.states[stage.name] = state
        self.outcome.final = self._evaluate(state.acting, True, simulator)

    def _first_state(self, stage: Stage) -> Any:
        return self.program.start(stage, self.batch, self.outcome.states)

    def _run_stage(
        self, stage: Stage, stop: StopRequest, first: Any = None, player: OnDevice | InSimulator | None = None
    ) -> Any:
        """The stage's last state, from `first`, its first one, or from the folder's newest checkpoint.

        It is played by `player`, or on the program's own devices.
        """
        player = player or OnDevice(self.program, stage)
        folder = self.folder.checkpoints(stage.name)
        done = checkpoint.latest_step(folder) or 0
        taken = self._take_finished(stage) if done == 0 and self.finished else None
        if taken is not None:
            return taken
        self.metrics.forget(stage.name, done)
        if done == stage.total:
            return self.restore(stage.name)
        self.reporter.begin(stage.name, stage.unit, stage.total, done)
        if stage.name in self._wanted:
            self.program.compile_ahead(self.batch, self._wanted[self._wanted.index(stage.name) :])
        state = self.restore(stage.name) if done else self._first_state(stage) if first is None else first
        player.prepare(self.batch)  # waited for here: the time of the stage is that of its work
        with checkpoint.Saver(folder) as saver:
            return self._chunks(stage, player, stop, state, done, saver)

    def _chunks(
        self,
        stage: Stage,
        player: OnDevice | InSimulator,
        stop: StopRequest,
        state: Any,
        done: int,
        saver: checkpoint.Saver,
    ) -> Any:
        """Advances the stage to its end from `done` on, with metrics, progress and checkpoints."""
        saved = counted = time.monotonic()
        measured: dict[str, np.ndarray] = {}
        while done < stage.total:
            state, measured = player.advance(self.batch, state)
            measured = jax.device_get(measured)
            done += player.chunk
            self.metrics.add(stage.name, self.labels, done, measured)
            if self.writers is not None:
                self.writers.add(stage.name, done, measured)
            self.reporter.update(done, _headline(measured))
            now = time.monotonic()
            if done == stage.total or stop.asked or now - saved > CHECKPOINT_EVERY:
                self._count(stage.name, now - counted)
                self._save(saver, done, state)
                saved = counted = time.monotonic()
            if stop.asked:
                raise Interrupted
        if "cloned" in measured:
            self.reporter.say(advice.of_clones(self.program.hyper, measured["cloned"]))
        return state

    def _take_finished(self, stage: Stage) -> Any:
        """The stage's last state and metrics from where they are finished; None if they are not."""
        assert self.finished is not None
        found = self.finished.take(stage.name, stage.total, self.program.shapes(self.batch)[stage.name])
        if found is None:
            return None
        state, measured = found
        self.reporter.say(f"{stage.name}: taken from {self.finished.path}")
        self.metrics.forget(stage.name, 0)
        self.metrics.append(measured)
        if self.finished.keeps_copy:
            with checkpoint.Saver(self.folder.checkpoints(stage.name)) as saver:
                self._save(saver, stage.total, state)
        return state

    def _save(self, saver: checkpoint.Saver, done: int, state: Any) -> None:
        """Metrics go first: rows that no checkpoint has are dropped on resuming, but missing ones could not be had."""
        self._count_compiling()
        self.metrics.write()
        write_json(self.folder.seconds, self.outcome.seconds)
        saver.save(done, state)

    def _read_seconds(self) -> dict[str, float]:
        """What an interrupted run has spent so far."""
        path = self.folder.seconds
        return json.loads(path.read_text()) if path.exists() else {}

    def _count(self, name: str, seconds: float) -> None:
        self.outcome.seconds[name] = self.outcome.seconds.get(name, 0.0) + seconds

    def _count_compiling(self) -> float:
        """Counts the seconds that were waited for programs since the last time, and returns them."""
        waited, self._waited = self.program.compile_seconds - self._waited, self.program.compile_seconds
        self._count("compile", waited)
        return waited

    def _evaluate(self, policies: Any, final: bool, simulator: Simulator | None) -> Evaluation:
        """Fresh episodes of policies, where they are finetuned."""
        self._count_compiling()
        clock, program = time.monotonic(), self.program
        if simulator is None:
            result = program.evaluate(self.batch, policies, final)
        else:
            self.reporter.say(f"evaluating in {self.simulator}")
            setting, episodes = settings_of(program.env.spec, self.batch.hyper), program.hyper.evaluation_episodes
            result = simulator.evaluate(setting, policies, self.batch.key, episodes, int(final))
        result = jax.device_get(result)
        self._count("evaluate", time.monotonic() - clock - self._count_compiling())
        return result


def pipeline_of_run(
    config: RunConfig, folder: RunFolder, reporter: Reporter, start_from: RunFolder | None = None
) -> Pipeline:
    """The pipeline of one run: its seeds, which differ in nothing else.

    With `start_from`, stages that another run has finished are taken from it. Raises as `FinishedRun`.
    """
    seeds = list(range(config.first_seed, config.first_seed + config.seeds))
    path = config.dataset or shipped_path(config.task)
    transitions = load_dataset(path, find_task(config.task)).transitions
    program = Program(marvel_envs.make(config.task), transitions, config.hyper, config.seeds)
    batch = program.batch([config.hyper] * config.seeds, seeds)
    finished = None if start_from is None else FinishedRun(start_from, config)
    return Pipeline(program, batch, {"seed": seeds}, folder, reporter, finished, config.simulator)


def _headline(measured: dict[str, np.ndarray]) -> dict[str, float]:
    """The numbers of a chunk that progress shows: means over runs (and iterations)."""
    wanted = ("reward", "cost", "multiplier") if "reward" in measured else ("reward_loss", "cost_loss")
    return {name: float(np.mean(measured[name])) for name in wanted if name in measured}
