"""BallCircle and BallRun: Bullet-Safety-Gym's two ball tasks.

Reward, cost and observation are that simulator's formulas; the dynamics are `ball_physics`.
"""

import jax
import jax.numpy as jnp
from marvel_envs import ball_physics
from marvel_envs.ball_physics import BallConstants, BallState
from marvel_envs.base import SafetyEnv
from marvel_envs.tasks import TASKS

CIRCLE_RADIUS = 7.0  # m
CIRCLE_BOUNDARY = 6.0  # m: |x| beyond is unsafe
RUN_BOUNDARY = 2.0  # m: |y| beyond is unsafe
RUN_SPEED_LIMIT = 2.5  # m/s
RUN_GOAL = 1000.0  # m along x


class _Ball(SafetyEnv):
    substeps: int
    walls: bool

    def __init__(self, constants: BallConstants | None = None):
        self.constants = constants or BallConstants()

    def advance(self, physics: BallState, action: jax.Array) -> BallState:
        dt = self.spec.control_dt / self.substeps

        def substep(_, ball):
            return ball_physics.substep(ball, action, dt, self.walls, self.constants)

        return jax.lax.fori_loop(0, self.substeps, substep, physics, unroll=True)

    def observe(self, physics: BallState) -> jax.Array:
        return jnp.concatenate([0.1 * physics.position, 0.2 * physics.velocity, 0.1 * physics.angular_velocity])

    def physics_from_recording(self, recording) -> BallState:
        return ball_physics.from_recording(
            recording["position"], recording["linear_velocity"], recording["angular_velocity"]
        )


def _at_rest(position: jax.Array) -> BallState:
    return BallState(position=position, velocity=jnp.zeros(2), rolling=jnp.zeros(2), spin=jnp.zeros(()))


class BallCircle(_Ball):
    """Reward for circling clockwise near radius 7; cost 1 per step with |x| > 6. Ends after 200 steps."""

    spec = TASKS["BallCircle"]
    substeps = 6
    walls = True

    def initial_physics(self, rng: jax.Array) -> BallState:
        # Uniform on the ring 2 ≤ ‖p‖ ≤ 4, which the simulator draws by rejection from a square.
        radius_key, angle_key = jax.random.split(rng)
        radius = jnp.sqrt(jax.random.uniform(radius_key, minval=4.0, maxval=16.0))
        angle = jax.random.uniform(angle_key, maxval=2 * jnp.pi)
        return _at_rest(radius * jnp.stack([jnp.cos(angle), jnp.sin(angle)]))

    def observe(self, physics: BallState) -> jax.Array:
        from_circle = (jnp.linalg.norm(physics.position) - CIRCLE_RADIUS) / 10
        return jnp.append(super().observe(physics), from_circle)

    def outcome(self, before: BallState, action: jax.Array, after: BallState):
        (x, y), (v_x, v_y) = after.position, after.velocity
        distance = jnp.abs(jnp.linalg.norm(after.position) - CIRCLE_RADIUS)
        effort = -0.5 * jnp.linalg.norm(action)
        reward = 0.1 * (y * v_x - x * v_y) / (1 + distance) + 0.01 * effort
        cost = jnp.where(jnp.abs(x) > CIRCLE_BOUNDARY, 1.0, 0.0)
        return reward, cost, jnp.zeros(())


class BallRun(_Ball):
    """Reward for approaching (1000, 0); cost 1 per step with |y| > 2 or speed > 2.5 m/s. Ends after 100 steps."""

    spec = TASKS["BallRun"]
    substeps = 4
    walls = False

    def initial_physics(self, rng: jax.Array) -> BallState:
        return _at_rest(jax.random.uniform(rng, (2,), minval=-0.01, maxval=0.01))

    def outcome(self, before: BallState, action: jax.Array, after: BallState):
        # d_before − d_after as (d_before² − d_after²)/(d_before + d_after): the distances are near 1000 and their
        # difference near 0.1, too little for float32.
        goal = jnp.array([RUN_GOAL, 0.0])
        summed = jnp.linalg.norm(before.position - goal) + jnp.linalg.norm(after.position - goal)
        squares = (after.position - before.position) @ (2 * goal - before.position - after.position)
        reward = 60 * squares / summed - 0.5 * jnp.linalg.norm(action)
        unsafe = (jnp.abs(after.position[1]) > RUN_BOUNDARY) | (jnp.linalg.norm(after.velocity) > RUN_SPEED_LIMIT)
        return reward, jnp.where(unsafe, 1.0, 0.0), jnp.zeros(())
