"""What a flat dataset of whole episodes, one after another, says about them; all of it can be jitted."""

import jax
import jax.numpy as jnp

from marvel_jax.core.problem import Problem
from marvel_jax.core.transitions import Transition


def starts(transitions: Transition) -> jax.Array:
    """`[N]` True where an episode starts: at rows that do not go on from where the row before arrived."""
    arrived, here = transitions.next_observation[:-1], transitions.observation[1:]
    broken = jnp.any(jnp.asarray(arrived) != jnp.asarray(here), axis=-1) | (transitions.discount[:-1] == 0)
    return jnp.concatenate([jnp.ones(1, bool), broken])


def episode_costs(transitions: Transition) -> jax.Array:
    """`[N]` undiscounted cost of the episode that each row belongs to."""
    episode = jnp.cumsum(starts(transitions)) - 1
    return jax.ops.segment_sum(jnp.asarray(transitions.cost), episode, len(episode))[episode]


def with_returns(problem: Problem, transitions: Transition, ends: jax.Array) -> Transition:
    """Transitions `[N, ...]` with `return_to_go`; `ends` `[N, ...]` is 1 at each episode's last row."""

    def step(following: jax.Array, row: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        reward, end = row
        value = problem.reward_scale * reward + problem.discount * (1 - end) * following
        return value, value

    rows = jnp.asarray(transitions.reward), jnp.asarray(ends, jnp.float32)
    _, values = jax.lax.scan(step, jnp.zeros_like(rows[0][0]), rows, reverse=True)
    return transitions.replace(return_to_go=values)


def dataset_with_returns(problem: Problem, dataset: Transition) -> Transition:
    """A dataset `[N]` with `return_to_go`."""
    return with_returns(problem, dataset, jnp.append(starts(dataset)[1:], True))
