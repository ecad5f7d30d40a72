"""Configuration, without JAX: hyperparameters, methods, presets and task defaults, and a run's file.

The layers of a run's hyperparameters are `defaults ← preset ← task ← method ← options`; see `presets.layered`.
"""

from marvel_jax.config.hyper import Hyper, Method, override
from marvel_jax.config.multiplier import Control, Gains
from marvel_jax.config.offline import BC, CPQ, BCQLag, BEARLag, COptiDICE
from marvel_jax.config.online import PPOLag, SACLag, TD3Lag
from marvel_jax.config.presets import layered
from marvel_jax.config.training import OnlineBudget, Pretraining, Replay, StepSize, ValueAlignment

__all__ = [
    "BC",
    "CPQ",
    "BCQLag",
    "BEARLag",
    "COptiDICE",
    "Control",
    "Gains",
    "Hyper",
    "Method",
    "OnlineBudget",
    "PPOLag",
    "Pretraining",
    "Replay",
    "SACLag",
    "StepSize",
    "TD3Lag",
    "ValueAlignment",
    "layered",
    "override",
]
