"""The ball agent: a force in the plane pushes it. Its dynamics are `ball_physics`."""

import jax
import jax.numpy as jnp
from marvel_envs.bullet import ball_physics
from marvel_envs.bullet.ball_physics import BallConstants, BallState


class Ball:
    """A rolling ball; action `[2]` is the force."""

    speed_limit = 2.5
    initial_yaw = 0.0
    recorded_state = ("position", "linear_velocity", "angular_velocity")

    def __init__(self, constants: BallConstants | None = None):
        self.constants = constants or BallConstants()

    def start(self, rng: jax.Array, position: jax.Array, yaw: jax.Array, dt: float) -> BallState:
        return BallState(position=position, velocity=jnp.zeros(2), rolling=jnp.zeros(2), spin=jnp.zeros(()))

    def advance(self, physics: BallState, action: jax.Array, dt: float, substeps: int, walled: bool) -> BallState:
        def substep(_, ball):
            return ball_physics.substep(ball, action, dt, walled, self.constants)

        return jax.lax.fori_loop(0, substeps, substep, physics, unroll=True)

    def observe(self, physics: BallState, dt: float, walled: bool) -> jax.Array:
        return jnp.concatenate([0.1 * physics.position, 0.2 * physics.velocity, 0.1 * physics.angular_velocity])

    def reward(self, action: jax.Array, physics: BallState, dt: float, walled: bool) -> jax.Array:
        return -0.5 * jnp.linalg.norm(action)

    def alive(self, physics: BallState) -> jax.Array:
        return jnp.array(True)

    def from_recording(self, recording, prior: BallState | None) -> BallState:
        return ball_physics.from_recording(
            recording["position"], recording["linear_velocity"], recording["angular_velocity"]
        )
