"""A run's folder: what lies where, and the rule that no run overwrites another.

config.json      repeats the run: `marvel run --config`
metrics.parquet  one row per seed, stage and iteration
summary.json     the result
seconds.json     wall time spent so far
checkpoints/     one folder per stage
figures/         PNG
"""

import json
import os
import time
from pathlib import Path
from typing import Any

from marvel_jax.config.errors import UserError
from marvel_jax.config.run_config import RunConfig, to_json


class RunFolder:
    """Paths and files of one run."""

    def __init__(self, path: Path):
        self.path = path

    @property
    def config(self) -> Path:
        """What repeats the run."""
        return self.path / "config.json"

    @property
    def metrics(self) -> Path:
        """A row per seed, stage and iteration."""
        return self.path / "metrics.parquet"

    @property
    def summary(self) -> Path:
        """The result, once it is done."""
        return self.path / "summary.json"

    @property
    def seconds(self) -> Path:
        """Wall time spent so far, for runs that are interrupted."""
        return self.path / "seconds.json"

    @property
    def figures(self) -> Path:
        """The folder of PNG files."""
        return self.path / "figures"

    def checkpoints(self, stage: str) -> Path:
        """The folder of a stage's checkpoints."""
        return self.path / "checkpoints" / stage

    def read_summary(self) -> dict[str, Any]:
        """The result of a finished run.

        Raises:
          UserError: If the run has none.
        """
        try:
            return json.loads(self.summary.read_text())
        except FileNotFoundError:
            raise UserError(
                f"{self.path} has no summary.json: not a run folder, or its run did not finish. "
                f"If it is one, go on with: marvel run --resume {self.path}"
            ) from None
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise UserError(f"{self.summary} cannot be read ({error}).") from None


def default_path(config: RunConfig) -> Path:
    """runs/TASK-METHOD-TIME."""
    return Path("runs") / f"{config.task}-{config.method}-{time.strftime('%Y%m%d-%H%M%S')}"


def check_free(path: Path) -> None:
    """Refuses a path that a new run must not use.

    Raises:
      UserError: If it exists and is not an empty folder, or nothing can be written there.
    """
    if path.exists():
        if not path.is_dir():
            raise UserError(f"{path} is a file. Give another --out.")
        if any(path.iterdir()):
            resumable = (path / "config.json").exists() or (path / "sweep.json").exists()
            hint = f" Resume it with --resume {path}, or give" if resumable else " Give"
            raise UserError(f"{path} is not empty, and a run never overwrites anything.{hint} another --out.")
    parent = path
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise UserError(f"{path} cannot be written: no permission in {parent}. Give another --out.")


def create(path: Path, config: RunConfig) -> RunFolder:
    """Makes the folder of a new run and writes its configuration.

    Raises:
      UserError: As `check_free`.
    """
    check_free(path)
    folder = RunFolder(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        write_json(folder.config, to_json(config))
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}). Give another --out.") from None
    return folder


def discard_unused(folder: RunFolder) -> None:
    """Removes the folder of a run that was refused before it saved anything, so that its name is free again."""
    if [entry.name for entry in folder.path.iterdir()] == ["config.json"]:
        folder.config.unlink()
        folder.path.rmdir()


def write_json(path: Path, data: Any) -> None:
    """Writes JSON so that a reader sees the old file or the new one, never half of it."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(data, indent=2) + "\n")
    partial.replace(path)
