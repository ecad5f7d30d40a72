"""Trees of rigid links with hinges on a floating base: kinematics, mass matrix and forces, as Bullet has them.

Generalized velocities u `[6 + j]` are the base's linear (3, of its centre of mass) and angular (3) velocity in the
world frame and the hinges' speeds (j). Links are few, so Jacobians are dense: M = Σ Jᵀ I J over links.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from marvel_envs import quaternions
from marvel_envs.bullet import contact
from marvel_envs.bullet.contact import Contacts
from marvel_envs.linear_algebra import inverse

GRAVITY = 9.81  # m/s²
DAMPING = 0.04  # 1/s, and 1/m or 1/rad for the part that grows with speed: Bullet's default for every link


@dataclass(frozen=True)
class Link:
    """One link, in Bullet's frames: the origin is the centre of mass, axes are those of its inertia.

    Attributes:
      name: Unique in the tree.
      mass: kg.
      inertia: Diagonal, kg·m².
      parent: Its parent's position in the list; -1 is the base's own entry's parent.
      pivot: Of the joint in the parent's frame, m.
      turn: Quaternion (x, y, z, w) of this frame in the parent's at angle 0.
      axis: Of the hinge in this frame; None if the joint is fixed.
      center: Of mass, from the pivot, in this frame, m.
    """

    name: str
    mass: float
    inertia: tuple[float, float, float]
    parent: int = -1
    pivot: tuple[float, float, float] = (0.0, 0.0, 0.0)
    turn: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 1.0)
    axis: tuple[float, float, float] | None = None
    center: tuple[float, float, float] = (0.0, 0.0, 0.0)


class BodyState(struct.PyTreeNode):
    """A multibody's state, in SI units.

    Attributes:
      position: `[3]` of the base's centre of mass.
      quaternion: `[4]` of the base (x, y, z, w).
      velocity: `[3]` of the base's centre of mass.
      angular_velocity: `[3]` of the base, world frame.
      joint_angle: `[j]`.
      joint_speed: `[j]`.
    """

    position: jax.Array
    quaternion: jax.Array
    velocity: jax.Array
    angular_velocity: jax.Array
    joint_angle: jax.Array
    joint_speed: jax.Array

    @property
    def generalized_velocity(self) -> jax.Array:
        """`[6 + j]`."""
        return jnp.concatenate([self.velocity, self.angular_velocity, self.joint_speed])


class Pose(struct.PyTreeNode):
    """Where all L links are and how they move.

    Attributes:
      rotation: `[L, 3, 3]` to the world.
      center: `[L, 3]` of mass.
      linear, angular: `[L, 3, 6 + j]` Jacobians of the centres' and the links' velocities.
      acceleration, angular_acceleration: `[L, 3]` at constant u.
    """

    rotation: jax.Array
    center: jax.Array
    linear: jax.Array
    angular: jax.Array
    acceleration: jax.Array
    angular_acceleration: jax.Array


class Tree:
    """A multibody. `links[0]` is the base; every link comes after its parent."""

    def __init__(self, links: list[Link]):
        self.links = links
        hinges = [k for k, link in enumerate(links) if link.axis is not None]
        self.hinge = {links[k].name: j for j, k in enumerate(hinges)}
        self.hinges = np.array(hinges)
        self.mass = np.array([link.mass for link in links])
        self.inertia = np.array([link.inertia for link in links])
        self.moves = np.zeros((len(links), len(hinges)))  # which hinges move which link
        for k, link in enumerate(links):
            if k > 0:
                self.moves[k] = self.moves[link.parent]
            if k in hinges:
                self.moves[k, hinges.index(k)] = 1.0

    def at_rest(self, position: jax.Array, yaw: jax.Array, joint_angle: jax.Array) -> BodyState:
        """At rest at `position` `[3]`, upright, with given hinge angles `[j]`."""
        zero = jnp.zeros(3)
        return BodyState(position, quaternions.from_yaw(yaw), zero, zero, joint_angle, jnp.zeros_like(joint_angle))

    def from_recording(self, recording, joint_angle: jax.Array, joint_speed: jax.Array) -> BodyState:
        """The recorded state of the base, with given hinge angles and speeds `[j]`."""
        names = ("position", "quaternion", "linear_velocity", "angular_velocity")
        position, quaternion, velocity, angular_velocity = (jnp.asarray(recording[name]) for name in names)
        return BodyState(position, quaternion, velocity, angular_velocity, joint_angle, joint_speed)

    def pose(self, body: BodyState) -> Pose:
        """Positions, Jacobians and velocity-dependent accelerations of all links."""
        rotation, center, pivot, axis = [quaternions.matrix(body.quaternion)], [body.position], [], []
        omega = [body.angular_velocity]
        acceleration, angular_acceleration = [jnp.zeros(3)], [jnp.zeros(3)]
        for link in self.links[1:]:
            p = link.parent
            offset = rotation[p] @ jnp.asarray(link.pivot)
            turned = rotation[p] @ quaternions.matrix(jnp.asarray(link.turn))
            spin, spun = jnp.zeros(3), jnp.zeros(3)
            if link.axis is not None:
                unit = jnp.asarray(link.axis) / np.linalg.norm(link.axis)
                j = len(axis)
                turned = turned @ quaternions.matrix(quaternions.from_rotation_vector(body.joint_angle[j] * unit))
                pivot.append(center[p] + offset)
                # An axis that is not of unit length turns the link by the angle, but counts as it is in all speeds.
                axis.append(turned @ jnp.asarray(link.axis))
                spin = body.joint_speed[j] * axis[j]
                spun = jnp.cross(omega[p], spin)
            arm = turned @ jnp.asarray(link.center)
            w, alpha = omega[p] + spin, angular_acceleration[p] + spun
            at_pivot = acceleration[p] + jnp.cross(angular_acceleration[p], offset)
            at_pivot = at_pivot + jnp.cross(omega[p], jnp.cross(omega[p], offset))
            rotation.append(turned)
            center.append(center[p] + offset + arm)
            omega.append(w)
            angular_acceleration.append(alpha)
            acceleration.append(at_pivot + jnp.cross(alpha, arm) + jnp.cross(w, jnp.cross(w, arm)))
        linear, angular = self.jacobian(jnp.stack(center), center[0], jnp.stack(pivot), jnp.stack(axis), self.moves)
        return Pose(
            jnp.stack(rotation),
            jnp.stack(center),
            linear,
            angular,
            jnp.stack(acceleration),
            jnp.stack(angular_acceleration),
        )

    def jacobian(self, points, base, pivots, axes, moves):
        """`[n, 3, 6 + j]` Jacobians of the velocities of n points, and of the angular velocities of their links."""
        arms = points - base
        zero, identity = jnp.zeros((len(points), 3, 3)), jnp.broadcast_to(jnp.eye(3), (len(points), 3, 3))
        levers = jax.vmap(lambda arm: jnp.cross(jnp.eye(3), arm).T)(arms)
        by_hinge = moves[:, :, None] * jnp.cross(axes[None], points[:, None] - pivots[None])
        turning = moves[:, :, None] * jnp.broadcast_to(axes[None], by_hinge.shape)
        linear = jnp.concatenate([identity, levers, jnp.swapaxes(by_hinge, 1, 2)], axis=2)
        angular = jnp.concatenate([zero, identity, jnp.swapaxes(turning, 1, 2)], axis=2)
        return linear, angular

    def dynamics(self, pose: Pose, velocity: jax.Array) -> tuple[jax.Array, jax.Array]:
        """`[d, d]` inverse mass matrix, and `[d]` forces of gravity, damping and rotation."""
        v, w = pose.linear @ velocity, pose.angular @ velocity
        local = jnp.einsum("lji,ljd->lid", pose.rotation, pose.angular)  # angular velocity in the frames of the inertia
        weights = jnp.concatenate([jnp.repeat(self.mass, 3), self.inertia.reshape(-1)])
        rows = jnp.concatenate([pose.linear, local]).reshape(len(weights), -1)
        inverse_mass = inverse(rows.T @ (weights[:, None] * rows))
        drag = DAMPING * (1 + jnp.linalg.norm(v, axis=1, keepdims=True)) * v
        acceleration = jnp.array([0.0, 0.0, -GRAVITY]) - pose.acceleration - drag
        spin = jnp.einsum("lji,lj->li", pose.rotation, w)
        angular = jnp.einsum("lji,lj->li", pose.rotation, pose.angular_acceleration)
        damped = DAMPING * (1 + jnp.linalg.norm(w, axis=1, keepdims=True)) * spin
        torque = -self.inertia * (angular + damped) - jnp.cross(spin, self.inertia * spin)
        force = jnp.concatenate([(self.mass[:, None] * acceleration).reshape(-1), torque.reshape(-1)])
        return inverse_mass, force @ rows

    def contacts(self, pose: Pose, links, points, normal, distance, active, friction, **stiffness) -> Contacts:
        """Contacts of points `[n, 3]` on the given links (positions in the list) with a surface of one normal `[3]`."""
        links = np.asarray(links)
        arms = points - pose.center[links]
        directions = jnp.stack([normal, *contact.tangents(normal)])
        # (w × arm)·direction = w·(arm × direction)
        levers = jnp.cross(arms[:, None], directions[None])
        rows = jnp.einsum("ki,nid->nkd", directions, pose.linear[links])
        rows = rows + jnp.einsum("nki,nid->nkd", levers, pose.angular[links])
        return contact.contacts(rows[:, 0], rows[:, 1:], distance, active, friction, **stiffness)

    def integrated(self, body: BodyState, velocity: jax.Array, dt: float) -> BodyState:
        """The state `dt` seconds on, at the given new velocities `[6 + j]`."""
        return BodyState(
            position=body.position + dt * velocity[:3],
            quaternion=quaternions.turned(body.quaternion, velocity[3:6], dt),
            velocity=velocity[:3],
            angular_velocity=velocity[3:6],
            joint_angle=body.joint_angle + dt * velocity[6:],
            joint_speed=velocity[6:],
        )

    def backwards(self, body: BodyState, dt: float) -> BodyState:
        """Where the body was `dt` seconds ago, when the step began that led to this state."""
        velocity = body.generalized_velocity
        return self.integrated(body, -velocity, dt).replace(
            velocity=body.velocity, angular_velocity=body.angular_velocity, joint_speed=body.joint_speed
        )
