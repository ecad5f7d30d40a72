"""TensorBoard and Weights & Biases, fed beside the Parquet file with what it gets: means over a batch's runs.

Both libraries hand what they are given to a thread or process of their own, so the compiled loop does not wait.
"""

import importlib
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from marvel_jax.config.errors import UserError
from marvel_jax.config.run_config import WriterName

_PACKAGES = {"tensorboard": "tensorboardX", "wandb": "wandb"}


@dataclass(frozen=True)
class WriterChoice:
    """What to write to besides the Parquet file.

    Attributes:
      names: Of the writers; () is none.
      every: Online iterations from one point of a curve to the next; offline stages have a point per chunk.
    """

    names: tuple[WriterName, ...] = ()
    every: int = 1

    def check(self) -> None:
        """Refuses what cannot work, before anything slow happens.

        Raises:
          UserError: If a writer's package is not installed, or the interval is not positive.
        """
        if self.every < 1:
            raise UserError(f"--write-every is {self.every}; give at least 1.")
        for name in self.names:
            _package(name)


class _Sink(Protocol):
    """One curve's receiver."""

    def write(self, stage: str, iteration: int, scalars: dict[str, float]) -> None: ...

    def close(self) -> None: ...


class Writers:
    """The open writers of a batch.

    Args:
      sinks: By the name of a series.
      series: The series of each run; the runs of one are averaged.
      every: As in `WriterChoice`.
    """

    def __init__(self, sinks: dict[str, list[_Sink]], series: Sequence[str], every: int):
        self._sinks, self._every = sinks, every
        self._rows = {name: np.flatnonzero([one == name for one in series]) for name in sinks}

    def add(self, stage: str, done: int, metrics: dict[str, np.ndarray]) -> None:
        """Takes a chunk's metrics, as `Metrics.add` does: `[runs, ...]` each, of which the last is at `done`.

        Metrics of one number per run are those of all iterations since the last chunk. Numbers that are not finite are
        left out of the mean; where no run has another, so is the point.
        """
        for name, sinks in self._sinks.items():
            rows = self._rows[name]
            for iteration, values in _points(done, self._every, {key: array[rows] for key, array in metrics.items()}):
                for sink in sinks:
                    sink.write(stage, iteration, _means(values))


@contextmanager
def opened(choice: WriterChoice, folder: Path, series: Sequence[str], config: dict[str, Any]) -> Iterator[Writers]:
    """Writers into `folder`, closed at the end.

    Args:
      choice: Which, and how often.
      folder: They make `tensorboard/SERIES` and `wandb/` in it.
      series: The series of each run.
      config: What Weights & Biases is to show of the runs.
    """
    sinks: dict[str, list[_Sink]] = {}
    try:
        if choice.names:
            for name in dict.fromkeys(series):
                made = sinks.setdefault(name, [])
                made.extend(_SINKS[kind](folder, name, config) for kind in choice.names)
        yield Writers(sinks, series, choice.every)
    finally:
        for made in sinks.values():
            for sink in made:
                sink.close()


def _points(done: int, every: int, metrics: dict[str, np.ndarray]) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """The iterations of a chunk that are to be seen, with their metrics `[runs]`."""
    shape = next(iter(metrics.values())).shape
    if len(shape) == 1:
        yield done, metrics
        return
    for column in range(shape[1]):
        iteration = done - shape[1] + 1 + column
        if iteration % every == 0:
            yield iteration, {name: array[:, column] for name, array in metrics.items()}


def _means(values: dict[str, np.ndarray]) -> dict[str, float]:
    """Each metric's mean over its finite numbers."""
    finite = {name: array[np.isfinite(array)] for name, array in values.items()}
    return {name: float(array.mean()) for name, array in finite.items() if array.size}


def _package(name: str) -> Any:
    try:
        return importlib.import_module(_PACKAGES[name])
    except ImportError:
        raise UserError(
            f"--writers {name} needs the package {_PACKAGES[name]}. Install it with: pip install 'marvel-jax[writers]'"
        ) from None


class _TensorBoard:
    """Event files; tags are STAGE/METRIC."""

    def __init__(self, folder: Path, name: str, config: dict[str, Any]):
        self._writer = _package("tensorboard").SummaryWriter(str(folder / "tensorboard" / _as_path(name)))

    def write(self, stage: str, iteration: int, scalars: dict[str, float]) -> None:
        for name, value in scalars.items():
            self._writer.add_scalar(f"{stage}/{name}", value, iteration)

    def close(self) -> None:
        self._writer.close()


class _WeightsAndBiases:
    """A run whose project and mode are those of its own environment variables."""

    def __init__(self, folder: Path, name: str, config: dict[str, Any]):
        place = f"{folder.resolve()}/{name}"
        self._run = _package("wandb").init(
            dir=str(folder),
            project=os.environ.get("WANDB_PROJECT", "marvel"),
            name=f"{folder.name}/{name}",
            group=folder.name,
            id=uuid.uuid5(uuid.NAMESPACE_URL, place).hex,  # so that a resumed run goes on with its curves
            resume="allow",
            reinit="create_new",
            config=config,
            settings=_package("wandb").Settings(silent=True),
        )
        self._stages: set[str] = set()

    def write(self, stage: str, iteration: int, scalars: dict[str, float]) -> None:
        if stage not in self._stages:
            self._stages.add(stage)
            self._run.define_metric(f"{stage}/*", step_metric=f"{stage}/iteration")
        self._run.log({f"{stage}/iteration": iteration, **{f"{stage}/{name}": x for name, x in scalars.items()}})

    def close(self) -> None:
        self._run.finish()


_SINKS: dict[str, Callable[[Path, str, dict[str, Any]], _Sink]] = {
    "tensorboard": _TensorBoard,
    "wandb": _WeightsAndBiases,
}


def _as_path(name: str) -> str:
    """A name without what file systems do not like; slashes divide folders."""
    return "".join(letter if letter.isalnum() or letter in "/.-_" else "_" for letter in name)
