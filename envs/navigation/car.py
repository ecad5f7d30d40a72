"""Safety-Gymnasium's car: two driven wheels and a ball that rolls freely behind, on MuJoCo's soft contacts.

Wheels and ball turn within a frame in which they look the same at every angle, so the mass matrix in the car's own
frame is constant and the only bias forces are gyroscopic. Generalized velocities `[11]`: the origin's velocity and the
angular velocity (3 each, in the car's frame), the left and the right wheel's speed, and the ball's angular velocity
relative to the car (3, in the car's frame). Only wheels and ball touch the floor.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from marvel_envs import constraints, quaternions
from marvel_envs.navigation.agent import GRAVITY, Footprint, body_sensors
from marvel_envs.navigation.soft_contact import soft_contacts
from marvel_envs.navigation.tasks import PHYSICS_DT, SUBSTEPS

DENSITY = 5.0  # kg/m³
HEIGHT = 0.1  # m, of the origin at reset
BOXES = (  # of the chassis: centre and half extents, m
    ((0.0, 0.0, 0.0), (0.1, 0.1, 0.05)),
    ((0.0, 0.15, 0.0), (0.1, 0.01, 0.05)),
    ((0.0, 0.125, 0.0), (0.01, 0.025, 0.03)),
    ((0.0, -0.165, 0.0), (0.05, 0.01, 0.05)),
    ((0.0, -0.13, 0.04), (0.05, 0.03, 0.01)),
)
WHEEL_RADIUS, WHEEL_HALF_WIDTH = 0.05, 0.025  # m; the ball has the same radius
WHEEL_CENTERS = np.array([[-0.13, 0.1, -0.05], [0.13, 0.1, -0.05]])  # left, right, m
BALL_CENTER = np.array([0.0, -0.1, -0.05])  # m
DAMPING = 0.001  # N·m·s of wheels and ball
LARGEST_TORQUE = 0.02  # N·m
DIMENSIONS = 11
_WHEEL_MASS = DENSITY * math.pi * WHEEL_RADIUS**2 * 2 * WHEEL_HALF_WIDTH
_BALL_MASS = DENSITY * 4 / 3 * math.pi * WHEEL_RADIUS**3
_BALL_INERTIA = 0.4 * _BALL_MASS * WHEEL_RADIUS**2
_WHEEL_SPIN_INERTIA = 0.5 * _WHEEL_MASS * WHEEL_RADIUS**2
_WHEEL_SIDE_INERTIA = _WHEEL_MASS * (3 * WHEEL_RADIUS**2 + (2 * WHEEL_HALF_WIDTH) ** 2) / 12


def _point_jacobian(point: Any) -> np.ndarray:
    """`[3, 11]` of the velocity of a point of the chassis: v + ω × r."""
    x, y, z = point
    cross = np.array([[0, z, -y], [-z, 0, x], [y, -x, 0]])
    return np.concatenate([np.eye(3), cross, np.zeros((3, DIMENSIONS - 6))], axis=1)


def _link(mass: float, inertia: Any, center: Any, columns: dict[int, int] | None = None) -> np.ndarray:
    """Jᵀ·I·J of one rigid part: its `mass`, diagonal `inertia` about its centre, and which axes it spins about itself.

    `columns` gives, by generalized velocity, the axis that the part turns about beside turning with the car.
    """
    jacobian = np.zeros((6, DIMENSIONS))
    jacobian[:3] = _point_jacobian(center)
    jacobian[3:, 3:6] = np.eye(3)
    for column, axis in (columns or {}).items():
        jacobian[3 + axis, column] = 1.0
    return jacobian.T @ np.diag([mass] * 3 + list(inertia)) @ jacobian


def _mass_matrix() -> np.ndarray:
    """`[11, 11]`, constant."""
    total = np.zeros((DIMENSIONS, DIMENSIONS))
    for center, half in BOXES:
        mass = DENSITY * 8 * math.prod(half)
        a, b, c = (h**2 for h in half)
        total += _link(mass, mass / 3 * np.array([b + c, a + c, a + b]), center)
    for wheel, center in enumerate(WHEEL_CENTERS):
        inertia = (_WHEEL_SPIN_INERTIA, _WHEEL_SIDE_INERTIA, _WHEEL_SIDE_INERTIA)
        total += _link(_WHEEL_MASS, inertia, center, {6 + wheel: 0})
    return total + _link(_BALL_MASS, [_BALL_INERTIA] * 3, BALL_CENTER, {8: 0, 9: 1, 10: 2})


MASS_MATRIX = _mass_matrix()
_INVERSE_MASS = np.linalg.inv(MASS_MATRIX)
_DAMPING = np.array([0.0] * 6 + [DAMPING] * 5)


class CarState(struct.PyTreeNode):
    """A car's state.

    Attributes:
      position: `[3]` of the origin, m.
      quaternion: `[4]` (x, y, z, w).
      velocity: `[3]` of the origin, m/s, world frame.
      spin: `[8]` rad/s in the car's frame: its own (3), the wheels' (left, right), the ball's relative to the car (3).
      ball_quaternion: `[4]` of the ball relative to the car.
      control: `[2]` the last action.
      acceleration: `[11]` of the last physics step, where the contact solver starts.
    """

    position: jax.Array
    quaternion: jax.Array
    velocity: jax.Array
    spin: jax.Array
    ball_quaternion: jax.Array
    control: jax.Array
    acceleration: jax.Array


class Car:
    """An action is the torques of the left and the right wheel, see `Agent`."""

    dt = PHYSICS_DT["Car"]
    recorded_state = (
        "position",
        "quaternion",
        "linear_velocity",
        "angular_velocity",
        "wheel_speed",
        "ball_quaternion",
        "ball_angular_velocity",
    )
    footprint = (
        *(Footprint(center[:2], half[:2]) for center, half in (BOXES[0], BOXES[1], BOXES[3])),
        *(Footprint((x, y), (WHEEL_HALF_WIDTH, WHEEL_RADIUS)) for x, y, _ in WHEEL_CENTERS.tolist()),
    )

    def start(self, position: jax.Array, yaw: jax.Array) -> CarState:
        """Physics at rest, upright."""
        return CarState(
            position=jnp.append(position, HEIGHT),
            quaternion=quaternions.from_yaw(yaw),
            velocity=jnp.zeros(3),
            spin=jnp.zeros(8),
            ball_quaternion=jnp.array([0.0, 0.0, 0.0, 1.0]),
            control=jnp.zeros(2),
            acceleration=jnp.zeros(DIMENSIONS),
        )

    def advance(self, physics: CarState, action: jax.Array) -> CarState:
        """Physics one control step later, under the wheels' torques `[2]` in N·m, clipped to `LARGEST_TORQUE`."""
        # Damping is implicit in the step of velocities: (M + h·D)·u̇ = M·a.
        implicit = np.linalg.inv(MASS_MATRIX + self.dt * np.diag(_DAMPING)) @ MASS_MATRIX

        def substep(_, car: CarState) -> CarState:
            acceleration = _acceleration(car)
            change = self.dt * implicit @ acceleration
            velocity = car.velocity + quaternions.matrix(car.quaternion) @ change[:3]
            spin = car.spin + change[3:]
            turn = quaternions.from_rotation_vector(self.dt * spin[:3])
            quaternion = quaternions.multiply(car.quaternion, turn)
            return car.replace(
                position=car.position + self.dt * velocity,
                quaternion=quaternion / jnp.linalg.norm(quaternion),
                velocity=velocity,
                spin=spin,
                ball_quaternion=quaternions.turned(car.ball_quaternion, spin[5:], self.dt),
                acceleration=acceleration,
            )

        return jax.lax.fori_loop(0, SUBSTEPS, substep, physics.replace(control=action))

    def sensors(self, physics: CarState) -> jax.Array:
        """`[24]` body sensors, and the ball's angular velocity and rotation matrix."""
        rotation, ball = quaternions.matrix(physics.quaternion), quaternions.matrix(physics.ball_quaternion)
        body = body_sensors(rotation, _acceleration(physics)[:3], physics.velocity, physics.spin[:3])
        return jnp.concatenate([body, physics.spin[5:] @ ball, ball.reshape(-1)])

    def from_recording(self, recording: Any, prior: CarState | None) -> CarState:
        """Physics from a recording, with the last action and acceleration of `prior`, or 0."""
        names = ("position", "quaternion", "linear_velocity", "angular_velocity", "wheel_speed", "ball_quaternion")
        position, quaternion, velocity, turn, wheels, ball = (jnp.asarray(recording[name]) for name in names)
        rolling = quaternions.matrix(ball) @ jnp.asarray(recording["ball_angular_velocity"])
        return CarState(
            position=position,
            quaternion=quaternion,
            velocity=velocity,
            spin=jnp.concatenate([turn @ quaternions.matrix(quaternion), wheels, rolling]),
            ball_quaternion=ball,
            control=jnp.zeros(2) if prior is None else prior.control,
            acceleration=jnp.zeros(DIMENSIONS) if prior is None else prior.acceleration,
        )


def _acceleration(car: CarState) -> jax.Array:
    """`[11]` of the generalized velocities; the first three are the origin's, in the car's frame."""
    rotation = quaternions.matrix(car.quaternion)
    turn, wheels, ball = car.spin[:3], car.spin[3:5], car.spin[5:]
    # Seen from a frame that moves along with the origin, momenta of the whole and of the ball turn with the car.
    momentum = MASS_MATRIX[:, 3:] @ car.spin
    bias = [jnp.cross(turn, momentum[:3]), jnp.cross(turn, momentum[3:6]), jnp.zeros(2)]
    gyroscopic = jnp.concatenate([*bias, _BALL_INERTIA * jnp.cross(turn, ball)])
    torque = jnp.clip(car.control, -LARGEST_TORQUE, LARGEST_TORQUE) - DAMPING * wheels
    weight = MASS_MATRIX[:, :3] @ (-GRAVITY * rotation[2])
    force = jnp.concatenate([jnp.zeros(6), torque, -DAMPING * ball]) - gyroscopic + weight
    return constraints.solve(jnp.asarray(MASS_MATRIX), force, _contacts(car, rotation), car.acceleration)


def _touch_weights() -> np.ndarray:
    """`[5]` mean inverse inertia of the links that touch the floor, 1/kg: two points of each wheel, one of the ball."""
    weights = []
    for center in (*WHEEL_CENTERS, BALL_CENTER):
        jacobian = _point_jacobian(center)
        weights.append(np.trace(jacobian @ _INVERSE_MASS @ jacobian.T) / 3)
    return np.repeat(weights, [2, 2, 1])


_TOUCH_WEIGHTS = _touch_weights()


def _contacts(car: CarState, rotation: jax.Array) -> constraints.Rows:
    """Of the lowest points of both rims of both wheels, and of the ball, with the floor; all in the car's frame."""
    up = rotation[2]
    rim = -jnp.stack([jnp.zeros(()), up[1], up[2]]) * WHEEL_RADIUS / jnp.hypot(up[1], up[2])
    sideways = np.array([[WHEEL_HALF_WIDTH, 0.0, 0.0], [-WHEEL_HALF_WIDTH, 0.0, 0.0]])
    arms = jnp.concatenate([jnp.tile(rim + sideways, (2, 1)), -WHEEL_RADIUS * up[None]])
    centers = np.concatenate([np.repeat(WHEEL_CENTERS, 2, axis=0), BALL_CENTER[None]])
    distance = car.position[2] + (centers + arms) @ up
    arms = arms - 0.5 * distance[:, None] * up  # MuJoCo puts the contact midway between the surfaces
    # Along the normal and across it, as MuJoCo chooses them for planes.
    directions = jnp.stack([rotation[2], rotation[1], -rotation[0]])
    levers = jnp.cross((centers + arms)[:, None], directions[None])
    own = jnp.cross(arms[:, None], directions[None])  # [5, 3, 3] by the link's own turning
    turning = jnp.broadcast_to(directions, own.shape)
    owners = np.zeros((5, 3, 5))  # which own axis of which link is which of the last five velocities
    owners[0:2, 0, 0] = owners[2:4, 0, 1] = 1.0
    owners[4, :, 2:] = np.eye(3)
    linear = jnp.concatenate([turning, levers, jnp.einsum("nka,naj->nkj", own, owners)], axis=2)
    angular = jnp.einsum("nka,naj->nkj", turning, owners)
    angular = jnp.concatenate([jnp.zeros_like(own), turning, angular], axis=2)
    velocity = jnp.concatenate([car.velocity @ rotation, car.spin])
    jacobian = jnp.concatenate([linear, angular], axis=1)
    return soft_contacts(jacobian, distance, velocity, jnp.asarray(_TOUCH_WEIGHTS))
