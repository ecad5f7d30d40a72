"""A run's configuration and its file, `config.json`."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from marvel_jax.config import renames
from marvel_jax.config.errors import UserError
from marvel_jax.config.fields import all_fields, by_path
from marvel_jax.config.hyper import Hyper, override
from marvel_jax.config.tasks import find_task, load_env_module

WriterName = Literal["tensorboard", "wandb"]


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
      preset: What `hyper` started from.
    """

    task: str
    method: str
    first_seed: int
    seeds: int
    dataset: str | None
    hyper: Hyper
    simulator: str | None = None
    env_module: str | None = None
    preset: str = "cpu"

    @property
    def cost_limit(self) -> float:
        """d, in undiscounted cost per episode: the task's own where `hyper` has none."""
        return find_task(self.task).cost_limit if self.hyper.cost_limit is None else self.hyper.cost_limit


def to_json(config: RunConfig) -> dict[str, Any]:
    """The configuration as JSON's types."""
    return dataclasses.asdict(config)


def from_json(data: Any, source: Path) -> RunConfig:
    """A configuration from `to_json`'s result, also an earlier version's; `source` is named in errors."""
    try:
        values = renames.current(by_path(data["hyper"]))
        unknown = next((path for path in values if path not in all_fields()), None)
        if unknown:
            raise ValueError(f"there is no hyperparameter {unknown}")
        hyper = override(Hyper(), **{path: tuple(v) if isinstance(v, list) else v for path, v in values.items()})
        return RunConfig(**{**data, "hyper": hyper})
    except (AttributeError, TypeError, KeyError, ValueError) as error:
        raise UserError(f"{source} is not the configuration of a run of this version ({error}).") from None


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
