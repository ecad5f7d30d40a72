"""MuJoCo's soft contacts with pyramidal friction cones, for a few contacts of one body with the floor.

Each contact has six directions: along the normal, two across it, the turn about the normal and two rollings. Its cone
has ten edges, the normal plus or minus μ times each other direction, and every edge is a row of `constraints.Rows`.
"""

import jax
import jax.numpy as jnp
from marvel_envs.constraints import Rows

# MuJoCo's defaults: time constant (s) and damping ratio of the reference, impedance of touching and of deep contacts,
# and the depth from which on a contact is deep (m).
TIME_CONSTANT, DAMPING_RATIO = 0.02, 1.0
NEAR_IMPEDANCE, DEEP_IMPEDANCE, DEEP = 0.9, 0.95, 0.001
FRICTION = (1.0, 1.0, 0.005, 1e-4, 1e-4)  # across (2), turning, rolling (2): MuJoCo's default for a geom


def soft_contacts(jacobian: jax.Array, distance: jax.Array, velocity: jax.Array, weight: jax.Array) -> Rows:
    """Constraints of contacts, from their geometry.

    Args:
      jacobian: `[n, 6, d]` of the six directions.
      distance: `[n]` m, negative where bodies overlap.
      velocity: `[d]`.
      weight: `[n]` inverse inertia of the touching link, mean over directions, 1/kg (MuJoCo's `body_invweight0`).
    """
    across = jnp.asarray(FRICTION)[:, None] * jacobian[:, 1:]
    edges = jnp.concatenate([jacobian[:, :1] + across, jacobian[:, :1] - across], axis=1)  # [n, 10, d]
    depth = jnp.clip(-distance / DEEP, 0.0, 1.0)
    rise = jnp.where(depth < 0.5, 2 * depth**2, 1 - 2 * (1 - depth) ** 2)
    impedance = NEAR_IMPEDANCE + rise * (DEEP_IMPEDANCE - NEAR_IMPEDANCE)
    damping = 2 / (DEEP_IMPEDANCE * TIME_CONSTANT)
    spring = 1 / (DEEP_IMPEDANCE * TIME_CONSTANT * DAMPING_RATIO) ** 2
    target = -damping * (edges @ velocity) - (spring * impedance * distance)[:, None]
    sliding = FRICTION[0]
    regularization = (1 - impedance) / impedance * 2 * sliding**2 * (1 + sliding**2) * weight
    stiffness = jnp.where(distance < 0, 1 / regularization, 0.0)
    count = edges.shape[0] * edges.shape[1]
    return Rows(edges.reshape(count, -1), target.reshape(count), jnp.repeat(stiffness, edges.shape[1]))
