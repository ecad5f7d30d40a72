"""The online algorithms: their hyperparameters, and what the rest of the program must know of each."""

from dataclasses import dataclass

from marvel_jax.config.shared import ActorCritic, static


@dataclass(frozen=True)
class OffPolicy(ActorCritic):
    """What SAC-Lag and TD3-Lag share."""

    batch_size: int = static(128)
    """Transitions per update (static)."""
    critic_updates: int = static(1)
    """Updates of the critics per update of the policy, each on a batch of its own (static)."""
    target_noise: float = static(0.0)
    """Standard deviation of the noise on target actions (static)."""
    target_noise_clip: float = static(0.5)
    """Bound of that noise (static)."""


@dataclass(frozen=True)
class SACLag(OffPolicy):
    """SAC with a Lagrange multiplier on a cost critic."""

    conservatism: float = static(0.0)
    """Weight of the calibrated conservative term in the critics' losses (static): Cal-QL's α. 0 is off."""
    temperature: float = 1e-3
    """Entropy coefficient α, in units of scaled reward (its initial value when tuned)."""
    tune_temperature: bool = static(False)
    """Tune α to a target entropy of −|A| nats (static)."""


@dataclass(frozen=True)
class TD3Lag(OffPolicy):
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
class OnlineSections:
    """The online algorithms' hyperparameters as parts of `Hyper`."""

    sac: SACLag = SACLag()
    """Online algorithm sac-lag."""
    td3: TD3Lag = TD3Lag()
    """Online algorithm td3-lag."""
    ppo: PPOLag = PPOLag()
    """Online algorithm ppo-lag."""


@dataclass(frozen=True)
class OnlineTraits:
    """What the rest of the program must know of an online algorithm.

    Attributes:
      section: The name of its hyperparameters in `Hyper`.
      q_functions: Its critics are of state-actions; else they are values of states.
      on_policy: It learns from its own latest episodes alone: no replay, no offline data, no guide.
      trust_region: A policy change of 1 is as far as an iteration can go, so that its steps cannot be boosted.
      own_noise: Its exploration noise is its own and not that of the offline policy.
    """

    section: str
    q_functions: bool = True
    on_policy: bool = False
    trust_region: bool = False
    own_noise: bool = False


ONLINE: dict[str, OnlineTraits] = {
    "sac-lag": OnlineTraits("sac"),
    "td3-lag": OnlineTraits("td3", own_noise=True),
    "ppo-lag": OnlineTraits("ppo", q_functions=False, on_policy=True, trust_region=True),
}
