"""What run, pretrain, align and finetune have in common: their options, and the way through the stages."""

import dataclasses
import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

import tyro

from marvel_jax.commands._options import PRESET_HELP, Output, Section, SimulatorName, Task
from marvel_jax.commands._shared import device_name, draw_runs, import_env_module, prepare_jax, writer_choice
from marvel_jax.config.check import check
from marvel_jax.config.errors import UserError
from marvel_jax.config.hyper import Hyper
from marvel_jax.config.methods import METHODS
from marvel_jax.config.presets import PRESETS, PresetName, exchange_method, layered
from marvel_jax.config.run import RunConfig, read
from marvel_jax.config.tasks import find_task
from marvel_jax.runs.folder import RunFolder, check_free, create, default_path, discard_unused, write_json
from marvel_jax.runs.interruption import Interrupted

if TYPE_CHECKING:
    from marvel_jax.runs.pipeline import Pipeline

Last = Literal["pretrain", "align", "finetune"]
DEFAULT_METHOD = "marvel"
_METHOD_HELP = f"Method; `marvel methods` explains them: {', '.join(METHODS)}. Default: {DEFAULT_METHOD}."


@dataclass(frozen=True)
class EarlierRun:
    """What an earlier run gives."""

    config: Path | None = None
    """Repeat a run: its config.json or folder gives task and defaults for all options."""
    resume: Path | None = None
    """Go on with an interrupted run in its own folder, to the same numbers as an uninterrupted one."""
    start_from: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """Take the finished stages of another run (its task, seeds and options become the defaults)."""

    @property
    def path(self) -> Path | None:
        """The run whose configuration gives the defaults."""
        return self.resume or self.config or self.start_from


@dataclass(frozen=True)
class Environment:
    """Where the task is defined."""

    env_module: str | None = None
    """A Python file or module of yours that registers environments (see docs/your-own-environment.md)."""


@dataclass(frozen=True)
class OnlineEnvironment(Environment):
    """Where the task is defined, and where its online episodes are played."""

    simulator: SimulatorName | None = None
    """Play the online episodes, and evaluate, in the real simulator that the task is modelled on (needs the extra
    `simulators`)."""


@dataclass(frozen=True)
class LearningOptions:
    """Options of every command that learns."""

    task: Annotated[Task, tyro.conf.arg(metavar="[TASK]")] = ""
    """Task, as listed by `marvel tasks` (not needed with --resume, --config or --from)."""
    preset: Annotated[PresetName, tyro.conf.arg(help=PRESET_HELP)] = "cpu"
    method: Annotated[str | None, tyro.conf.arg(help=_METHOD_HELP)] = None
    seeds: int = 8
    """How many seeds to run as one batch. Each preset has its own default."""
    seed: int = 0
    """The first seed."""
    dataset: Path | None = None
    """Offline dataset in DSRL's HDF5 layout. Default: the one that comes with the package."""
    out: Path | None = None
    """Run folder to make; must not exist or be empty. Default: runs/TASK-METHOD-TIME."""
    earlier: Annotated[Section[EarlierRun], tyro.conf.arg(name="earlier run")] = EarlierRun()
    """Repeating a run, or going on from one."""
    output: Section[Output] = Output()
    """What is shown and written on the way."""
    environment: Section[Environment] = Environment()
    """Where the task is defined, and played."""
    hyper: Annotated[Hyper, tyro.conf.arg(name="problem and network")] = Hyper()
    """From here on: hyperparameters. Those marked (static) are compiled in: other values compile again."""

    def implied_defaults(self) -> Self:
        """The defaults that a preset, a method and a task imply, or an earlier run.

        Raises:
          UserError: If the method or the earlier run does not exist.
        """
        import_env_module(self.environment.env_module)  # it may register the task and the method
        if self.earlier.path is not None:
            return self._defaults_of(read(self.earlier.path))
        method = self.method or DEFAULT_METHOD
        hyper = layered(self.preset, self.task, method)
        start = replace(type(self)(), preset=self.preset, method=method, hyper=hyper)
        return replace(start, seeds=PRESETS[self.preset].seeds)

    def _defaults_of(self, saved: RunConfig) -> Self:
        """What a saved run had, with this method's parts if one is given."""
        start = type(self)()
        places = {"env_module": saved.env_module, "simulator": saved.simulator}
        known = {name: place for name, place in places.items() if hasattr(start.environment, name)}
        method, hyper = self.method or saved.method, saved.hyper
        if method != saved.method:
            hyper = exchange_method(hyper, saved.preset, saved.task, saved.method, method)
        return replace(
            start,
            task=saved.task,
            preset=saved.preset,
            method=method,
            seeds=saved.seeds,
            seed=saved.first_seed,
            dataset=None if saved.dataset is None else Path(saved.dataset),
            environment=replace(start.environment, **known),
            hyper=hyper,
        )

    def run_config(self) -> RunConfig:
        """The configuration of the run that is asked for.

        Raises:
          UserError: If it cannot run.
        """
        if not self.task:
            raise UserError("Which task? Give its name, such as BallCircle; `marvel tasks` lists them.")
        env_module = self.environment.env_module
        config = RunConfig(
            task=self.task,
            method=self.method or DEFAULT_METHOD,
            first_seed=self.seed,
            seeds=self.seeds,
            dataset=None if self.dataset is None else str(self.dataset),
            hyper=self.hyper,
            simulator=getattr(self.environment, "simulator", None),
            env_module=None if env_module is None else _absolute(env_module),
            preset=self.preset,
        )
        check(config)
        if self.dataset is not None and not self.dataset.is_file():
            raise UserError(
                f"There is no dataset at {self.dataset}. Make one with: marvel collect {self.task} --out {self.dataset}"
            )
        return config


@dataclass(frozen=True)
class OnlineOptions(LearningOptions):
    """Options of the commands that finetune."""

    environment: Section[OnlineEnvironment] = OnlineEnvironment()
    """Where the task is defined, and played."""


def _absolute(module: str) -> str:
    """A file's path that holds from any working directory; a dotted name as it is."""
    return str(Path(module).resolve()) if module.endswith(".py") else module


def learn(options: LearningOptions, last: Last) -> int:
    """Runs the stages up to `last`, in a new run folder or a resumed one; returns the exit status."""
    config = options.run_config()
    choice = writer_choice(options.output)
    folder = _open_folder(options, config)
    if options.earlier.resume is not None and folder.summary.exists():
        return _show(options.output, folder)
    prepare_jax(config.seeds)
    from marvel_jax.runs.console import Reporter
    from marvel_jax.runs.pipeline import pipeline_of_run
    from marvel_jax.runs.writers import opened

    start_from = None if options.earlier.start_from is None else RunFolder(options.earlier.start_from)
    pipeline = pipeline_of_run(config, folder, Reporter(quiet=options.output.quiet or options.output.json), start_from)
    new = options.earlier.resume is None
    if new:
        create(folder.path, config)
    try:
        series = [config.method] * config.seeds
        with opened(choice, folder.path, series, dataclasses.asdict(config)) as pipeline.writers:
            outcome = pipeline.run(last)
    except Interrupted:
        print(f"Interrupted. Everything is saved; go on with: marvel run --resume {folder.path}", file=sys.stderr)
        return 130
    except OSError as error:
        raise UserError(
            f"{folder.path} can no longer be written ({error.strerror}). Make room, and go on with: "
            f"marvel run --resume {folder.path}"
        ) from None
    except UserError:
        if new:
            discard_unused(folder)
        raise
    if outcome.final is None:
        print(json.dumps({"run": str(folder.path)}) if options.output.json else folder.path)
        return 0
    _finish(config, folder, pipeline)
    return _show(options.output, folder)


def _open_folder(options: LearningOptions, config: RunConfig) -> RunFolder:
    """The folder to resume in, or a new one; refuses before anything slow happens."""
    resume, start_from = options.earlier.resume, options.earlier.start_from
    if resume is not None:
        if config != read(resume):
            raise UserError("--resume goes on with the run's own options; drop the others, or start a new run.")
        if not os.access(resume, os.W_OK):
            raise UserError(f"{resume} cannot be written: no permission.")
        return RunFolder(resume)
    if start_from is not None:
        saved = read(start_from)
        mine = (config.task, config.first_seed, config.seeds)
        if mine != (saved.task, saved.first_seed, saved.seeds):
            raise UserError(
                f"--from {start_from} is a run of {saved.task} with seeds {saved.first_seed} to "
                f"{saved.first_seed + saved.seeds - 1}; use the same task and seeds."
            )
    path = options.out or default_path(config)
    check_free(path)
    return RunFolder(path)


def _finish(config: RunConfig, folder: RunFolder, pipeline: "Pipeline") -> None:
    """Writes the summary and the figures of a run that is done."""
    from marvel_envs.scenes import scene

    from marvel_jax.diagnosis.episodes import before_and_after
    from marvel_jax.report.run_summary import summarize
    from marvel_jax.report.trajectories import draw

    outcome = pipeline.outcome
    assert outcome.offline is not None
    assert outcome.final is not None
    task, rows = find_task(config.task), pipeline.metrics.rows
    result = summarize(config, task, rows, outcome.offline, outcome.final, outcome.seconds, device_name())
    draw_runs([folder], folder.figures, {folder.path: result})
    shown = scene(pipeline.program.env)
    if shown is not None:
        title = f"{config.task}, {config.method}: one episode of each seed, mean action"
        draw(shown, before_and_after(pipeline), title, folder.figures / "trajectories.png")
    write_json(folder.summary, result)


def _show(output: Output, folder: RunFolder) -> int:
    """Prints the result of a finished run."""
    result = folder.read_summary()
    if output.json:
        print(json.dumps({**result, "run": str(folder.path)}))
    elif output.quiet:
        print(folder.path)
    else:
        from marvel_jax.report.run_table import print_summary

        print_summary(result, str(folder.path))
    return 0
