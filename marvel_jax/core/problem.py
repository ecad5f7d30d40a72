"""The problem a learner faces: sizes (static) and objective (traced), and the conversion of limits."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from flax import linen as nn
from marvel_envs.tasks import TaskSpec

import marvel_jax.core.pytrees  # noqa: F401
from marvel_jax.config.hyper import Format, Hyper, static

LOG_STD_MAXIMUM = 2.0


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Problem:
    """A constrained MDP as the learning code sees it.

    Attributes:
      observation_size, action_size, episode_length: From the environment (static).
      hidden: Widths of actor's and critics' hidden layers (static).
      products: Number format of the hidden layers' matrix products (static).
      critic_layer_norm: Layer normalization in the critics (static).
      actor, critic: Flax modules of your own instead (static): an actor maps `[..., observation_size]` to
        `[..., 2·action_size]` means and log standard deviations before the tanh, a critic
        `[..., observation_size + action_size]` to `[..., 1]`.
      log_std_minimum, log_std_maximum: Bounds of the policy's log standard deviation, before the tanh.
      discount: γ per step.
      cost_limit: d, undiscounted cost per episode.
      reward_scale: Factor on rewards in Bellman targets.
    """

    observation_size: int = static(0)
    action_size: int = static(0)
    episode_length: int = static(0)
    hidden: tuple[int, ...] = static((64, 64))
    products: Format = static("float32")
    critic_layer_norm: bool = static(True)
    actor: nn.Module | None = static(None)
    critic: nn.Module | None = static(None)
    log_std_minimum: float | jax.Array = -2.5
    log_std_maximum: float | jax.Array = LOG_STD_MAXIMUM
    discount: float | jax.Array = 0.99
    cost_limit: float | jax.Array = 20.0
    reward_scale: float | jax.Array = 1.0

    @property
    def discounted_cost_limit(self) -> jax.Array:
        """The limit in the unit of a cost critic, `discounted_limit(d, γ, T)`."""
        return discounted_limit(self.cost_limit, self.discount, self.episode_length)


def discounted_limit(cost_limit, discount, episode_length) -> jax.Array:
    """d·(1 − γ^T)/((1 − γ)·T): the discounted cost from a state of an episode that spends its limit evenly."""
    gap = 1.0 - jnp.asarray(discount, jnp.float32)
    safe_gap = jnp.where(gap > 1e-6, gap, 1.0)
    geometric_sum = -jnp.expm1(episode_length * jnp.log1p(-safe_gap * (gap > 1e-6))) / safe_gap
    return cost_limit * jnp.where(gap > 1e-6, geometric_sum / episode_length, 1.0)


def from_environment(env, hyper: Hyper) -> Problem:
    """The problem that `hyper` poses on a `marvel_envs` environment (anything with its `spec`)."""
    return from_spec(env.spec, hyper)


def from_spec(spec: TaskSpec, hyper: Hyper) -> Problem:
    """The problem that `hyper` poses on a task."""
    deviation = hyper.log_std_minimum, LOG_STD_MAXIMUM
    if hyper.online_algorithm == "td3-lag":  # explores with the same noise everywhere
        deviation = 2 * (jnp.log(hyper.td3.exploration_noise),)
    return Problem(
        observation_size=spec.observation_size,
        action_size=spec.action_size,
        episode_length=spec.episode_length,
        hidden=tuple(hyper.hidden),
        products=hyper.products,
        critic_layer_norm=hyper.critic_layer_norm,
        log_std_minimum=deviation[0],
        log_std_maximum=deviation[1],
        discount=hyper.discount,
        cost_limit=hyper.cost_limit,
        reward_scale=hyper.reward_scale,
    )


def offline(problem: Problem, hyper: Hyper) -> Problem:
    """The problem as the offline stage sees it, whatever the online algorithm explores with."""
    return replace(problem, log_std_minimum=hyper.log_std_minimum, log_std_maximum=LOG_STD_MAXIMUM)
