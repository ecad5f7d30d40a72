"""What plays episodes: one pytree with one `act`, whether a policy acts alone or beside a guide."""

from typing import Protocol

import jax
import jax.numpy as jnp
from flax import struct

from marvel_jax.core.networks import Networks, Params
from marvel_jax.core.problem import Problem


class ActingPolicy(Protocol):
    """A pytree that plays episodes; `training.guides` has those with a guide."""

    def act(
        self,
        problem: Problem,
        networks: Networks,
        observation: jax.Array,
        time: jax.Array,
        key: jax.Array,
        mean_action: jax.Array,
    ) -> jax.Array:
        """`[E, action_size]` actions of E episodes at once.

        Args:
          problem: The episode's length.
          networks: What the parameters are of.
          observation: `[E, observation_size]`.
          time: `[]` step of the rollout.
          key: For sampled actions.
          mean_action: `[E]` booleans: episodes that act with the mode rather than a sample.
        """
        ...


class NetworkPolicy(struct.PyTreeNode):
    """A policy that acts alone.

    Attributes:
      params: Of the actor, see `Networks.policy`.
    """

    params: Params

    def act(
        self,
        problem: Problem,
        networks: Networks,
        observation: jax.Array,
        time: jax.Array,
        key: jax.Array,
        mean_action: jax.Array,
    ) -> jax.Array:
        """As in `ActingPolicy`."""
        del problem, time
        return propose(networks, self.params, observation, key, mean_action)


def propose(
    networks: Networks, params: Params, observation: jax.Array, key: jax.Array, mean_action: jax.Array
) -> jax.Array:
    """`[E, action_size]` a policy's mode where `mean_action` `[E]`, a sample elsewhere, at `[E, observation_size]`."""
    distribution = networks.policy(params, observation)
    sampled, _ = distribution.sample(key)
    return jnp.where(mean_action[:, None], distribution.mode(), sampled)
