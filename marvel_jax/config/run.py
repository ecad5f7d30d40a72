"""A run's configuration: presets, and its file. Importable without JAX."""

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from marvel_envs.tasks import TaskSpec, task_spec

from marvel_jax.config import methods
from marvel_jax.config.errors import UserError
from marvel_jax.config.hyper import Hyper, override

PresetName = Literal["quick", "cpu", "paper"]
WriterName = Literal["tensorboard", "wandb"]

_PRESETS: dict[str, dict[str, Any]] = {
    "quick": {
        "pretrain.updates": 6_000,
        "alignment.updates": 8_000,
        "online.iterations": 40,
    },
    "cpu": {},
    "paper": {
        "hidden": (256, 256),
        "cpq.vae_hidden": 400,
        "bear_lag.vae_hidden": 400,
        "bcq_lag.vae_hidden": 400,
        "pretrain.updates": 100_000,
        "pretrain.batch_size": 512,
        "alignment.batch_size": 64,
        "sac.batch_size": 64,
        "online.updates": 20,
    },
}
_PRESET_SEEDS = {"quick": 4, "cpu": 8, "paper": 8}
PRESET_SUMMARIES = {
    "quick": "4 seeds, under 2 minutes on two CPU cores",
    "cpu": "8 seeds, the reference result of the README",
    "paper": "the paper's budget and networks; made for accelerators",
}


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides a run's numbers.

    Attributes:
      task, method: Names; `hyper.method` has the method's parts, which options may have changed.
      first_seed, seeds: The run does seeds first_seed … first_seed + seeds − 1.
      dataset: Path of the offline dataset; None is the one that comes with the package.
      hyper: All hyperparameters.
      simulator: The real simulator that the online stage plays in; None is this package's environment.
      env_module: A user's module that registers the task; None for this package's.
    """

    task: str
    method: str
    first_seed: int
    seeds: int
    dataset: str | None
    hyper: Hyper
    simulator: str | None = None
    env_module: str | None = None


# Where a task needs other numbers than `hyper`'s defaults, for every method alike. BallRun's cost is a cliff: small
# steps towards it and a controller that reacts at once.
_TASK_DEFAULTS: dict[str, dict[str, Any]] = {
    "BallRun": {
        "sac.actor_learning_rate": 1e-5,
        "td3.actor_learning_rate": 1e-5,
        "gains.proportional": 2.0,
        "gains.smoothing": 0.5,
    },
}


def preset_hyper(preset: str, method: str, task: str) -> Hyper:
    """The hyperparameters of a preset with a method's parts and a task's step sizes."""
    return with_method(override(Hyper(), **_PRESETS[preset], **_TASK_DEFAULTS.get(task, {})), method)


def with_method(hyper: Hyper, method: str) -> Hyper:
    """`hyper` with a method's parts instead of its own."""
    try:
        return methods.apply(hyper, method)
    except ValueError as error:
        raise UserError(str(error)) from None


def preset_seeds(preset: str) -> int:
    """How many seeds a preset runs."""
    return _PRESET_SEEDS[preset]


def find_task(name: str) -> TaskSpec:
    """A task's spec by name; a `UserError` has the nearest name."""
    try:
        return task_spec(name)
    except ValueError as error:
        raise UserError(str(error)) from None


def load_env_module(where: str | None) -> None:
    """Imports a user's module that registers environments; does nothing for None.

    Raises:
      UserError: If it cannot be imported, or what it registers is refused.
    """
    if where is None:
        return
    from marvel_envs.registry import load_module

    try:
        load_module(where)
    except ValueError as error:
        raise UserError(str(error)) from None


def check(config: RunConfig) -> None:
    """Refuses configurations that cannot run.

    Raises:
      UserError: Naming the option and what it must be.
    """
    spec = find_task(config.task)
    if config.simulator is not None:
        check_simulator(spec, config.simulator)
    hyper = config.hyper
    positive_int = {
        "--seeds": config.seeds,
        "--pretrain.updates": hyper.pretrain.updates,
        "--pretrain.batch-size": hyper.pretrain.batch_size,
        "--alignment.updates": hyper.alignment.updates,
        "--alignment.batch-size": hyper.alignment.batch_size,
        "--sac.batch-size": hyper.sac.batch_size,
        "--sac.critic-updates": hyper.sac.critic_updates,
        "--td3.batch-size": hyper.td3.batch_size,
        "--td3.critic-updates": hyper.td3.critic_updates,
        "--ppo.batch-size": hyper.ppo.batch_size,
        "--bear-lag.candidates": hyper.bear_lag.candidates,
        "--bcq-lag.candidates": hyper.bcq_lag.candidates,
        "--online.iterations": hyper.online.iterations,
        "--online.episodes": hyper.online.episodes,
        "--online.updates": hyper.online.updates,
        "--gains.window": hyper.gains.window,
        "--evaluation-episodes": hyper.evaluation_episodes,
    }
    for option, value in positive_int.items():
        if value < 1:
            raise UserError(f"{option} is {value}; give at least 1.")
    if config.first_seed < 0:
        raise UserError(f"--seed is {config.first_seed}; give 0 or more.")
    if not hyper.hidden or min(hyper.hidden) < 1:
        raise UserError(f"--hidden is {hyper.hidden}; give one or more positive widths, such as 64 64.")
    for path, value in numbers(hyper).items():
        if not math.isfinite(value):
            raise UserError(f"--{path.replace('_', '-')} is {value}; give a finite number.")
        if value < 0 and path != "log_std_minimum":
            raise UserError(f"--{path.replace('_', '-')} is {value}; give 0 or more.")
    if hyper.discount >= 1:
        raise UserError(f"--discount is {hyper.discount}; give a number in [0, 1).")
    if not 0 <= hyper.method.offline_fraction <= 1:
        raise UserError(f"--method.offline-fraction is {hyper.method.offline_fraction}; give a number in [0, 1].")
    if not 0 <= hyper.online.mean_action_episodes <= hyper.online.episodes:
        raise UserError(
            f"--online.mean-action-episodes is {hyper.online.mean_action_episodes}; "
            f"give 0 to {hyper.online.episodes}, the episodes of an iteration."
        )
    if hyper.online.warmup_steps < 0:
        raise UserError(f"--online.warmup-steps is {hyper.online.warmup_steps}; give 0 or more.")
    conflict = methods.conflict(hyper)
    if conflict is not None:
        raise UserError(f"{config.method} with {hyper.algorithm} and {hyper.online_algorithm}: {conflict}")


def check_simulator(spec: TaskSpec, simulator: str) -> None:
    """Refuses simulators that are unknown, not installed, or do not have the task.

    Raises:
      UserError: Saying which, and how to install it.
    """
    from marvel_envs.simulators import require

    try:
        require(simulator)
    except ValueError as error:
        raise UserError(str(error)) from None
    if spec.simulator != simulator:
        raise UserError(f"{spec.name} is a task of {spec.simulator or 'this package alone'}, not of {simulator}.")


def numbers(config: Any, prefix: str = "") -> dict[str, float]:
    """All float fields of nested dataclasses by dotted path."""
    found = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            found |= numbers(value, f"{prefix}{field.name}.")
        elif isinstance(value, float):
            found[prefix + field.name] = value
    return found


def to_json(config: RunConfig) -> dict[str, Any]:
    """The configuration as JSON's types."""
    return dataclasses.asdict(config)


def from_json(data: Any, source: Path) -> RunConfig:
    """A configuration from `to_json`'s result; `source` is named in errors."""
    try:
        fields = dict(data)
        return RunConfig(**{**fields, "hyper": _rebuild(Hyper, fields["hyper"])})
    except (AttributeError, TypeError, KeyError, ValueError) as error:
        raise UserError(f"{source} is not the configuration of a run of this version ({error}).") from None


def _rebuild(kind: type, data: dict[str, Any]) -> Any:
    default = kind()
    values = {}
    for name, value in data.items():
        start = getattr(default, name)  # an unknown name is an AttributeError below
        if dataclasses.is_dataclass(start):
            value = _rebuild(type(start), value)
        elif isinstance(start, tuple):
            value = tuple(value)
        values[name] = value
    return kind(**values)


def read(path: Path) -> RunConfig:
    """Reads `config.json`, given it or the run folder that has it."""
    file = path / "config.json" if path.is_dir() else path
    try:
        data = json.loads(file.read_text())
    except FileNotFoundError:
        if (path / "sweep.json").exists():
            raise UserError(
                f"{path} is a sweep, not a run. Go on with it by marvel sweep --resume, look at it with marvel compare "
                "and marvel plot; in Python marvel_jax.load_policy(path, run=N) has its policies."
            ) from None
        raise UserError(f"There is no run configuration at {file}. Give a run folder or its config.json.") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{file} cannot be read as a run's configuration ({error}).") from None
    config = from_json(data, file)
    load_env_module(config.env_module)
    return config
