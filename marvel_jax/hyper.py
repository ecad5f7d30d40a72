"""Every hyperparameter, its default, unit and source; importable in milliseconds, without JAX.

Each dataclass is both the command line's options and, once the module that uses it is imported, a JAX pytree. Fields
made with `static(...)` change shapes or control flow and are compiled in; all others are traced: they may be arrays,
may be vmapped over, and changing them never compiles again.
"""

from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal

MultiplierKind = Literal["fixed", "dual-ascent", "pid", "adaptive-pid"]
Aggregation = Literal["max", "mean", "min"]


def static(default: Any) -> Any:
    """A field that is compiled in rather than traced."""
    return field(default=default, metadata={"static": True})


@dataclass(frozen=True)
class CPQ:
    """Offline pretraining: Constraints Penalized Q-Learning (Xu et al., AAAI 2022)."""

    updates: int = static(15_000)
    """Gradient updates of the offline stage (static)."""
    batch_size: int = static(256)
    """Transitions per update (static)."""
    actor_learning_rate: float = 1e-4
    """Adam step size of the policy."""
    critic_learning_rate: float = 1e-3
    """Adam step size of reward and cost critics."""
    vae_learning_rate: float = 1e-3
    """Adam step size of the behaviour VAE."""
    target_rate: float = 0.005
    """Share of the online critics that enters the target critics at each update (Polyak τ)."""
    vae_beta: float = 0.5
    """Weight of the VAE's KL term."""
    vae_hidden: int = static(400)
    """Width of the VAE's layers (static)."""
    ood_penalty: Literal["none", "hinge", "linear"] = static("none")
    """Pessimism of the cost critic about out-of-distribution actions (static): none; hinge, bounded and only for
    actions less likely than the data's own; linear, the paper's."""
    ood_actions: int = static(10)
    """Policy actions per state that are tested for being out of distribution (static)."""
    ood_margin: float = 1.5
    """Out-of-distribution actions should look as costly as this multiple of the (discounted) limit."""
    ood_quantile: float = 0.99
    """Hinge: an action counts as out of distribution above this quantile of the data actions' VAE-KL."""
    ood_weight_rate: float = 1e-4
    """Step size of the penalty's log-weight ζ (dual ascent)."""
    ood_weight_max: float = 1.0
    """Upper bound of the penalty's weight exp(ζ)."""
    cost_aggregation: Aggregation = static("max")
    """How the twin cost critics are combined (static)."""
    recovery_weight: float = 1.0
    """Weight with which the policy lowers the cost value of states where its action looks unsafe. 0 is the paper's,
    whose objective is flat there: policies that once look unsafe everywhere stay where they are."""
    imitation_weight: float = 0.0
    """Weight of the data's log-likelihood in the policy's loss (0 is the paper's)."""


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
    cost_aggregation: Aggregation = static("mean")
    """How the twin cost critics are combined in targets (static); their max can diverge."""


@dataclass(frozen=True)
class SACLag:
    """Online finetuning: SAC with a Lagrange multiplier on a cost critic."""

    batch_size: int = static(128)
    """Transitions per update (static)."""
    actor_learning_rate: float = 1e-4
    """Adam step size of the policy."""
    critic_learning_rate: float = 1e-3
    """Adam step size of the reward critics."""
    cost_critic_learning_rate: float = 1e-3
    """Adam step size of the cost critics."""
    temperature: float = 1e-3
    """Entropy coefficient α, in units of scaled reward (its initial value when tuned)."""
    tune_temperature: bool = static(False)
    """Tune α to a target entropy of −|A| nats (static)."""
    temperature_learning_rate: float = 1e-4
    """Adam step size of log α when tuned."""
    target_rate: float = 0.005
    """Polyak τ of the target critics."""
    cost_aggregation: Aggregation = static("max")
    """How the twin cost critics are combined (static); max is pessimistic about safety."""
    bound_actor_step: bool = static(True)
    """Divide the actor's loss by 1 + λ, so that a large multiplier does not enlarge the step (static)."""


@dataclass(frozen=True)
class Gains:
    """The Lagrange multiplier's controller. Its costs are in multiples of the cost that it aims at."""

    initial: float = 0.0
    """λ before the first iteration (multiplier pre-alignment replaces it)."""
    proportional: float = 1.5
    """K_p, per relative excess of cost (1 is as much again as the aim)."""
    integral: float = 0.01
    """K_i, per relative excess and iteration; also the step size of dual ascent."""
    derivative: float = 0.0
    """K_d, per relative rise of cost."""
    margin: float = 0.4
    """The controller aims at (1 − margin) times the cost limit, a share in [0, 1]."""
    largest_excess: float = 1.0
    """Relative excess beyond which a cost counts no more: far over the limit a huge multiplier would not only bring
    the cost down but make the policy forget the reward."""
    smoothing: float = 0.8
    """Memory ρ of the moving averages of error and cost."""
    maximum: float = 100.0
    """Upper bound of what the controller asks for."""
    scale_maximum: float = 2.0
    """Upper bound of ‖g_r‖/‖g_c‖ in multiplier pre-alignment; where no action changes the cost it would be infinite."""
    adaptation: float = 0.05
    """How fast adaptive PID changes its gains, per iteration."""
    adaptation_range: float = 5.0
    """Adaptive gains stay within [1/range, range] times their start."""
    saturate: bool = static(False)
    """Adaptive PID: tanh on the error that drives K_p, as in the paper's text (static)."""
    window: int = static(10)
    """Iterations k over which the derivative and the adaptation look back (static)."""


@dataclass(frozen=True)
class Online:
    """The online budget."""

    iterations: int = static(100)
    """Iterations of rollouts, updates and one multiplier step (static)."""
    episodes: int = static(5)
    """Episodes per iteration, in parallel (static)."""
    mean_action_episodes: int = static(0)
    """How many of them act with the policy's mean instead of sampling (static). With any, the cost that drives the
    multiplier is the larger of the two kinds' means, so that the deployed mean policy is constrained too."""
    updates: int = static(100)
    """Gradient updates per iteration (static)."""
    replay_observations: Literal["float32", "float16"] = static("float32")
    """How replay keeps observations (static); float16 takes little more than half the memory and has three digits."""
    actor_warmup: float = 5.0
    """Iterations over which the policy's step size rises to its full value, while the critics meet online data."""
    alignment_smoothing: float = 0.9
    """Memory of the moving averages in multiplier pre-alignment at every iteration."""


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
    """Share of every online batch that is drawn from the offline dataset (static)."""


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
    log_std_minimum: float = -2.5
    """Floor of the policy's log standard deviation (before the tanh). At -20, as is common, offline policies end with
    none, and then neither explore online nor learn how costs change with actions."""
    critic_layer_norm: bool = static(True)
    """Layer normalization in the critics, which bounds how far they extrapolate beyond the data (static)."""
    evaluation_episodes: int = static(20)
    """Fresh episodes per seed and policy (mean and sampled) in evaluations (static)."""
    method: Method = Method()
    """Which parts of the recipe are used; set as a whole by --method."""
    cpq: CPQ = CPQ()
    """Offline pretraining."""
    alignment: ValueAlignment = ValueAlignment()
    """Value pre-alignment."""
    sac: SACLag = SACLag()
    """Online algorithm."""
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
