"""The ball of Bullet-Safety-Gym as a planar body with slip: ten numbers of state and no contact solver.

Bullet's ball (mass 0.3 kg, radius 0.5 m) is pushed at its centre, rolls on a plane with Coulomb friction and
rolling resistance, and bounces off an octagonal wall. In the plane that is position, velocity and the
*rolling velocity* q = r·(w_y, −w_x), the velocity the centre would have if the ball rolled without slipping;
traction between v and q is what a contact solver would compute. The constants are fitted to recordings of the
real simulator (`benchmarks/fit_ball.py`); the remaining error is what `marvel parity` prints.
"""

import jax
import jax.numpy as jnp
from flax import struct

RADIUS = 0.5  # m
MASS = 0.3  # kg
GRAVITY = 9.81  # m/s²
FORCE = 3.5  # N per unit of action
REST_SPEED = 0.5  # m/s: slower impacts do not rebound
INERTIA = 0.4  # of a solid sphere, in units of mass · radius²


class BallState(struct.PyTreeNode):
    """Physics of one ball, in SI units; all of it, so a state can be stored and restored.

    Attributes:
      position: `[2]` of the centre, m.
      velocity: `[2]` of the centre, m/s.
      rolling: `[2]` rolling velocity q, m/s; equal to `velocity` when the ball does not slip.
      spin: `[]` angular velocity about the vertical, rad/s.
    """

    position: jax.Array
    velocity: jax.Array
    rolling: jax.Array
    spin: jax.Array

    @property
    def angular_velocity(self) -> jax.Array:
        """`[3]` angular velocity in the world frame, rad/s."""
        return jnp.stack([-self.rolling[1] / RADIUS, self.rolling[0] / RADIUS, self.spin])


class BallConstants(struct.PyTreeNode):
    """Fitted constants of the ball's motion. Units are SI."""

    rolling_resistance: float = 1.1805  # deceleration of q, m/s²
    rolling_smoothing: float = 0.022  # |q| below which the resistance fades, m/s
    drag: float = 0.0631  # 1/s
    quadratic_drag: float = 0.07035  # 1/m
    grip: float = 21.0  # Coulomb coefficient of traction
    wall_distance: float = 11.4  # of the centre from the origin along a wall's normal, m
    restitution: float = 0.369
    wall_friction: float = 0.5594  # tangential impulse per normal impulse
    spin_resistance: float = 1.264  # 1/s


def from_recording(position, linear_velocity, angular_velocity) -> BallState:
    """The state of a ball given Bullet's `[3]` position, linear and angular velocity."""
    return BallState(
        position=jnp.asarray(position)[:2],
        velocity=jnp.asarray(linear_velocity)[:2],
        rolling=RADIUS * jnp.stack([angular_velocity[1], -angular_velocity[0]]),
        spin=jnp.asarray(angular_velocity)[2],
    )


def _length(vector: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(vector**2) + 1e-12)  # differentiable at zero


def _hit_face(ball: BallState, angle: jax.Array, constants: BallConstants) -> BallState:
    """Stops or reflects a ball at the wall face whose outward normal points to `angle` (radians)."""
    normal = jnp.stack([jnp.cos(angle), jnp.sin(angle)])
    tangent = jnp.stack([-normal[1], normal[0]])
    depth = ball.position @ normal - constants.wall_distance
    approach = ball.velocity @ normal
    hit = (depth > 0) & (approach > 0)
    normal_impulse = (1 + constants.restitution * jnp.where(approach > REST_SPEED, 1.0, 0.0)) * approach
    # Friction opposes the sliding of the contact point, along the wall (where spin moves it) and up it (where
    # rolling does), and at most stops it. All impulses are per unit of mass.
    sliding = jnp.stack([ball.velocity @ tangent + RADIUS * ball.spin, ball.rolling @ normal])
    stopping = sliding * jnp.array([INERTIA / (1 + INERTIA), INERTIA])
    friction = stopping * jnp.minimum(1.0, constants.wall_friction * normal_impulse / _length(stopping))
    struck = BallState(
        position=ball.position - depth * normal,
        velocity=ball.velocity - normal_impulse * normal - friction[0] * tangent,
        rolling=ball.rolling - friction[1] / INERTIA * normal,
        spin=ball.spin - friction[0] / (INERTIA * RADIUS),
    )
    return jax.tree.map(lambda new, old: jnp.where(hit, new, old), struck, ball)


def _hit_walls(ball: BallState, constants: BallConstants) -> BallState:
    """The octagon's nearest face, then its neighbour on the ball's side: in a corner the ball touches both."""
    eighth = jnp.pi / 4
    angle = jnp.arctan2(ball.position[1], ball.position[0])
    nearest = jnp.round(angle / eighth) * eighth
    ball = _hit_face(ball, nearest, constants)
    return _hit_face(ball, nearest + jnp.where(angle > nearest, eighth, -eighth), constants)


def substep(ball: BallState, action: jax.Array, dt: float, walls: bool, constants: BallConstants) -> BallState:
    """Advances a ball by `dt` seconds under `action` `[2]` in [−1, 1]."""
    drive = FORCE / MASS * action
    velocity, rolling = ball.velocity, ball.rolling
    # The traction that would make v and q equal at the end of the substep, if friction can supply it.
    traction = ((velocity - rolling) / dt + drive) * (INERTIA / (1 + INERTIA))
    traction = traction * jnp.minimum(1.0, constants.grip * GRAVITY / _length(traction))
    air = (constants.drag + constants.quadratic_drag * _length(velocity)) * velocity
    speed = _length(rolling)
    resistance = constants.rolling_resistance * jnp.tanh(speed / constants.rolling_smoothing) * rolling / speed
    velocity = velocity + dt * (drive - traction - air)
    rolling = rolling + dt * (traction / INERTIA - resistance)
    ball = BallState(
        position=ball.position + dt * velocity,
        velocity=velocity,
        rolling=rolling,
        spin=ball.spin * (1 - dt * constants.spin_resistance),
    )
    return _hit_walls(ball, constants) if walls else ball
