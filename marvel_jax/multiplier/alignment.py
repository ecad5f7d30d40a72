"""Multiplier pre-alignment (MPA): the multiplier at which reward and cost balance at the policy.

With g_r and g_c the policy gradients of reward and cost, a step along g_r − λ·g_c leaves the predicted cost as it is at

    λ₀ = max(0, ⟨g_r, g_c⟩/⟨g_c, g_c⟩) = max(0, ρ·cos φ),   ρ = ‖g_r‖/‖g_c‖, φ the angle between them.

This project's.
"""

import jax
import jax.numpy as jnp
from flax import struct

from marvel_jax.config.shared import Aggregation
from marvel_jax.core.networks import Networks, Params, Twins, aggregate


class MultiplierAlignment(struct.PyTreeNode):
    """What the critics say about the multiplier.

    Attributes:
      multiplier: `[]` λ₀ = max(0, ⟨g_r, g_c⟩/⟨g_c, g_c⟩): there the actor's step leaves the predicted cost unchanged.
      ratio: `[]` ‖g_r‖/‖g_c‖.
      cosine: `[]` of the angle between g_r and g_c.
    """

    multiplier: jax.Array
    ratio: jax.Array
    cosine: jax.Array


def align_multiplier(
    networks: Networks,
    actor: Params,
    reward_twins: Twins,
    cost_twins: Twins,
    observation: jax.Array,
    key: jax.Array,
) -> MultiplierAlignment:
    """Multiplier pre-alignment on states `[..., observation_size]`, best those that the policy is trained on.

    g_r = ∇_θ E[min Q(s, π_θ(s))] and g_c = ∇_θ E[max Q_c(s, π_θ(s))] over the actor's parameters, reparametrized.
    Dividing Q_c by k multiplies λ₀ by k.

    Args:
      networks: What the parameters are of.
      actor: The policy's parameters θ.
      reward_twins, cost_twins: Critics Q and Q_c.
      observation: States.
      key: For the sampled actions.
    """

    def value(params: Params, twins: Twins, how: Aggregation) -> jax.Array:
        action, _ = networks.policy(params, observation).sample(key)
        return jnp.mean(aggregate(networks.twin_values(twins, observation, action), how))

    reward_gradient = jax.grad(value)(actor, reward_twins, "min")
    cost_gradient = jax.grad(value)(actor, cost_twins, "max")
    return multiplier_from_gradients(reward_gradient, cost_gradient)


def multiplier_from_gradients(reward_gradient, cost_gradient) -> MultiplierAlignment:
    """λ₀ from two gradients of the same tree structure."""

    def inner(a, b) -> jax.Array:
        return sum((jnp.vdot(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)), jnp.zeros(()))

    tiny = 1e-12
    cross, cost_square = inner(reward_gradient, cost_gradient), inner(cost_gradient, cost_gradient)
    reward_norm, cost_norm = jnp.sqrt(inner(reward_gradient, reward_gradient)), jnp.sqrt(cost_square)
    return MultiplierAlignment(
        multiplier=jnp.maximum(0.0, cross / (cost_square + tiny)),
        ratio=reward_norm / (cost_norm + tiny),
        cosine=cross / (reward_norm * cost_norm + tiny),
    )
