"""The unit of experience."""

import jax
import jax.numpy as jnp
from flax import struct


class Transition(struct.PyTreeNode):
    """Steps of interaction; arrays share any leading axes.

    Attributes:
      observation: `[..., observation_size]`.
      action: `[..., action_size]` in [−1, 1].
      reward: `[...]`, unscaled.
      cost: `[...]`.
      discount: `[...]` 0 at a true termination, else 1; time limits do not terminate.
      next_observation: `[..., observation_size]`, before any reset.
      return_to_go: `[...]` discounted scaled reward from here to the episode's end, for those who use it.
    """

    observation: jax.Array
    action: jax.Array
    reward: jax.Array
    cost: jax.Array
    discount: jax.Array
    next_observation: jax.Array
    return_to_go: jax.Array | None = None


def blank(observation_size: int, action_size: int) -> Transition:
    """One transition of zeros, without leading axes: the shape of a row."""
    zero = jnp.zeros(())
    observation = jnp.zeros(observation_size)
    return Transition(observation, jnp.zeros(action_size), zero, zero, zero, observation)


def sample(transitions: Transition, count: int, key: jax.Array) -> Transition:
    """`count` transitions, uniformly with replacement, from arrays with one leading axis."""
    return at(transitions, jax.random.randint(key, (count,), 0, len(transitions.reward)))


def at(transitions: Transition, rows: jax.Array) -> Transition:
    """The transitions at `rows`."""
    return jax.tree.map(lambda array: jnp.asarray(array)[rows], transitions)
