"""The constrained MDP that a learner faces, and the conversion of its cost limit."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from marvel_envs.tasks import TaskSpec

import marvel_jax.core.pytrees  # noqa: F401
from marvel_jax.config.hyper import Hyper
from marvel_jax.config.shared import static


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Problem:
    """A constrained MDP: maximise E[Σ r] subject to E[Σ c] ≤ d.

    Attributes:
      episode_length: T, steps until the time limit (static).
      discount: γ per step.
      cost_limit: d, undiscounted cost per episode.
      reward_scale: Factor on rewards in Bellman targets.
    """

    episode_length: int = static(0)
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


def problem_of(spec: TaskSpec, hyper: Hyper) -> Problem:
    """The problem that `hyper` poses on a task; the task's own cost limit where `hyper` has none."""
    return Problem(
        episode_length=spec.episode_length,
        discount=hyper.discount,
        cost_limit=spec.cost_limit if hyper.cost_limit is None else hyper.cost_limit,
        reward_scale=hyper.reward_scale,
    )
