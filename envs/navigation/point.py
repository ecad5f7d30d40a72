"""Safety-Gymnasium's point: a robot that slides on the plane, pushed along its heading and turned by a servo.

MuJoCo keeps it at a fixed height by its joints and it just does not touch the floor, so its mechanics are those of a
plane rigid body with damping, solved here as MuJoCo does (semi-implicit Euler, damping implicit). The only other body
that it can touch is a vase of a six-hundredth of its mass.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from marvel_envs import quaternions
from marvel_envs.navigation.agent import Footprint, body_sensors
from marvel_envs.navigation.tasks import PHYSICS_DT, SUBSTEPS

HEIGHT = 0.1  # m, of the body's origin
RADIUS = 0.1  # m, of the sphere around the origin
ARROW_HALF, ARROW_CENTER = 0.05, 0.1  # m, of the cube that shows the heading
_SPHERE_MASS, _ARROW_MASS = 4 / 3 * math.pi * RADIUS**3, (2 * ARROW_HALF) ** 3  # density 1 kg/m³
MASS = _SPHERE_MASS + _ARROW_MASS
MASS_MOMENT = _ARROW_MASS * ARROW_CENTER  # kg·m: mass times how far the centre of mass is ahead of the origin
INERTIA = 0.4 * _SPHERE_MASS * RADIUS**2 + _ARROW_MASS * (2 / 3 * ARROW_HALF**2 + ARROW_CENTER**2)  # about the origin
DAMPING, TURN_DAMPING = 0.01, 0.005  # N·s/m and N·m·s
GEAR, LARGEST_FORCE = 0.3, 0.05  # of both motors: force = gear · clip(input, ±0.05)


class PointState(struct.PyTreeNode):
    """A point's state.

    Attributes:
      position: `[3]` m.
      yaw: `[]` rad.
      velocity: `[3]` m/s.
      turn_rate: `[]` rad/s.
      control: `[2]` the last action, which the accelerometer feels.
    """

    position: jax.Array
    yaw: jax.Array
    velocity: jax.Array
    turn_rate: jax.Array
    control: jax.Array

    @property
    def quaternion(self) -> jax.Array:
        """`[4]` (x, y, z, w)."""
        return quaternions.from_yaw(self.yaw)


class Point:
    """An action is the push along the heading and the wanted turn rate, see `Agent`."""

    dt = PHYSICS_DT["Point"]
    recorded_state = ("position", "quaternion", "linear_velocity", "angular_velocity")
    footprint = (
        Footprint((0.0, 0.0), (0.0, 0.0), RADIUS),
        Footprint((ARROW_CENTER, 0.0), (ARROW_HALF, ARROW_HALF)),
    )

    def start(self, position: jax.Array, yaw: jax.Array) -> PointState:
        """Physics at rest."""
        return PointState(jnp.append(position, HEIGHT), yaw, jnp.zeros(3), jnp.zeros(()), jnp.zeros(2))

    def advance(self, physics: PointState, action: jax.Array) -> PointState:
        """Physics one control step later, under push and turn rate `[2]`."""

        def substep(_, point: PointState) -> PointState:
            (forward, left), turn = _acceleration(point, self.dt)
            heading = jnp.stack([jnp.cos(point.yaw), jnp.sin(point.yaw), jnp.zeros(())])
            side = jnp.stack([-heading[1], heading[0], heading[2]])
            velocity = point.velocity + self.dt * (forward * heading + left * side)
            turn_rate = point.turn_rate + self.dt * turn
            return point.replace(
                position=point.position + self.dt * velocity,
                yaw=point.yaw + self.dt * turn_rate,
                velocity=velocity,
                turn_rate=turn_rate,
            )

        return jax.lax.fori_loop(0, SUBSTEPS, substep, physics.replace(control=action))

    def sensors(self, physics: PointState) -> jax.Array:
        """`[12]` body sensors."""
        (forward, left), _ = _acceleration(physics, 0.0)
        zero = jnp.zeros(())
        spin = jnp.stack([zero, zero, physics.turn_rate])
        rotation = quaternions.matrix(physics.quaternion)
        return body_sensors(rotation, jnp.stack([forward, left, zero]), physics.velocity, spin)

    def from_recording(self, recording: Any, prior: PointState | None) -> PointState:
        """Physics from a recording, with the last action of `prior`, or 0."""
        return PointState(
            position=jnp.asarray(recording["position"]),
            yaw=quaternions.yaw(jnp.asarray(recording["quaternion"])),
            velocity=jnp.asarray(recording["linear_velocity"]),
            turn_rate=jnp.asarray(recording["angular_velocity"])[2],
            control=jnp.zeros(2) if prior is None else prior.control,
        )


def _acceleration(point: PointState, dt: float) -> tuple[jax.Array, jax.Array]:
    """`[2]` of the origin, forwards and to the left, and `[]` of the turn; `dt` makes the damping implicit, 0 does not.

        m·a_f       = F − d·v_f + (m·c)·ω²
        m·a_l + (m·c)·α = −d·v_l
        (m·c)·a_l + I·α = T − d_t·ω

    with c how far the centre of mass is ahead of the origin.
    """
    cos, sin = jnp.cos(point.yaw), jnp.sin(point.yaw)
    forward_speed = cos * point.velocity[0] + sin * point.velocity[1]
    left_speed = cos * point.velocity[1] - sin * point.velocity[0]
    wanted = jnp.stack([point.control[0], point.control[1] - GEAR * point.turn_rate])
    push, torque = GEAR * jnp.clip(wanted, -LARGEST_FORCE, LARGEST_FORCE)
    mass, inertia = MASS + dt * DAMPING, INERTIA + dt * TURN_DAMPING
    forward = (push - DAMPING * forward_speed + MASS_MOMENT * point.turn_rate**2) / mass
    across, about = -DAMPING * left_speed, torque - TURN_DAMPING * point.turn_rate
    determinant = mass * inertia - MASS_MOMENT**2
    left = (inertia * across - MASS_MOMENT * about) / determinant
    turn = (mass * about - MASS_MOMENT * across) / determinant
    return jnp.stack([forward, left]), turn
