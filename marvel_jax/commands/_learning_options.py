"""The options of run, pretrain, align and finetune, and what some of them imply for the others."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Self

import tyro

from marvel_jax.commands._options import PRESET_HELP, Output, Section, SimulatorName, Task
from marvel_jax.commands._shared import import_env_module
from marvel_jax.config.check import check
from marvel_jax.config.errors import UserError
from marvel_jax.config.hyper import Hyper
from marvel_jax.config.methods import METHODS
from marvel_jax.config.presets import PRESETS, PresetName, exchange_method, layered
from marvel_jax.config.run_config import RunConfig, read

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
