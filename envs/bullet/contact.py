"""Joint constraints and contacts of a multibody, solved as Bullet does: projected Gauss–Seidel on impulses.

Everything is in generalized velocities u `[d]` with inverse mass matrix M⁻¹ `[d, d]`; a row J `[d]` is a relative
speed J·u. Per iteration Bullet solves all joint constraints (backwards, then forwards, in turn), then all normal
impulses, then all frictions. Five iterations do not converge, and what they leave is part of the simulated bodies: a
drive train of gears is soft because of it. So order and step sizes are Bullet's, not just its solution.

Source: the sequential impulses of Bullet's multibody solver (Catto 2005; friction on implicit cones), with
Bullet-Safety-Gym's settings.
"""

import jax
import jax.numpy as jnp
from flax import struct

ITERATIONS = 5
ERP = 0.9  # share of a penetration that is removed per step
LIMIT_ERP = 0.2  # the same of hinges beyond their limits
DEEP = -0.04  # rad: limits that are violated by more only stop the hinge (Bullet's split-impulse threshold)


class Joints(struct.PyTreeNode):
    """m joint constraints: motors, gears and limits.

    Attributes:
      row: `[m, d]`.
      speed: `[m]` what J·u should be.
      low, high: `[m]` bounds of the impulses.
      softness: `[m]` impulse per missing speed; None is 1/(J M⁻¹ Jᵀ).
    """

    row: jax.Array
    speed: jax.Array
    low: jax.Array
    high: jax.Array
    softness: jax.Array | None = None


class Contacts(struct.PyTreeNode):
    """n candidate contact points.

    Attributes:
      normal: `[n, d]` rows of the speed at which the point leaves the surface.
      tangents: `[n, 2, d]` rows of the speeds along it, in two orthogonal directions.
      distance: `[n]` of the point from the surface, m; negative if inside.
      active: `[n]` booleans: others are ignored.
      friction: `[n]` Coulomb coefficients.
      erp: `[n]` share of a penetration that is removed per step.
      compliance: `[n]` speed that an impulse of 1 gives way by, besides the bodies' own, 1/kg.
    """

    normal: jax.Array
    tangents: jax.Array
    distance: jax.Array
    active: jax.Array
    friction: jax.Array
    erp: jax.Array
    compliance: jax.Array

    def joined(self, other: "Contacts") -> "Contacts":
        """Both sets."""
        return jax.tree.map(lambda a, b: jnp.concatenate([a, b]), self, other)


def tangents(normal: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Two directions `[3]` along a surface with that normal `[3]`."""
    first = jnp.where(jnp.abs(normal[2]) > 0.7, jnp.array([0.0, -1.0, 0.0]), jnp.array([0.0, 0.0, 1.0]))
    return first, jnp.cross(normal, first)


def contacts(normal, tangents, distance, active, friction, erp=ERP, compliance=0.0) -> Contacts:
    """`Contacts` whose last three fields may be given as one number for all."""
    n = len(distance)
    alike = [jnp.broadcast_to(jnp.asarray(x, jnp.float32), (n,)) for x in (friction, erp, compliance)]
    return Contacts(normal, tangents, distance, active, *alike)


def _softness(rows: jax.Array, changes: jax.Array, compliance: jax.Array | float = 0.0) -> jax.Array:
    return 1.0 / jnp.maximum(jnp.sum(rows * changes, axis=-1) + compliance, 1e-9)


def limits(angle: jax.Array, low: jax.Array, high: jax.Array, dt: float) -> tuple[jax.Array, jax.Array]:
    """Bullet's limits of hinges at angles `[j]`, lower and upper ones.

    Returns:
      `[j, 2]` speeds back into the range that are asked for, and `[j, 2]` whether the limits are violated.
    """
    room = jnp.stack([angle - low, high - angle], axis=1)
    return jnp.where(room > DEEP, -LIMIT_ERP * room / dt, 0.0), room <= 0


def solve(velocity: jax.Array, inverse_mass: jax.Array, joints: Joints, contacts: Contacts, dt: float) -> jax.Array:
    """`[d]` velocities after the impulses of joint constraints and contacts.

    Args:
      velocity: `[d]` after forces.
      inverse_mass: `[d, d]`.
      joints: In the order of Bullet's list.
      contacts: Candidate points.
      dt: Seconds of this step.
    """
    m, n = len(joints.speed), len(contacts.distance)
    joint_changes, normal_changes = joints.row @ inverse_mass, contacts.normal @ inverse_mass
    tangent_changes = contacts.tangents @ inverse_mass
    joint_softness = _softness(joints.row, joint_changes) if joints.softness is None else joints.softness
    normal_softness = contacts.active * _softness(contacts.normal, normal_changes, contacts.compliance)
    tangent_softness = _softness(contacts.tangents, tangent_changes)
    # A point above the surface may come down to it; one inside leaves.
    leaving = jnp.where(contacts.distance > 0, -1.0, -contacts.erp) * contacts.distance / dt

    def iteration(carry, joint_order):
        velocity, by_joint, by_normal, by_tangents = carry[0], list(carry[1]), list(carry[2]), list(carry[3])
        for k in joint_order:
            missing = joints.speed[k] - joints.row[k] @ velocity
            impulse = jnp.clip(by_joint[k] + joint_softness[k] * missing, joints.low[k], joints.high[k])
            velocity = velocity + (impulse - by_joint[k]) * joint_changes[k]
            by_joint[k] = impulse
        for k in range(n):
            missing = leaving[k] - contacts.normal[k] @ velocity - contacts.compliance[k] * by_normal[k]
            impulse = jnp.maximum(by_normal[k] + normal_softness[k] * missing, 0.0)
            velocity = velocity + (impulse - by_normal[k]) * normal_changes[k]
            by_normal[k] = impulse
        for k in range(n):
            pair = by_tangents[k] - tangent_softness[k] * (contacts.tangents[k] @ velocity)
            length = jnp.sqrt(pair @ pair + 1e-18)
            pair = pair * jnp.minimum(1.0, contacts.friction[k] * by_normal[k] / length)
            velocity = velocity + (pair - by_tangents[k]) @ tangent_changes[k]
            by_tangents[k] = pair
        return velocity, by_joint, by_normal, by_tangents

    backwards, forwards = range(m - 1, -1, -1), range(m)
    carry = (velocity, [jnp.zeros(())] * m, [jnp.zeros(())] * n, [jnp.zeros(2)] * n)
    carry = jax.lax.fori_loop(0, ITERATIONS // 2, lambda _, c: iteration(iteration(c, backwards), forwards), carry)
    return iteration(carry, backwards)[0]


def creation_order(count: int) -> list[int]:
    """In which order Bullet's solver has `count` constraints that were created in order 0, 1, ….

    It sorts them by island with a quicksort that swaps equal elements; all being equal, this is what comes out.
    """
    order = list(range(count))

    def sort(low: int, high: int) -> None:
        i, j = low, high
        while i <= j:
            order[i], order[j] = order[j], order[i]
            i, j = i + 1, j - 1
        if low < j:
            sort(low, j)
        if i < high:
            sort(i, high)

    sort(0, count - 1)
    return order
