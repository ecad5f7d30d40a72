"""Episodes that were played, as data."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from marvel_jax.core.transitions import Transition


class Rollout(struct.PyTreeNode):
    """Episodes of one policy.

    Attributes:
      transitions: `[T, E]`, every one valid: an environment whose task ended starts a fresh episode within T.
      reward, cost: `[E]` undiscounted sums over the first episode of each environment.
      physics: Physics before each step, `[T, E, ...]`, if recorded.
      ended: `[T, E]` 1 where an episode ended with that step, by time or by itself.
    """

    transitions: Transition
    reward: jax.Array
    cost: jax.Array
    physics: Any
    ended: jax.Array


def rollout_of(transitions: Transition, ended: jax.Array, physics: Any = None) -> Rollout:
    """The rollout of transitions `[T, E]` that ended episodes where `ended` `[T, E]` is 1."""
    in_first = jnp.cumsum(ended, axis=0) - ended == 0
    return Rollout(
        transitions=transitions,
        reward=jnp.sum(transitions.reward, axis=0, where=in_first),
        cost=jnp.sum(transitions.cost, axis=0, where=in_first),
        physics=physics,
        ended=ended,
    )
