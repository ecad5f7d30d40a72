"""The ball agent: a force in the plane pushes a solid sphere, which rolls, slips and bounces as Bullet has it.

Masses and frictions are the model's, all else is Bullet's. A step from a recorded state gives the recorded next state
up to rounding, except where the ball touches two walls at once.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from marvel_envs.bullet import arena, contact

MASS, RADIUS, INERTIA = 0.3, 0.5, 0.03  # kg, m, kg·m²
FORCE = 3.5  # N per unit of action
GRAVITY = 9.81  # m/s²
DAMPING = 0.04  # 1/s, and 1/m or 1/rad for the part that grows with speed: Bullet's default
FRICTION, ROLLING_FRICTION = 1.1, 0.03  # the ball's, to be multiplied by the surface's friction; rolling in m
GROUND_RESTITUTION = 0.7 * 0.5  # walls have none
REST_SPEED = 0.2  # m/s: slower impacts do not rebound
SLOP = 1e-5  # m of penetration that Bullet leaves


class BallState(struct.PyTreeNode):
    """Physics of one ball, in SI units and the world frame; complete, so that a state can be stored and restored.

    Attributes:
      position: `[3]` of the centre.
      velocity: `[3]` of the centre.
      angular_velocity: `[3]`.
    """

    position: jax.Array
    velocity: jax.Array
    angular_velocity: jax.Array


class _Surface(NamedTuple):
    """One surface that the ball may touch."""

    normal: jax.Array
    distance: jax.Array
    friction: float
    restitution: float


class _Impulses(NamedTuple):
    """The impulses of one contact so far: along the normal, about it, and `[2]` along and about its tangents."""

    normal: jax.Array
    spinning: jax.Array
    rolling: jax.Array
    sliding: jax.Array


def _surfaces(position: jax.Array, walled: bool) -> list[_Surface]:
    """The ground, and of the octagon the nearest wall and its neighbour: in a corner the ball touches both."""
    up = jnp.array([0.0, 0.0, 1.0])
    surfaces = [_Surface(up, position[2] - RADIUS, arena.GROUND_FRICTION, GROUND_RESTITUTION)]
    if walled:
        eighth = jnp.pi / 4
        angle = jnp.arctan2(position[1], position[0])
        nearest = jnp.round(angle / eighth) * eighth
        for face in (nearest, nearest + jnp.where(angle > nearest, eighth, -eighth)):
            normal = -jnp.stack([jnp.cos(face), jnp.sin(face), jnp.zeros(())])
            distance = arena.WALL_DISTANCE + position @ normal - RADIUS
            surfaces.append(_Surface(normal, distance, arena.WALL_FRICTION, 0.0))
    return surfaces


def _within(vector: jax.Array, bound: jax.Array) -> jax.Array:
    """A vector, shortened to `bound`."""
    return vector * jnp.minimum(1.0, bound / jnp.sqrt(vector @ vector + 1e-18))


def _bounce(velocity: jax.Array, spin: jax.Array, surfaces: list[_Surface], dt: float) -> tuple[jax.Array, jax.Array]:
    """Velocities `[3]` after the contacts' normal, spinning, rolling and sliding impulses, iterated as in Bullet."""
    frames = [jnp.stack([s.normal, *contact.tangents(s.normal)]) for s in surfaces]
    arms = [-RADIUS * s.normal for s in surfaces]
    target_speed = []
    for surface, arm in zip(surfaces, arms, strict=True):
        approach = (velocity + jnp.cross(spin, arm)) @ surface.normal
        rebound = jnp.where(jnp.abs(approach) > REST_SPEED, jnp.maximum(-surface.restitution * approach, 0.0), 0.0)
        depth = surface.distance + SLOP
        target_speed.append(rebound - jnp.where(depth > 0, 1.0, contact.ERP) * depth / dt)
    mass_along = 1.0 / (1.0 / MASS + RADIUS**2 / INERTIA)

    def iteration(_, carry):
        velocity, spin, impulses = carry
        impulses = list(impulses)
        for k, (surface, arm, frame) in enumerate(zip(surfaces, arms, frames, strict=True)):
            missing = target_speed[k] - (velocity + jnp.cross(spin, arm)) @ frame[0]
            normal = jnp.where(surface.distance < 0, jnp.maximum(impulses[k].normal + MASS * missing, 0.0), 0.0)
            velocity = velocity + (normal - impulses[k].normal) / MASS * frame[0]
            impulses[k] = impulses[k]._replace(normal=normal)
        for k, (surface, frame) in enumerate(zip(surfaces, frames, strict=True)):
            bound = ROLLING_FRICTION * surface.friction * impulses[k].normal
            spinning = jnp.clip(impulses[k].spinning - INERTIA * (spin @ frame[0]), -bound, bound)
            spin = spin + (spinning - impulses[k].spinning) / INERTIA * frame[0]
            rolling = _within(impulses[k].rolling - INERTIA * (frame[1:] @ spin), bound)
            spin = spin + (rolling - impulses[k].rolling) / INERTIA @ frame[1:]
            impulses[k] = impulses[k]._replace(spinning=spinning, rolling=rolling)
        for k, (surface, arm, frame) in enumerate(zip(surfaces, arms, frames, strict=True)):
            bound = FRICTION * surface.friction * impulses[k].normal
            speed = frame[1:] @ (velocity + jnp.cross(spin, arm))
            sliding = _within(impulses[k].sliding - mass_along * speed, bound)
            impulse = (sliding - impulses[k].sliding) @ frame[1:]
            velocity, spin = velocity + impulse / MASS, spin + jnp.cross(arm, impulse) / INERTIA
            impulses[k] = impulses[k]._replace(sliding=sliding)
        return velocity, spin, impulses

    nothing = _Impulses(jnp.zeros(()), jnp.zeros(()), jnp.zeros(2), jnp.zeros(2))
    start = (velocity, spin, [nothing] * len(surfaces))
    return jax.lax.fori_loop(0, contact.ITERATIONS, iteration, start)[:2]


def _substep(ball: BallState, action: jax.Array, dt: float, walled: bool) -> BallState:
    force = FORCE / MASS * jnp.append(action, 0.0) - jnp.array([0.0, 0.0, GRAVITY])
    drag = DAMPING * (1 + jnp.linalg.norm(ball.velocity)) * ball.velocity
    velocity = ball.velocity + dt * (force - drag)
    spin = ball.angular_velocity * (1 - dt * DAMPING * (1 + jnp.linalg.norm(ball.angular_velocity)))
    velocity, spin = _bounce(velocity, spin, _surfaces(ball.position, walled), dt)
    return BallState(ball.position + dt * velocity, velocity, spin)


class Ball:
    """A rolling ball; action `[2]` is the force."""

    initial_yaw = 0.0
    recorded_state = ("position", "linear_velocity", "angular_velocity")

    def start(self, rng: jax.Array, position: jax.Array, yaw: jax.Array, dt: float, substeps: int) -> BallState:
        """Physics at rest on the ground."""
        return BallState(jnp.append(position, RADIUS - SLOP), jnp.zeros(3), jnp.zeros(3))

    def advance(self, physics: BallState, action: jax.Array, dt: float, substeps: int, walled: bool) -> BallState:
        """Physics after `substeps` steps of `dt` seconds under a force of `FORCE` · `action` `[2]`."""
        return jax.lax.fori_loop(0, substeps, lambda _, ball: _substep(ball, action, dt, walled), physics)

    def observe(self, physics: BallState, dt: float, walled: bool) -> jax.Array:
        """`[7]` position and velocity in the plane, and angular velocity."""
        return jnp.concatenate([0.1 * physics.position[:2], 0.2 * physics.velocity[:2], 0.1 * physics.angular_velocity])

    def reward(self, action: jax.Array, physics: BallState, dt: float, walled: bool) -> jax.Array:
        """`[]` −0.5·‖a‖."""
        return -0.5 * jnp.linalg.norm(action)

    def alive(self, physics: BallState) -> jax.Array:
        """`[]` always true."""
        return jnp.array(True)

    def from_recording(self, recording, prior: BallState | None) -> BallState:
        """Physics from a recording, which has all of it."""
        return BallState(*(jnp.asarray(recording[name]) for name in self.recorded_state))
