"""Joint constraints and contacts of a multibody, solved as Bullet does: projected Gauss–Seidel on impulses.

Everything is in generalized velocities u `[d]` with inverse mass matrix M⁻¹ `[d, d]`; a row J `[d]` is a relative
speed J·u. Per iteration Bullet solves all joint constraints (backwards, then forwards, in turn), then all normal
impulses, then all frictions. Five iterations do not converge, and the remaining error is part of the simulated
bodies: it makes a drive train of gears soft. So the order and the step sizes are Bullet's too.

Source: the sequential impulses of Bullet's multibody solver (Catto 2005; friction on implicit cones), with
Bullet-Safety-Gym's settings.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

ITERATIONS = 5
ERP = 0.9  # error reduction parameter: share of a penetration that is removed per step
LIMIT_ERP = 0.2  # the same of hinges beyond their limits
DEEP = -0.04  # rad: limits that are violated by more only stop the hinge (Bullet's split-impulse threshold)


class Joints(struct.PyTreeNode):
    """m joint constraints: motors, gears and limits.

    Attributes:
      row: `[m, d]`.
      speed: `[m]` what J·u should be.
      low, high: `[m]` bounds of the impulses.
      effective_mass: `[m]` impulse per missing speed, kg; None is 1/(J M⁻¹ Jᵀ).
    """

    row: jax.Array
    speed: jax.Array
    low: jax.Array
    high: jax.Array
    effective_mass: jax.Array | None = None


class Contacts(struct.PyTreeNode):
    """n candidate contact points.

    Attributes:
      normal: `[n, d]` rows of the speed at which the point leaves the surface.
      tangents: `[n, 2, d]` rows of the speeds along it, in two orthogonal directions.
      distance: `[n]` of the point from the surface, m; negative if inside.
      active: `[n]` booleans: others are ignored.
      friction: `[n]` Coulomb coefficients.
      erp: `[n]` error reduction parameter: share of a penetration that is removed per step.
      compliance: `[n]` speed that an impulse of 1 N·s adds beside the bodies' own, 1/kg (constraint force mixing).
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


def _effective_mass(rows: jax.Array, changes: jax.Array, compliance: jax.Array | float = 0.0) -> jax.Array:
    return 1.0 / jnp.maximum(jnp.sum(rows * changes, axis=-1) + compliance, 1e-9)


def limits(angle: jax.Array, low: jax.Array, high: jax.Array, dt: float) -> tuple[jax.Array, jax.Array]:
    """Bullet's limits of hinges at angles `[j]`, lower and upper ones.

    Returns:
      `[j, 2]` wanted speeds back into the range, and `[j, 2]` whether the limits are violated.
    """
    distance = jnp.stack([angle - low, high - angle], axis=1)
    return jnp.where(distance > DEEP, -LIMIT_ERP * distance / dt, 0.0), distance <= 0


def solve(velocity: jax.Array, inverse_mass: jax.Array, joints: Joints, contacts: Contacts, dt: float) -> jax.Array:
    """`[d]` velocities after the impulses of joint constraints and contacts.

    Args:
      velocity: `[d]` after forces.
      inverse_mass: `[d, d]`.
      joints: In the order of Bullet's list.
      contacts: Candidate points.
      dt: Seconds of this step.
    """
    system = _system(inverse_mass, joints, contacts, dt)
    m, n = len(joints.speed), len(contacts.distance)
    backwards, forwards = range(m - 1, -1, -1), range(m)

    def two_iterations(_: int, carry: Any) -> Any:
        return _iteration(system, _iteration(system, carry, backwards), forwards)

    carry = (velocity, [jnp.zeros(())] * m, [jnp.zeros(())] * n, [jnp.zeros(2)] * n)
    carry = jax.lax.fori_loop(0, ITERATIONS // 2, two_iterations, carry)
    return _iteration(system, carry, backwards)[0]


class _System(NamedTuple):
    """What stays the same over iterations: changes of velocity per impulse, and impulses per missing speed."""

    joints: Joints
    contacts: Contacts
    joint_change: jax.Array
    joint_mass: jax.Array
    normal_change: jax.Array
    normal_mass: jax.Array
    tangent_change: jax.Array
    tangent_mass: jax.Array
    target_speed: jax.Array


def _system(inverse_mass: jax.Array, joints: Joints, contacts: Contacts, dt: float) -> _System:
    joint_change, normal_change = joints.row @ inverse_mass, contacts.normal @ inverse_mass
    tangent_change = contacts.tangents @ inverse_mass
    joint_mass = _effective_mass(joints.row, joint_change) if joints.effective_mass is None else joints.effective_mass
    normal_mass = contacts.active * _effective_mass(contacts.normal, normal_change, contacts.compliance)
    tangent_mass = _effective_mass(contacts.tangents, tangent_change)
    # A point above the surface may come down to it; one inside leaves.
    target_speed = jnp.where(contacts.distance > 0, -1.0, -contacts.erp) * contacts.distance / dt
    return _System(
        joints=joints,
        contacts=contacts,
        joint_change=joint_change,
        joint_mass=joint_mass,
        normal_change=normal_change,
        normal_mass=normal_mass,
        tangent_change=tangent_change,
        tangent_mass=tangent_mass,
        target_speed=target_speed,
    )


def _iteration(system: _System, carry: Any, joint_order: range) -> Any:
    """Velocity and impulses after all joint constraints in the given order, all normals and all frictions."""
    joints, contacts = system.joints, system.contacts
    velocity, by_joint, by_normal, by_tangents = carry[0], list(carry[1]), list(carry[2]), list(carry[3])
    for k in joint_order:
        missing = joints.speed[k] - joints.row[k] @ velocity
        impulse = jnp.clip(by_joint[k] + system.joint_mass[k] * missing, joints.low[k], joints.high[k])
        velocity = velocity + (impulse - by_joint[k]) * system.joint_change[k]
        by_joint[k] = impulse
    for k in range(len(by_normal)):
        missing = system.target_speed[k] - contacts.normal[k] @ velocity - contacts.compliance[k] * by_normal[k]
        impulse = jnp.maximum(by_normal[k] + system.normal_mass[k] * missing, 0.0)
        velocity = velocity + (impulse - by_normal[k]) * system.normal_change[k]
        by_normal[k] = impulse
    for k in range(len(by_tangents)):
        pair = by_tangents[k] - system.tangent_mass[k] * (contacts.tangents[k] @ velocity)
        length = jnp.sqrt(pair @ pair + 1e-18)
        pair = pair * jnp.minimum(1.0, contacts.friction[k] * by_normal[k] / length)
        velocity = velocity + (pair - by_tangents[k]) @ system.tangent_change[k]
        by_tangents[k] = pair
    return velocity, by_joint, by_normal, by_tangents


def creation_order(count: int) -> list[int]:
    """The order in which Bullet's solver treats `count` constraints that were created in order 0, 1, ….

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
