"""Hyperparameters of value pre-alignment, the online algorithms and the multiplier's controller."""

from dataclasses import dataclass
from typing import Literal

from marvel_jax.config.shared import Aggregation, OffPolicy, static

OnlineName = Literal["sac-lag", "td3-lag", "ppo-lag"]


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
    desaturate: bool = static(False)
    """Pull the policy's mean, before the tanh, back to within ±2, beyond which actions hardly answer, while costs stay
    far over the limit (static)."""
    saturation_penalty: float = 1.0
    """Weight of how far beyond it is, squared; finetuning takes the more of it the farther costs are over the limit."""


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
    """How far under the cost limit the controller aims, at most, as a share of it in [0, 1]."""
    excursions: float = 1.0
    """How far under the cost limit the controller aims, in multiples of how far J_C lately rose above its mean; caution
    is taken back by the same measure. At 0 it is always `margin`."""
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
    """An iteration without cost takes back 1/iterations of this of the caution, one at the limit or over it nothing: a
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
    settling: float = 0.9
    """Share by which the policy's steps near the limit have become smaller by the last iteration, linearly (0 is
    off)."""
    offline_fading: float = static(2.0)
    """How fast online rows take the place of a batch's offline ones, linearly: 1 leaves none when the budget ends, 2
    none from its middle on (static). 0 is off."""
    alignment_smoothing: float = 0.9
    """Memory of the moving averages in multiplier pre-alignment at every iteration."""
