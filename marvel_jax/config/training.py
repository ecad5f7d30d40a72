"""Hyperparameters of the stages: pretraining, value pre-alignment, finetuning, its step size and its replay."""

from dataclasses import dataclass
from typing import Literal

from marvel_jax.config.shared import Aggregation, static


@dataclass(frozen=True)
class Pretraining:
    """The offline stage's budget, whatever the algorithm."""

    updates: int = static(15_000)
    """Gradient updates of the offline stage (static)."""
    batch_size: int = static(256)
    """Transitions per update (static)."""
    clone_beyond: float = static(0.0)
    """A policy that costs more than this many cost limits gives way to a clone of the data's episodes within the limit,
    unless that costs more (static). 0 is off."""


@dataclass(frozen=True)
class ValueAlignment:
    """Value pre-alignment (VPA): both critics re-fitted to the online objective on offline data."""

    updates: int = static(20_000)
    """Gradient updates of the alignment stage (static)."""
    batch_size: int = static(128)
    """Transitions per update (static)."""
    critic_learning_rate: float = 1e-3
    """Adam step size of reward and cost critics."""
    target_rate: float = 0.02
    """Polyak τ. At 0.005 the values of γ = 0.99 do not converge within the default number of updates."""
    reward_entropy: float = 0.0
    """Entropy coefficient α_V in the reward target (the paper's optimism; 0 is off)."""
    cost_entropy: float = 0.0
    """Entropy coefficient α_{V,c} in the cost target (0 is off)."""
    reward_aggregation: Aggregation = static("mean")
    """How the twin reward critics are combined in targets (static). A frozen policy does not exploit their errors, so
    the pessimism of min, the paper's, is bias alone."""
    conservatism: float = static(0.0)
    """Weight of the calibrated conservative term in the reward critics' loss (static). 0 is off."""


@dataclass(frozen=True)
class OnlineBudget:
    """The online budget."""

    iterations: int = static(100)
    """Iterations of rollouts, updates and one multiplier step (static)."""
    episodes: int = static(5)
    """Episodes per iteration, in parallel (static)."""
    updates: int = static(100)
    """Gradient updates per iteration (static)."""
    warmup_steps: int = static(0)
    """Environment steps of the starting policy before the first update, as part of the budget (static)."""


@dataclass(frozen=True)
class StepSize:
    """How far the policy moves in an iteration."""

    policy_change: float = 0.75
    """How far the policy's mean action should move in an iteration, in standard deviations of its exploration noise:
    the learning rate, at first `actor_learning_rate`, is adapted to it. At 0 it stays as it is. Of PPO-Lag it is a
    share of the way to `ppo.divergence_limit`, and `largest_boost` does not apply."""
    warmup: float = 5.0
    """Iterations over which the policy's steps rise to their full size, while the critics meet online data."""
    decay: float = 0.9
    """Share by which the policy's steps near the limit have become smaller by the last iteration, linearly (0 is
    off)."""
    largest_boost: float = 10.0
    """How many times larger the policy's steps are while its costs stay at twice the limit or more (1 is off)."""


@dataclass(frozen=True)
class Replay:
    """What online updates draw their batches from."""

    offline_decay: float = static(2.0)
    """How fast online rows take the place of a batch's offline ones, linearly: 1 leaves none when the budget ends, 2
    none from its middle on (static). 0 is off."""
    observation_dtype: Literal["float32", "float16"] = static("float32")
    """How replay keeps observations (static); float16 takes little more than half the memory and has three digits."""
