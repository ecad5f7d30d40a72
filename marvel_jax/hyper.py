"""Every hyperparameter, its default, unit and source; importable in milliseconds, without JAX.

Each dataclass is both the command line's options and, once the module that uses it is imported, a JAX pytree. Fields
made with `static(...)` change shapes or control flow and are compiled in; all others are traced: they may be arrays,
may be vmapped over, and changing them never compiles again.
"""

from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal

MultiplierKind = Literal["fixed", "dual-ascent", "pid", "adaptive-pid"]
Aggregation = Literal["max", "mean", "min"]
OfflineName = Literal["cpq", "bear-lag", "bcq-lag", "coptidice", "bc", "bc-safe"]
Format = Literal["float32", "bfloat16"]
OnlineName = Literal["sac-lag", "td3-lag", "ppo-lag"]


def static(default: Any) -> Any:
    """A field that is compiled in rather than traced."""
    return field(default=default, metadata={"static": True})


@dataclass(frozen=True)
class Pretraining:
    """The offline stage's budget, whatever the algorithm."""

    updates: int = static(15_000)
    """Gradient updates of the offline stage (static)."""
    batch_size: int = static(256)
    """Transitions per update (static)."""


@dataclass(frozen=True)
class OffPolicy:
    """Step sizes of a policy with twin critics."""

    actor_learning_rate: float = 1e-4
    """Adam step size of the policy."""
    critic_learning_rate: float = 1e-3
    """Adam step size of the reward critics."""
    cost_critic_learning_rate: float = 1e-3
    """Adam step size of the cost critics."""
    target_rate: float = 0.005
    """Share of the critics that enters their targets at each update (Polyak τ)."""
    cost_aggregation: Aggregation = static("max")
    """How the twin cost critics are combined (static); max is pessimistic about safety."""


@dataclass(frozen=True)
class WithBehaviourModel(OffPolicy):
    """And of a VAE of the data's actions."""

    vae_learning_rate: float = 1e-3
    """Adam step size of the behaviour VAE."""
    vae_beta: float = 0.5
    """Weight of the VAE's KL term."""
    vae_hidden: int = static(64)
    """Width of the VAE's layers (static)."""


@dataclass(frozen=True)
class CPQ(WithBehaviourModel):
    """Constraints Penalized Q-Learning (Xu et al., AAAI 2022)."""

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
    recovery_weight: float = 1.0
    """Weight with which the policy lowers the cost value of states where its action looks unsafe. 0 is the paper's,
    whose objective is flat there: policies that once look unsafe everywhere stay where they are."""
    imitation_weight: float = 0.0
    """Weight of the data's log-likelihood in the policy's loss (0 is the paper's)."""


@dataclass(frozen=True)
class InSupport(WithBehaviourModel):
    """What the two algorithms that stay within the data's support share."""

    candidates: int = static(10)
    """Actions per state among which targets take the best (static)."""
    ensemble_weight: float = 0.75
    """λ_e: targets are λ_e·min + (1 − λ_e)·max of the twins."""
    multiplier_proportional: float = 0.1
    """K_p of the multiplier's PID on the mean of Q_c − d_γ, per update."""
    multiplier_integral: float = 0.003
    """K_i of the same."""
    multiplier_derivative: float = 0.001
    """K_d of the same."""


@dataclass(frozen=True)
class BEARLag(InSupport):
    """BEAR (Kumar et al., NeurIPS 2019) with a PID-Lagrangian cost penalty, as OSRL's BEARL."""

    divergence_limit: float = 0.05
    """Largest maximum mean discrepancy between the policy's actions and the behaviour model's."""
    kernel_variance: float = 50.0
    """σ of the discrepancy's kernel exp(−‖x − y‖²/2σ), on actions before the tanh."""
    divergence_weight_rate: float = 1e-3
    """Step size of the discrepancy's log-weight ζ (dual ascent)."""


@dataclass(frozen=True)
class BCQLag(InSupport):
    """BCQ (Fujimoto et al., ICML 2019) with a PID-Lagrangian cost penalty, as OSRL's BCQL."""

    perturbation: float = 0.05
    """Φ: how far the behaviour model's actions may be moved, per action dimension."""
    perturbation_learning_rate: float = 1e-3
    """Adam step size of the network that moves them."""


@dataclass(frozen=True)
class COptiDICE:
    """COptiDICE (Lee et al., ICLR 2022): stationary distribution correction under a cost limit."""

    actor_learning_rate: float = 1e-4
    """Adam step size of the policy."""
    value_learning_rate: float = 3e-4
    """Adam step size of the value functions ν and χ."""
    multiplier_learning_rate: float = 1e-3
    """Adam step size of the cost multiplier and of the bound's temperature (both are softplus of a number)."""
    divergence_weight: float = 0.5
    """α of the f-divergence from the data, in units of scaled reward."""
    cost_bound: float = 0.01
    """ε: KL radius in which the cost estimate is taken at its worst; smaller trusts the estimate more."""


@dataclass(frozen=True)
class BehaviourCloning:
    """Behaviour cloning: of all episodes (bc), or of those within the cost limit (bc-safe)."""

    actor_learning_rate: float = 1e-3
    """Adam step size of the policy."""


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
    cost_aggregation: Aggregation = static("mean")
    """How the twin cost critics are combined in targets (static); their max can diverge."""
    conservatism: float = static(0.0)
    """Weight of the calibrated conservative term in the reward critics' loss (static). 0 is off."""


@dataclass(frozen=True)
class OnlineOffPolicy(OffPolicy):
    """What SAC-Lag and TD3-Lag share."""

    batch_size: int = static(128)
    """Transitions per update (static)."""
    bound_actor_step: bool = static(True)
    """Divide the actor's loss by 1 + λ, so that a large multiplier does not enlarge the step (static)."""
    critic_updates: int = static(1)
    """Updates of the critics per update of the policy, each on a batch of its own (static)."""
    target_noise: float = static(0.0)
    """Standard deviation of the noise on target actions (static)."""
    target_noise_clip: float = static(0.5)
    """Bound of that noise (static)."""
    conservatism: float = static(0.0)
    """Weight of the calibrated conservative term in the critics' losses (static): Cal-QL's α. 0 is off."""


@dataclass(frozen=True)
class SACLag(OnlineOffPolicy):
    """SAC with a Lagrange multiplier on a cost critic."""

    temperature: float = 1e-3
    """Entropy coefficient α, in units of scaled reward (its initial value when tuned)."""
    tune_temperature: bool = static(False)
    """Tune α to a target entropy of −|A| nats (static)."""
    temperature_learning_rate: float = 1e-4
    """Adam step size of log α when tuned."""


@dataclass(frozen=True)
class TD3Lag(OnlineOffPolicy):
    """TD3 with a Lagrange multiplier on a cost critic."""

    critic_updates: int = static(2)
    """Updates of the critics per update of the policy, each on a batch of its own (static)."""
    target_noise: float = static(0.2)
    """Standard deviation of the noise on target actions (static)."""
    exploration_noise: float = 0.1
    """Standard deviation with which the policy explores (before the tanh)."""


@dataclass(frozen=True)
class PPOLag:
    """PPO with a Lagrange multiplier on the cost's advantages. It learns from its latest episodes alone."""

    batch_size: int = static(256)
    """Transitions per update (static)."""
    actor_learning_rate: float = 3e-4
    """Adam step size of the policy."""
    critic_learning_rate: float = 1e-3
    """Adam step size of both value functions."""
    clip: float = 0.2
    """Bound of the probability ratio's distance from 1."""
    gae: float = 0.95
    """λ of generalized advantage estimation."""
    divergence_limit: float = 0.02
    """KL from the policy that played beyond which the policy stands still for the rest of an iteration."""


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
    caution: float = 0.5
    """How far above the controller's multiplier λ starts, in its unit."""
    release: float = 2.0
    """An iteration without cost takes back 1/iterations of this of the caution, one at the aim or over it nothing: a
    whole budget without cost leaves about exp(−release)."""
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
    warmup_steps: int = static(0)
    """Environment steps of the starting policy before the first update, as part of the budget (static)."""
    actor_warmup: float = 5.0
    """Iterations over which the policy's step size rises to its full value, while the critics meet online data."""
    policy_change: float = 0.75
    """How far the policy's mean action should move in an iteration, in standard deviations of its exploration noise:
    the step size, at first `actor_learning_rate`, is adapted to it. At 0 it stays as it is. Of PPO-Lag it is a share of
    the way to `ppo.divergence_limit`, and `recovery` does not apply."""
    recovery: float = 10.0
    """How many times larger the policy's steps are while its costs stay at twice the limit or more (1 is off). Near the
    limit, where small steps keep from overshooting, they are as usual."""
    retreat: float = 0.0
    """Multiple of the cost limit over which an iteration's episodes send the policy back to the latest one that kept
    the limit (0 is off)."""
    settling: float = 0.9
    """Share by which the policy's steps near the limit have become smaller by the last iteration, linearly (0 is
    off)."""
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
