"""How far an iteration moved the policy, in a unit that suits any task."""

import jax
import jax.numpy as jnp

from marvel_jax.core.networks import Networks, Params


def in_noise(networks: Networks, before: Params, after: Params, observation: jax.Array) -> jax.Array:
    """`[]` change of the mean action at `[..., observation_size]`, in deviations of the exploration noise.

    RMS(tanh μ' − tanh μ)/RMS(tanh σ): root mean squares, both in actions. One deviation is taken around an action of 0:
    noise around saturated actions is smaller, but the steps of a policy that saturates need not be.
    """
    distribution = networks.policy(before, observation)
    difference = networks.policy(after, observation).mode() - distribution.mode()
    deviation = jnp.tanh(jnp.exp(distribution.log_std))
    return jnp.sqrt(jnp.mean(difference**2) / jnp.mean(deviation**2))


def in_trust_region(
    networks: Networks, before: Params, after: Params, observation: jax.Array, divergence_limit: jax.Array | float
) -> jax.Array:
    """`[]` √(E[KL(π‖π')]/limit): the share of the way to a trust region's end. KL grows with distance squared."""
    divergence = networks.policy(before, observation).divergence(networks.policy(after, observation))
    return jnp.sqrt(jnp.mean(divergence) / divergence_limit)
