"""`Hyper`: every hyperparameter of an experiment, with default, unit and source; importable without JAX.

Each dataclass is both a group of command-line options and, once `core.pytrees` is imported, a JAX pytree. Fields made
with `static(...)` change shapes or control flow and are compiled in. All others are traced: they may be arrays, may be
vmapped over, and changing them never compiles again.
"""

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Literal

from marvel_jax.config.multiplier import Control, ControllerName, Gains
from marvel_jax.config.offline import OFFLINE, OfflineSections
from marvel_jax.config.online import ONLINE, OnlineSections
from marvel_jax.config.shared import ComputeDtype, static
from marvel_jax.config.training import OnlineBudget, Pretraining, Replay, StepSize, ValueAlignment


@dataclass(frozen=True)
class Method:
    """Which parts of the offline-to-online recipe are used. All fields are static."""

    actor: Literal["offline", "random"] = static("offline")
    """Start of the online policy (static)."""
    critics: Literal["offline", "random"] = static("random")
    """Start of the critics, or of their alignment (static)."""
    value_alignment: bool = static(True)
    """Re-fit both critics to the online objective on offline data first (static)."""
    multiplier: ControllerName = static("adaptive-pid")
    """Controller of the Lagrange multiplier (static)."""
    multiplier_alignment: Literal["off", "initial", "feed-forward", "scale-free"] = static("scale-free")
    """Multiplier pre-alignment (static): not at all; as the first λ; at every iteration as a term beside the
    controller's; or as that and as the unit of the controller's, which makes the gains scale-free."""
    offline_fraction: float = static(0.5)
    """Share of every online batch that is drawn from the offline dataset at first (static). PPO-Lag uses none."""
    guide: Literal["none", "jump-start", "expansion"] = static("none")
    """What the frozen offline policy does online (static): nothing; jump-start, play the first steps of every episode,
    fewer and fewer of them; expansion, propose an action beside the learner's, of which the critics choose."""


@dataclass(frozen=True)
class General:
    """The problem, the networks, the algorithms and the method."""

    cost_limit: float | None = None
    """Limit d, in undiscounted cost per episode. Default: the task's own (None)."""
    algorithm: str = static("cpq")
    """Offline algorithm (static), of `config.offline.OFFLINE`."""
    online_algorithm: str = static("sac-lag")
    """Online algorithm (static), of `config.online.ONLINE`. Each works with every controller and with value
    pre-alignment."""
    discount: float = 0.99
    """Discount γ per step."""
    reward_scale: float = 0.1
    """Factor on rewards inside critics."""
    hidden: tuple[int, ...] = static((64, 64))
    """Widths of the hidden layers of actor and critics (static)."""
    compute_dtype: ComputeDtype = static("float32")
    """Number format of the hidden layers' matrix products (static). With bfloat16 parameters, outputs and all else stay
    float32. For accelerators; on the CPUs that were measured it is slower."""
    log_std_minimum: float = -2.5
    """Floor of the policy's log standard deviation (before the tanh). At -20, as is common, offline policies end with
    none, and then neither explore online nor learn how costs change with actions."""
    critic_layer_norm: bool = static(True)
    """Layer normalization in the critics, which bounds how far they extrapolate beyond the data (static)."""
    evaluation_episodes: int = static(20)
    """Fresh episodes per seed and policy (mean and sampled) in evaluations (static)."""
    method: Method = Method()
    """Which parts of the recipe are used; set as a whole by --method."""


@dataclass(frozen=True)
class StageSections:
    """The stages' hyperparameters as parts of `Hyper`."""

    pretrain: Pretraining = Pretraining()
    """The offline stage's budget."""
    alignment: ValueAlignment = ValueAlignment()
    """Value pre-alignment."""
    gains: Gains = Gains()
    """The multiplier's controller."""
    control: Control = Control()
    """The loop around the controller."""
    online: OnlineBudget = OnlineBudget()
    """The online budget."""
    step_size: StepSize = StepSize()
    """How far the policy moves in an iteration."""
    replay: Replay = Replay()
    """What online updates draw their batches from."""


@dataclass(frozen=True)
class Hyper(OfflineSections, OnlineSections, StageSections, General):
    """A whole experiment. Which task and dataset, how many seeds and where results go are not part of it."""


def override(config: Any, **changes: Any) -> Any:
    """A copy of nested dataclasses with changes by dotted path, e.g. `override(hyper, **{"gains.integral": 1e-3})`.

    Raises:
      ValueError: If a path does not exist.
    """
    for path, value in changes.items():
        name, _, rest = path.partition(".")
        if not is_dataclass(config) or isinstance(config, type) or name not in {f.name for f in fields(config)}:
            raise ValueError(f"{type(config).__name__} has no field {name!r}.")
        config = replace(config, **{name: override(getattr(config, name), **{rest: value}) if rest else value})
    return config


def offline_section(hyper: Hyper) -> Any:
    """The offline algorithm's own hyperparameters."""
    return getattr(hyper, OFFLINE[hyper.algorithm].section)


def online_section(hyper: Hyper) -> Any:
    """The online algorithm's own hyperparameters."""
    return getattr(hyper, ONLINE[hyper.online_algorithm].section)
