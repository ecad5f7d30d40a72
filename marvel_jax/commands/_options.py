"""Options that several commands share."""

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from marvel_jax.config.presets import PRESETS
from marvel_jax.config.run_config import WriterName

Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help_behavior_hint="")]
Section = tyro.conf.OmitArgPrefixes  # a dataclass whose options have a heading, but no prefix
Task = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK", help_behavior_hint="")]
SimulatorName = Literal["safety-gymnasium", "bullet-safety-gym"]
PRESET_HELP = (
    "Defaults to start from: " + "; ".join(f"{name} ({preset.summary})" for name, preset in PRESETS.items()) + "."
)


@dataclass(frozen=True)
class Output:
    """What is shown and written while a command learns."""

    quiet: Flag = False
    """No progress; print only the folder."""
    json: Flag = False
    """No progress; print the result as one JSON object."""
    writers: tuple[WriterName, ...] = ()
    """Also write the curves, means over seeds, to tensorboard/ or Weights & Biases (needs the extra `writers`; its mode
    and project are WANDB_MODE and WANDB_PROJECT)."""
    write_every: int = 1
    """Iterations between two points of those curves."""
