"""The ant agent: MuJoCo's four-legged ant as Bullet reads it, driven by torques at its hinges.

Masses, inertias and lengths are the model's (as Bullet computes them), all else is Bullet's. A step from a recorded
state gives the recorded next state up to rounding.
"""

import jax
import jax.numpy as jnp
import numpy as np
from marvel_envs.bullet import arena, contact
from marvel_envs.bullet.contact import Joints
from marvel_envs.bullet.multibody import BodyState, Link, Pose, Tree

TORQUE = 250.0  # N·m per unit of action
FRICTION = 1.5
FOOT_RADIUS, TORSO_RADIUS = 0.08, 0.25  # m
HEIGHT, LOWEST = 0.75, 0.26  # m, of the torso's centre at reset, and below which the ant is dead
NEAR = 0.0094  # m: a foot this close to the ground counts as touching
_HIP, _ANKLES = (-40.0, 40.0), ((30.0, 100.0), (-100.0, -30.0), (-100.0, -30.0), (30.0, 100.0))  # degrees
_LIMITS = np.deg2rad([limits for ankle in _ANKLES for limits in (_HIP, ankle)])
LOW, HIGH = _LIMITS[:, 0], _LIMITS[:, 1]
_CORNERS = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])  # signs of the legs' directions
_LEG_INERTIA, _FOOT_INERTIA = (0.16394, 0.16394, 0.252698), (0.526318, 0.526318, 0.922859)


def _links() -> list[Link]:
    links = [Link("torso", 65.44984694978736, (1.636246, 1.636246, 1.636246))]
    for k, (x, y) in enumerate(_CORNERS):
        leg, half, foot = len(links), (0.1 * x, 0.1 * y, 0.0), (0.2 * x, 0.2 * y, 0.0)
        # The ankles' axes are not of unit length in the model, and Bullet does not make them so.
        axis = (-1.0, 1.0, 0.0) if x == y else (1.0, 1.0, 0.0)
        links += [
            Link(f"leg {k}", 7.83155043240011, _LEG_INERTIA, parent=0, center=half),
            Link(f"hip {k}", 7.83155043240011, _LEG_INERTIA, leg, half, axis=(0.0, 0.0, 1.0), center=half),
            Link(f"foot {k}", 13.518440423760284, _FOOT_INERTIA, leg + 1, half, axis=axis, center=foot),
        ]
    return links


TREE = Tree(_links())


def _spheres() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What collides: links `[13]`, centres in their frames `[13, 3]` and radii `[13]`. Feet, knees, hips, torso."""
    directions = np.pad(_CORNERS, ((0, 0), (0, 1)))
    legs = 3 * np.arange(4)
    links = np.concatenate([legs + 3, legs + 2, legs + 1, [0]])
    centers = np.concatenate([0.2 * directions, 0.1 * directions, 0.1 * directions, np.zeros((1, 3))])
    return links, centers, np.append(np.full(12, FOOT_RADIUS), TORSO_RADIUS)


SPHERES, SPHERE_CENTERS, SPHERE_RADII = _spheres()


def _sphere_positions(pose: Pose, spheres: np.ndarray) -> jax.Array:
    turned = jnp.einsum("nij,nj->ni", pose.rotation[SPHERES[spheres]], SPHERE_CENTERS[spheres])
    return pose.center[SPHERES[spheres]] + turned


def _touching(pose: Pose, normal: jax.Array, spheres: np.ndarray) -> jax.Array:
    """`[n, 3]` the spheres' points farthest against `normal` `[3]`."""
    return _sphere_positions(pose, spheres) - SPHERE_RADII[spheres, None] * normal


def _ground_contacts(pose: Pose, walled: bool):
    up, every = jnp.array([0.0, 0.0, 1.0]), np.arange(13)
    points = _touching(pose, up, every)
    active = arena.over_ground(points, walled) & (points[:, 2] < NEAR)
    return TREE.contacts(pose, SPHERES, points, up, points[:, 2], active, FRICTION * arena.GROUND_FRICTION)


def _wall_contacts(pose: Pose):
    outwards, limbs = arena.nearest_wall(pose.center[0]), np.arange(8)
    points = _touching(pose, -outwards, limbs)
    distance, held = arena.wall_distance(points, outwards)
    active = held & (distance < NEAR)
    return TREE.contacts(pose, SPHERES[limbs], points, -outwards, distance, active, FRICTION * arena.WALL_FRICTION)


# Bullet creates the eight limits (two rows each), then eight idle motors.
_ORDER = [k for k in contact.creation_order(16) if k < 8]


_LIMIT_ROWS = np.eye(8, 14, 6)[_ORDER][:, None, :] * np.array([1.0, -1.0])[None, :, None]  # [8, 2, 14]


def _limits(ant: BodyState, dt: float) -> Joints:
    speed, violated = contact.limits(ant.joint_angle, jnp.asarray(LOW), jnp.asarray(HIGH), dt)
    order = np.array(_ORDER)
    high = jnp.where(violated, jnp.inf, 0.0)[order].reshape(-1)
    return Joints(jnp.asarray(_LIMIT_ROWS).reshape(16, 14), speed[order].reshape(-1), jnp.zeros(16), high)


class Ant:
    """Four legs; action `[8]` is torques at hip and ankle of each."""

    initial_yaw = 0.0
    recorded_state = ("position", "linear_velocity", "angular_velocity", "quaternion", "obs")

    def start(self, rng: jax.Array, position: jax.Array, yaw: jax.Array, dt: float, substeps: int) -> BodyState:
        """Physics after a control step at rest, from hinge angles with ±0.1 rad of noise."""
        noise = jax.random.uniform(rng, (8,), minval=-0.1, maxval=0.1)
        ankles = jnp.array([0.0, 1.0, 0.0, -1.0, 0.0, -1.0, 0.0, 1.0])
        still = TREE.at_rest(jnp.append(position, HEIGHT), yaw, noise + jnp.pi / 2 * ankles)
        return self.advance(still, jnp.zeros(8), dt, substeps, False)

    def advance(self, physics: BodyState, action: jax.Array, dt: float, substeps: int, walled: bool) -> BodyState:
        """Physics after `substeps` steps of `dt` seconds under torques of `TORQUE` · `action` `[8]`."""

        def substep(_, ant: BodyState) -> BodyState:
            pose = TREE.pose(ant)
            inverse_mass, force = TREE.dynamics(pose, ant.generalized_velocity)
            force = force + jnp.append(jnp.zeros(6), TORQUE * action)
            velocity = ant.generalized_velocity + dt * inverse_mass @ force
            contacts = _ground_contacts(pose, walled)
            if walled:
                contacts = contacts.joined(_wall_contacts(pose))
            velocity = contact.solve(velocity, inverse_mass, _limits(ant, dt), contacts, dt)
            return TREE.integrated(ant, velocity, dt)

        return jax.lax.fori_loop(0, substeps, substep, physics)

    def _relative(self, ant: BodyState) -> tuple[jax.Array, jax.Array]:
        """`[8]` hinge angles in [−1, 1] of their range, and `[8]` their speeds in 10 rad/s."""
        return (2 * ant.joint_angle - LOW - HIGH) / (HIGH - LOW), 0.1 * ant.joint_speed

    def observe(self, physics: BodyState, dt: float, walled: bool) -> jax.Array:
        """`[33]` position, velocities, orientation, hinge angles and speeds, and which feet touch the ground."""
        # Bullet knows which feet touched the ground when its last step began.
        pose = TREE.pose(TREE.backwards(physics, dt))
        up = jnp.array([0.0, 0.0, 1.0])
        ends = _touching(pose, up, np.arange(8))  # of a foot: its own sphere, and the knee's, where it begins
        touch = (arena.over_ground(ends, walled) & (ends[:, 2] < NEAR)).reshape(2, 4).any(axis=0)
        angle, speed = self._relative(physics)
        return jnp.concatenate(
            [
                0.1 * physics.position,
                0.3 * physics.velocity,
                physics.quaternion,
                0.15 * physics.angular_velocity,
                0.5 * jnp.stack([angle, speed], axis=1).reshape(-1),
                touch.astype(jnp.float32),
            ]
        )

    def reward(self, action: jax.Array, physics: BodyState, dt: float, walled: bool) -> jax.Array:
        """`[]` 1 (−1 if fallen) less effort, 2·mean|a·q̇| + 0.1·mean a², and 0.1 per hinge at its limit."""
        angle, speed = self._relative(physics)
        at_limit = jnp.sum(jnp.abs(angle) > 0.99)
        effort = 2.0 * jnp.mean(jnp.abs(action * speed)) + 0.1 * jnp.mean(action**2)
        return jnp.where(self.alive(physics), 1.0, -1.0) - effort - 0.1 * at_limit

    def alive(self, physics: BodyState) -> jax.Array:
        """`[]` whether the torso is higher than `LOWEST`."""
        return physics.position[2] > LOWEST

    def from_recording(self, recording, prior: BodyState | None) -> BodyState:
        """Physics with the hinges of the recorded observation."""
        joints = 2 * jnp.asarray(recording["obs"])[13:29].reshape(8, 2)
        return TREE.from_recording(recording, (joints[:, 0] * (HIGH - LOW) + LOW + HIGH) / 2, 10 * joints[:, 1])
