"""Where a pipeline finds stages that need not be done again."""

from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from marvel_jax.config.errors import UserError
from marvel_jax.config.run_config import RunConfig, read
from marvel_jax.runs import checkpoint, metrics
from marvel_jax.runs.folder import RunFolder
from marvel_jax.training.stages import FINETUNE, PRETRAIN, what_counts


class FinishedStages(Protocol):
    """Finished stages before finetuning.

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
    """Another run's folder as a place of finished stages, for a run with a configuration of its own.

    A stage is taken if everything that its state depends on is the same. An alignment that is not, as of another
    method, is done again.

    Raises:
      UserError: If the offline stages differ.
    """

    keeps_copy = True

    def __init__(self, folder: RunFolder, config: RunConfig):
        self.folder, self.path = folder, folder.path
        self._config, self._theirs = config, read(folder.path)
        if self._theirs.dataset != config.dataset:
            mine, other = (each.dataset or "the package's" for each in (config, self._theirs))
            raise UserError(f"{self.path} was pretrained on dataset {other}, and here it is {mine}. Use the same.")
        theirs, ours = (what_counts(PRETRAIN, each.hyper) for each in (self._theirs, config))
        for name in [name for name in ours if theirs.get(name) != ours[name]]:
            option = "--" + name.replace("_", "-")
            raise UserError(
                f"{self.path} was pretrained with another {name}: {theirs.get(name)}, and here it is {ours[name]}. "
                f"Leave out {option}, or pretrain anew without --from."
            )

    def take(self, stage: str, total: int, shapes: Any) -> tuple[Any, pa.Table] | None:
        """As in `FinishedStages`."""
        if stage == FINETUNE or checkpoint.latest_step(self.folder.checkpoints(stage)) != total:
            return None
        if what_counts(stage, self._theirs.hyper) != what_counts(stage, self._config.hyper):
            return None
        state = checkpoint.restore(self.folder.checkpoints(stage), shapes)
        return state, metrics.of_stage(metrics.read(self.folder.metrics).table, stage)
