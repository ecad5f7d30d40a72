"""Hyperparameters of the offline algorithms."""

from dataclasses import dataclass
from typing import Literal

from marvel_jax.config.shared import OffPolicy, static

OfflineName = Literal["cpq", "bear-lag", "bcq-lag", "coptidice", "bc", "bc-safe"]


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
class WithBehaviourModel(OffPolicy):
    """Step sizes of a policy with twin critics, and of a VAE of the data's actions."""

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
