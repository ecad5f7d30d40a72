"""MuJoCo's soft contacts with pyramidal friction cones, for a few contacts of one body with the floor.

The accelerations that MuJoCo's solvers look for minimize

    ½·(a − a₀)ᵀ·M·(a − a₀) + Σ over contacts, k  ½·D·(min(0, z₀ + μ_k·z_k)² + min(0, z₀ − μ_k·z_k)²),   z = J·a − z*

with a₀ the accelerations without contacts. Each contact has six directions: along the normal, two across it, the turn
about the normal and the two rollings. The minimum is unique; Newton's method with an exact line search finds it.
(Todorov, "Convex and analytically-invertible dynamics with contacts and constraints", 2014; MuJoCo's documentation,
chapter Computation.)
"""

import jax
import jax.numpy as jnp
from flax import struct
from marvel_envs.linear_algebra import inverse

# MuJoCo's defaults: time constant (s) and damping ratio of the reference, impedance of touching and of deep contacts,
# and the depth from which on a contact is deep (m).
TIME_CONSTANT, DAMPING_RATIO = 0.02, 1.0
NEAR_IMPEDANCE, DEEP_IMPEDANCE, DEEP = 0.9, 0.95, 0.001
FRICTION = (1.0, 1.0, 0.005, 1e-4, 1e-4)  # across (2), turning, rolling (2): MuJoCo's default for a geom
NEWTON_STEPS, LINE_STEPS = 8, 1


class SoftContacts(struct.PyTreeNode):
    """n contacts.

    Attributes:
      jacobian: `[n, 6, d]` of the six directions.
      target: `[n, 6]` accelerations that the contact drives at, z*.
      stiffness: `[n]` D, 0 where there is no contact.
    """

    jacobian: jax.Array
    target: jax.Array
    stiffness: jax.Array


def soft_contacts(jacobian: jax.Array, distance: jax.Array, velocity: jax.Array, weight: jax.Array) -> SoftContacts:
    """Contacts from their geometry.

    Args:
      jacobian: `[n, 6, d]`.
      distance: `[n]` m, negative where bodies overlap.
      velocity: `[d]`.
      weight: `[n]` inverse inertia of the touching link, mean over directions, 1/kg (MuJoCo's `body_invweight0`).
    """
    depth = jnp.clip(-distance / DEEP, 0.0, 1.0)
    rise = jnp.where(depth < 0.5, 2 * depth**2, 1 - 2 * (1 - depth) ** 2)
    impedance = NEAR_IMPEDANCE + rise * (DEEP_IMPEDANCE - NEAR_IMPEDANCE)
    damping = 2 / (DEEP_IMPEDANCE * TIME_CONSTANT)
    spring = 1 / (DEEP_IMPEDANCE * TIME_CONSTANT * DAMPING_RATIO) ** 2
    target = (-damping * (jacobian @ velocity)).at[:, 0].add(-spring * impedance * distance)
    sliding = FRICTION[0]
    regularization = (1 - impedance) / impedance * 2 * sliding**2 * (1 + sliding**2) * weight
    return SoftContacts(jacobian, target, jnp.where(distance < 0, 1 / regularization, 0.0))


def solve(mass: jax.Array, free: jax.Array, contacts: SoftContacts, start: jax.Array) -> jax.Array:
    """`[d]` accelerations under contacts.

    Args:
      mass: `[d, d]` mass matrix.
      free: `[d]` accelerations without contacts.
      contacts: The contacts.
      start: `[d]` where to start looking.
    """
    friction = jnp.asarray(FRICTION)
    stiffness = contacts.stiffness[:, None]

    def edges(z: jax.Array) -> jax.Array:
        """`[2, n, 5]` how far the contact is inside the cone, per edge."""
        across = friction * z[:, 1:]
        return jnp.stack([z[:, :1] + across, z[:, :1] - across])

    def newton(_, a: jax.Array) -> jax.Array:
        inside = edges(jnp.einsum("nkd,d->nk", contacts.jacobian, a) - contacts.target)
        plus, minus = stiffness * jnp.minimum(0.0, inside)
        plus_on, minus_on = stiffness * (inside < 0)
        force = jnp.concatenate([jnp.sum(plus + minus, axis=1, keepdims=True), friction * (plus - minus)], axis=1)
        gradient = mass @ (a - free) + jnp.einsum("nkd,nk->d", contacts.jacobian, force)
        # The cone couples the normal with each direction across, and those not with one another.
        normal, across = contacts.jacobian[:, :1], contacts.jacobian[:, 1:]
        both, differ = plus_on + minus_on, friction * (plus_on - minus_on)
        pushed = jnp.sum(both, axis=1)[:, None, None] * normal + jnp.sum(differ[..., None] * across, 1, keepdims=True)
        rubbed = differ[..., None] * normal + (friction**2 * both)[..., None] * across
        weighted = jnp.concatenate([pushed, rubbed], axis=1)
        hessian = mass + jnp.einsum("nkd,nke->de", contacts.jacobian, weighted)
        step = -inverse(hessian) @ gradient
        return a + _line(mass, a - free, step, inside, edges(jnp.einsum("nkd,d->nk", contacts.jacobian, step))) * step

    def _line(mass, away, step, inside, change) -> jax.Array:
        """`[]` how far to go along the step: the minimum there, by Newton's method on a piecewise parabola."""
        slope, curvature = away @ mass @ step, step @ mass @ step

        def better(_, t):
            value = inside + t * change
            touching = stiffness * (value < 0) * change
            first = slope + t * curvature + jnp.sum(touching * value)
            second = curvature + jnp.sum(touching * change)
            return t - first / jnp.maximum(second, 1e-30)

        return jax.lax.fori_loop(0, LINE_STEPS, better, jnp.ones(()))

    return jax.lax.fori_loop(0, NEWTON_STEPS, newton, start)
