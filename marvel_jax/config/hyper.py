"""Every hyperparameter, its default, unit and source; importable in milliseconds, without JAX.

Each dataclass is both the command line's options and, once the module that uses it is imported, a JAX pytree. Fields
made with `static(...)` change shapes or control flow and are compiled in; all others are traced: they may be arrays,
may be vmapped over, and changing them never compiles again.
"""

from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Literal

from marvel_jax.config.offline import (
    CPQ,
    BCQLag,
    BEARLag,
    BehaviourCloning,
    COptiDICE,
    InSupport,
    OfflineName,
    Pretraining,
    WithBehaviourModel,
)
from marvel_jax.config.online import Gains, Online, OnlineName, OnlineOffPolicy, PPOLag, SACLag, TD3Lag, ValueAlignment
from marvel_jax.config.shared import Aggregation, OffPolicy, static

__all__ = [
    "CPQ",
    "Aggregation",
    "BCQLag",
    "BEARLag",
    "BehaviourCloning",
    "COptiDICE",
    "Format",
    "Gains",
    "Hyper",
    "InSupport",
    "Method",
    "MultiplierKind",
    "OffPolicy",
    "OfflineName",
    "Online",
    "OnlineName",
    "OnlineOffPolicy",
    "PPOLag",
    "Pretraining",
    "SACLag",
    "TD3Lag",
    "ValueAlignment",
    "WithBehaviourModel",
    "override",
    "static",
]

MultiplierKind = Literal["fixed", "dual-ascent", "pid", "adaptive-pid"]
Format = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Method:
    """Which parts of the offline-to-online recipe are used. All fields are static."""

    actor: Literal["offline", "random"] = static("offline")
    """Start of the online policy (static)."""
    critics: Literal["offline", "random"] = static("random")
    """Start of the critics, or of their alignment (static)."""
    value_alignment: bool = static(True)
    """Re-fit both critics to the online objective on offline data first (static)."""
    multiplier: MultiplierKind = static("adaptive-pid")
    """Controller of the Lagrange multiplier (static)."""
    multiplier_alignment: Literal["off", "initial", "feed-forward", "scale-free"] = static("scale-free")
    """Multiplier pre-alignment (static): not at all; as the first λ; at every iteration as a term beside the
    controller's; or as that and as the unit of the controller's, which makes the gains scale-free."""
    offline_fraction: float = static(0.5)
    """Share of every online batch that is drawn from the offline dataset (static). PPO-Lag uses none."""
    guide: Literal["none", "jump-start", "expansion"] = static("none")
    """What the frozen offline policy does online (static): nothing; jump-start, play the first steps of every episode,
    fewer and fewer of them; expansion, propose an action beside the learner's, of which the critics choose."""


@dataclass(frozen=True)
class Hyper:
    """A whole experiment. Which task and dataset, how many seeds and where results go are not part of it."""

    cost_limit: float = 20.0
    """Limit d, in undiscounted cost per episode."""
    discount: float = 0.99
    """Discount γ per step."""
    reward_scale: float = 0.1
    """Factor on rewards inside critics."""
    hidden: tuple[int, ...] = static((64, 64))
    """Widths of the hidden layers of actor and critics (static)."""
    products: Format = static("float32")
    """Number format of the hidden layers' matrix products (static). With bfloat16 parameters, outputs and all else stay
    float32. For accelerators; on the CPUs that we measured it is slower."""
    log_std_minimum: float = -2.5
    """Floor of the policy's log standard deviation (before the tanh). At -20, as is common, offline policies end with
    none, and then neither explore online nor learn how costs change with actions."""
    critic_layer_norm: bool = static(True)
    """Layer normalization in the critics, which bounds how far they extrapolate beyond the data (static)."""
    evaluation_episodes: int = static(20)
    """Fresh episodes per seed and policy (mean and sampled) in evaluations (static)."""
    algorithm: OfflineName = static("cpq")
    """Offline algorithm (static). coptidice, bc and bc-safe have no critics that a method could start from."""
    online_algorithm: OnlineName = static("sac-lag")
    """Online algorithm (static). Each works with every multiplier and with value pre-alignment."""
    method: Method = Method()
    """Which parts of the recipe are used; set as a whole by --method."""
    pretrain: Pretraining = Pretraining()
    """The offline stage's budget."""
    cpq: CPQ = CPQ()
    """Offline algorithm cpq."""
    bear_lag: BEARLag = BEARLag()
    """Offline algorithm bear-lag."""
    bcq_lag: BCQLag = BCQLag()
    """Offline algorithm bcq-lag."""
    coptidice: COptiDICE = COptiDICE()
    """Offline algorithm coptidice."""
    cloning: BehaviourCloning = BehaviourCloning()
    """Offline algorithms bc and bc-safe."""
    alignment: ValueAlignment = ValueAlignment()
    """Value pre-alignment."""
    sac: SACLag = SACLag()
    """Online algorithm sac-lag."""
    td3: TD3Lag = TD3Lag()
    """Online algorithm td3-lag."""
    ppo: PPOLag = PPOLag()
    """Online algorithm ppo-lag."""
    gains: Gains = Gains()
    """Multiplier's controller."""
    online: Online = Online()
    """Online budget."""


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
