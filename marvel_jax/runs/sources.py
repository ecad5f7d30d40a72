"""Where a pipeline finds stages that need not be done again."""

from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from marvel_jax.runs import checkpoint, metrics
from marvel_jax.runs.folder import RunFolder


class Source(Protocol):
    """Finished stages.

    Attributes:
      path: For people.
      keeps_copy: Whether the pipeline's folder is to hold them too, so that it stands alone.
    """

    path: Path
    keeps_copy: bool

    def take(self, stage: str, total: int, shapes: Any) -> tuple[Any, pa.Table] | None:
        """A stage's state after `total` updates in the structure of `shapes`, and its metrics; None if not here."""
        ...


class FinishedRun:
    """Another run's folder as a source."""

    keeps_copy = True

    def __init__(self, folder: RunFolder):
        self.folder, self.path = folder, folder.path

    def take(self, stage: str, total: int, shapes: Any) -> tuple[Any, pa.Table] | None:
        """As in `Source`."""
        if checkpoint.latest_step(self.folder.checkpoints(stage)) != total:
            return None
        state = checkpoint.restore(self.folder.checkpoints(stage), shapes)
        return state, metrics.of_stage(metrics.read(self.folder.metrics).table, stage)
