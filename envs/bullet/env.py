"""Bullet-Safety-Gym's circle and run tasks for all of its agents: that simulator's rewards, costs and observations."""

import importlib
from typing import Any

import jax
import jax.numpy as jnp
from marvel_envs.base import SafetyEnv
from marvel_envs.bullet.agent import Agent
from marvel_envs.bullet.tasks import BULLET_TASKS, CIRCLE_BOUNDARY, CIRCLE_RADIUS, RUN_BOUNDARY, BulletTask

CIRCLE_DIMENSION = 10.0  # m, unit of the observed distance from the circle
START_RADII = 2.0, 4.0  # m, of the ring on which Circle episodes start
START_EXTENT = 0.01  # m, half the side of the square in which Run episodes start
RUN_GOAL = 1000.0  # m along x


def make_agent(name: str) -> Agent:
    """An agent by the name of its class. Its module is imported only here: each agent has its own physics."""
    module = importlib.import_module(f"marvel_envs.bullet.{name.lower()}")
    return getattr(module, name)()


class BulletEnv(SafetyEnv):
    """A task of one agent. Physics is the agent's.

    Attributes:
      task: The task's facts.
      agent: The agent.
      walled: Whether there are walls around the arena.
    """

    walled: bool

    def __init__(self, task: BulletTask):
        self.spec, self.task = task.spec, task
        self.agent = make_agent(task.agent)
        self.recorded_state = self.agent.recorded_state

    def advance(self, physics: Any, action: jax.Array) -> Any:
        """Physics after `substeps` steps of `dt` seconds under the motors' commands `[action_size]`."""
        return self.agent.advance(physics, action, self.task.dt, self.task.substeps, self.walled)

    def observe(self, physics: Any) -> jax.Array:
        """`[observation_size]` the agent's observation."""
        return self.agent.observe(physics, self.task.dt, self.walled)

    def physics_from_recording(self, recording: Any, prior: Any | None = None) -> Any:
        """The agent's physics from one step of a recording."""
        return self.agent.from_recording(recording, prior)

    def _start(self, rng: jax.Array, position: jax.Array, yaw: jax.Array) -> Any:
        heading = yaw + self.agent.initial_yaw
        return self.agent.start(rng, position, heading, self.task.dt, self.task.substeps)

    def _agent_reward(self, action: jax.Array, after: Any) -> jax.Array:
        return self.agent.reward(action, after, self.task.dt, self.walled)

    def _termination(self, after: Any) -> jax.Array:
        return jnp.where(self.agent.alive(after), 0.0, 1.0)


class Circle(BulletEnv):
    """Circle clockwise near radius R = `CIRCLE_RADIUS` in a walled arena, with |x| at most `CIRCLE_BOUNDARY`."""

    walled = True

    def initial_physics(self, rng: jax.Array) -> Any:
        """A position p uniform on the ring between `START_RADII`, turned along the circle."""
        radius_key, angle_key, agent_key = jax.random.split(rng, 3)
        inner, outer = START_RADII
        radius = jnp.sqrt(jax.random.uniform(radius_key, minval=inner**2, maxval=outer**2))
        angle = jax.random.uniform(angle_key, maxval=2 * jnp.pi)
        position = radius * jnp.stack([jnp.cos(angle), jnp.sin(angle)])
        return self._start(agent_key, position, angle + jnp.pi + jnp.pi / 2)

    def observe(self, physics: Any) -> jax.Array:
        """`[observation_size]` the agent's observation and (‖p‖ − R)/`CIRCLE_DIMENSION`."""
        from_circle = (jnp.linalg.norm(physics.position[:2]) - CIRCLE_RADIUS) / CIRCLE_DIMENSION
        return jnp.append(super().observe(physics), from_circle)

    def outcome(self, before: Any, action: jax.Array, after: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Reward 0.1·(y·v_x − x·v_y)/(1 + |‖p‖ − R|) + 0.01·(the agent's), cost 1 where |x| > `CIRCLE_BOUNDARY`."""
        (x, y), (v_x, v_y) = after.position[:2], after.velocity[:2]
        distance = jnp.abs(jnp.linalg.norm(after.position[:2]) - CIRCLE_RADIUS)
        reward = 0.1 * (y * v_x - x * v_y) / (1 + distance) + 0.01 * self._agent_reward(action, after)
        cost = jnp.where(jnp.abs(x) > CIRCLE_BOUNDARY, 1.0, 0.0)
        return reward, cost, self._termination(after)


class Run(BulletEnv):
    """Run along x, with |y| at most `RUN_BOUNDARY`, below the task's speed limit."""

    walled = False

    def initial_physics(self, rng: jax.Array) -> Any:
        """A position uniform in a small square around the origin, turned along x."""
        position_key, agent_key = jax.random.split(rng)
        position = jax.random.uniform(position_key, (2,), minval=-START_EXTENT, maxval=START_EXTENT)
        return self._start(agent_key, position, jnp.zeros(()))

    def outcome(self, before: Any, action: jax.Array, after: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Reward 60·(d_before − d_after) + the agent's, with d the distance from (`RUN_GOAL`, 0).

        Cost 1 where |y| > `RUN_BOUNDARY` or the speed is above its limit.
        """
        # d_before − d_after as (d_before² − d_after²)/(d_before + d_after): the distances are near 1000 and their
        # difference near 0.1, too little for float32.
        goal = jnp.array([RUN_GOAL, 0.0])
        start, end = before.position[:2], after.position[:2]
        summed = jnp.linalg.norm(start - goal) + jnp.linalg.norm(end - goal)
        reward = 60 * ((end - start) @ (2 * goal - start - end)) / summed + self._agent_reward(action, after)
        fast = jnp.linalg.norm(after.velocity[:2]) > self.task.speed_limit
        unsafe = (jnp.abs(end[1]) > RUN_BOUNDARY) | fast
        return reward, jnp.where(unsafe, 1.0, 0.0), self._termination(after)


_KINDS = {"Circle": Circle, "Run": Run}


def make(name: str) -> BulletEnv:
    """The environment of a Bullet task."""
    task = BULLET_TASKS[name]
    return _KINDS[task.kind](task)
