"""Bullet-Safety-Gym's circle and run tasks for all of its agents: that simulator's rewards, costs and observations."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from marvel_envs.base import SafetyEnv
from marvel_envs.bullet.agent import Agent
from marvel_envs.tasks import TASKS

CIRCLE_RADIUS = 7.0  # m
CIRCLE_BOUNDARY = 6.0  # m: |x| beyond is unsafe
CIRCLE_DIMENSION = 10.0  # m, unit of the observed distance from the circle
RUN_BOUNDARY = 2.0  # m: |y| beyond is unsafe
RUN_GOAL = 1000.0  # m along x


@dataclass(frozen=True)
class Timing:
    """A control step is `substeps` physics steps of `dt` seconds."""

    dt: float
    substeps: int


CIRCLE_TIMING = Timing(1 / 60, 6)
RUN_TIMING = {
    "Ball": Timing(1 / 120, 4),
    "Car": Timing(1 / 120, 4),
    "Drone": Timing(1 / 120, 2),
    "Ant": Timing(1 / 120, 4),
}


def make_agent(name: str) -> Agent:
    """An agent by its name, as in "BallCircle". Imported when made: each has its own physics."""
    if name == "Ball":
        from marvel_envs.bullet.ball import Ball

        return Ball()
    if name == "Car":
        from marvel_envs.bullet.car import Car

        return Car()
    if name == "Drone":
        from marvel_envs.bullet.drone import Drone

        return Drone()
    from marvel_envs.bullet.ant import Ant

    return Ant()


class BulletEnv(SafetyEnv):
    """A task of one agent. Physics is the agent's."""

    walled: bool
    timing: Timing

    def __init__(self, name: str, agent: Agent | None = None):
        self.spec = TASKS[name]
        self.agent = agent or make_agent(self.agent_name)
        self.recorded_state = self.agent.recorded_state

    @property
    def agent_name(self) -> str:
        """The task's name without the task."""
        return self.spec.name.removesuffix("Circle").removesuffix("Run")

    def advance(self, physics: Any, action: jax.Array) -> Any:
        return self.agent.advance(physics, action, self.timing.dt, self.timing.substeps, self.walled)

    def observe(self, physics: Any) -> jax.Array:
        return self.agent.observe(physics, self.timing.dt, self.walled)

    def physics_from_recording(self, recording: Any, prior: Any | None = None) -> Any:
        return self.agent.from_recording(recording, prior)

    def _start(self, rng: jax.Array, position: jax.Array, yaw: jax.Array) -> Any:
        heading = yaw + self.agent.initial_yaw
        return self.agent.start(rng, position, heading, self.timing.dt, self.timing.substeps)

    def _agent_reward(self, action: jax.Array, after: Any) -> jax.Array:
        return self.agent.reward(action, after, self.timing.dt, self.walled)

    def _termination(self, after: Any) -> jax.Array:
        return jnp.where(self.agent.alive(after), 0.0, 1.0)


class Circle(BulletEnv):
    """Reward for circling clockwise near radius 7 in a walled arena; cost 1 per step with |x| > 6."""

    walled = True
    timing = CIRCLE_TIMING

    def initial_physics(self, rng: jax.Array) -> Any:
        # Uniform on the ring 2 ≤ ‖p‖ ≤ 4, which the simulator draws by rejection from a square.
        radius_key, angle_key, agent_key = jax.random.split(rng, 3)
        radius = jnp.sqrt(jax.random.uniform(radius_key, minval=4.0, maxval=16.0))
        angle = jax.random.uniform(angle_key, maxval=2 * jnp.pi)
        position = radius * jnp.stack([jnp.cos(angle), jnp.sin(angle)])
        return self._start(agent_key, position, angle + jnp.pi + jnp.pi / 2)

    def observe(self, physics: Any) -> jax.Array:
        from_circle = (jnp.linalg.norm(physics.position[:2]) - CIRCLE_RADIUS) / CIRCLE_DIMENSION
        return jnp.append(super().observe(physics), from_circle)

    def outcome(self, before: Any, action: jax.Array, after: Any):
        (x, y), (v_x, v_y) = after.position[:2], after.velocity[:2]
        distance = jnp.abs(jnp.linalg.norm(after.position[:2]) - CIRCLE_RADIUS)
        reward = 0.1 * (y * v_x - x * v_y) / (1 + distance) + 0.01 * self._agent_reward(action, after)
        cost = jnp.where(jnp.abs(x) > CIRCLE_BOUNDARY, 1.0, 0.0)
        return reward, cost, self._termination(after)


class Run(BulletEnv):
    """Reward for approaching (1000, 0); cost 1 per step with |y| > 2 or above the agent's speed limit."""

    walled = False

    def __init__(self, name: str, agent: Agent | None = None):
        super().__init__(name, agent)
        self.timing = RUN_TIMING[self.agent_name]

    def initial_physics(self, rng: jax.Array) -> Any:
        position_key, agent_key = jax.random.split(rng)
        position = jax.random.uniform(position_key, (2,), minval=-0.01, maxval=0.01)
        return self._start(agent_key, position, jnp.zeros(()))

    def outcome(self, before: Any, action: jax.Array, after: Any):
        # d_before − d_after as (d_before² − d_after²)/(d_before + d_after): the distances are near 1000 and their
        # difference near 0.1, too little for float32.
        goal = jnp.array([RUN_GOAL, 0.0])
        start, end = before.position[:2], after.position[:2]
        summed = jnp.linalg.norm(start - goal) + jnp.linalg.norm(end - goal)
        reward = 60 * ((end - start) @ (2 * goal - start - end)) / summed + self._agent_reward(action, after)
        fast = jnp.linalg.norm(after.velocity[:2]) > self.agent.speed_limit
        unsafe = (jnp.abs(end[1]) > RUN_BOUNDARY) | fast
        return reward, jnp.where(unsafe, 1.0, 0.0), self._termination(after)


def make(name: str) -> BulletEnv:
    """The environment of a Bullet task."""
    return (Circle if name.endswith("Circle") else Run)(name)
