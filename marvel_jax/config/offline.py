"""The offline algorithms: their hyperparameters, and what the rest of the program must know of each."""

from dataclasses import dataclass
from typing import Literal

from marvel_jax.config.shared import ActorCritic, static


@dataclass(frozen=True)
class CPQ(ActorCritic):
    """Constraints Penalized Q-Learning (Xu et al., AAAI 2022)."""

    vae_hidden: int = static(64)
    """Width of the behaviour model's layers (static)."""
    ood_penalty: Literal["none", "linear"] = static("none")
    """Pessimism of the cost critic about out-of-distribution actions (static): none, or linear, the paper's."""
    ood_margin: float = 1.5
    """Out-of-distribution actions should look as costly as this multiple of the (discounted) limit."""
    recovery_weight: float = 1.0
    """Weight with which the policy lowers the cost value of states where its action looks unsafe. 0 is the paper's,
    whose objective is flat there."""
    imitation_weight: float = 0.0
    """Weight of the data's log-likelihood in the policy's loss (0 is the paper's)."""


@dataclass(frozen=True)
class InSupport(ActorCritic):
    """What the two algorithms that stay within the data's support share."""

    vae_hidden: int = static(64)
    """Width of the behaviour model's layers (static)."""
    candidates: int = static(10)
    """Actions per state among which targets take the best (static)."""


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
class BC:
    """Behaviour cloning: of all episodes (bc), or of those within the cost limit (bc-safe)."""

    actor_learning_rate: float = 1e-3
    """Adam step size of the policy."""


@dataclass(frozen=True)
class OfflineSections:
    """The offline algorithms' hyperparameters as parts of `Hyper`."""

    cpq: CPQ = CPQ()
    """Offline algorithm cpq."""
    bear_lag: BEARLag = BEARLag()
    """Offline algorithm bear-lag."""
    bcq_lag: BCQLag = BCQLag()
    """Offline algorithm bcq-lag."""
    coptidice: COptiDICE = COptiDICE()
    """Offline algorithm coptidice."""
    bc: BC = BC()
    """Offline algorithms bc and bc-safe."""


@dataclass(frozen=True)
class OfflineTraits:
    """What the rest of the program must know of an offline algorithm.

    Attributes:
      section: The name of its hyperparameters in `Hyper`.
      critics: Whether it has critics of reward and cost that a method can start from.
    """

    section: str
    critics: bool


OFFLINE: dict[str, OfflineTraits] = {
    "cpq": OfflineTraits("cpq", critics=True),
    "bear-lag": OfflineTraits("bear_lag", critics=True),
    "bcq-lag": OfflineTraits("bcq_lag", critics=True),
    "coptidice": OfflineTraits("coptidice", critics=False),
    "bc": OfflineTraits("bc", critics=False),
    "bc-safe": OfflineTraits("bc", critics=False),
}
