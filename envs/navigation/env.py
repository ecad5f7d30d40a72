"""Safety-Gymnasium's goal and circle tasks: that simulator's rewards, costs, observations and layouts."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from marvel_envs import quaternions
from marvel_envs.base import SafetyEnv
from marvel_envs.navigation import layout
from marvel_envs.navigation.agent import Agent
from marvel_envs.navigation.lidar import lidar
from marvel_envs.navigation.vase import pushed
from marvel_envs.tasks import TASKS

HAZARDS, HAZARD_RADIUS = 8, 0.2  # m
GOAL_RADIUS, GOAL_REWARD = 0.3, 1.0  # m; once per goal
GOAL_REACH, CIRCLE_REACH = 3.0, 6.0  # m, of the lidar
AGENT_KEEPOUT, GOAL_KEEPOUT, HAZARD_KEEPOUT, VASE_KEEPOUT = 0.4, 0.305, 0.18, 0.15  # m
CIRCLE_RADIUS, CIRCLE_BOUNDARY, CIRCLE_START = 1.5, 1.125, 0.8  # m
SEEDS = 2**24  # seeds of goals lie below, so that float32 datasets hold them exactly


class GoalState(struct.PyTreeNode):
    """Physics of a goal task.

    Attributes:
      agent: The agent's own physics.
      goal: `[2]` m.
      hazards: `[8, 2]` m.
      vase: `[3]` m, m and rad.
      goal_seed: `[]` of the draw of the next goal, a whole number.
      stuck: `[]` 1 if no place was found for a new goal, which ends the episode.
    """

    agent: Any
    goal: jax.Array
    hazards: jax.Array
    vase: jax.Array
    goal_seed: jax.Array
    stuck: jax.Array

    @property
    def position(self) -> jax.Array:
        """`[3]` of the agent, m."""
        return self.agent.position

    @property
    def velocity(self) -> jax.Array:
        """`[3]` of the agent, m/s."""
        return self.agent.velocity


def make_agent(name: str) -> Agent:
    """An agent by its name, as in "PointGoal1"."""
    if name == "Point":
        from marvel_envs.navigation.point import Point

        return Point()
    from marvel_envs.navigation.car import Car

    return Car()


class Goal(SafetyEnv):
    """Reward for approaching and reaching goals, one after another; cost 1 per step in a hazard."""

    recorded_objects = ("goal", "hazards", "vase")

    def __init__(self, name: str):
        self.spec = TASKS[name]
        self.agent = make_agent(name.removesuffix("Goal1"))
        self.recorded_state = (*self.agent.recorded_state, *self.recorded_objects)

    def initial_physics(self, rng: jax.Array) -> GoalState:
        place_key, goal_key, yaw_key, vase_key, seed_key = jax.random.split(rng, 5)
        keepouts = [AGENT_KEEPOUT, GOAL_KEEPOUT, *[HAZARD_KEEPOUT] * HAZARDS, VASE_KEEPOUT]
        places = layout.draw_layout(place_key, jnp.array(keepouts))
        agent, hazards, vase = places[0], places[2 : 2 + HAZARDS], places[-1]
        # The goal is placed with the rest, so that there is room for it, and then drawn anew, as there.
        goal, _ = _draw_goal(goal_key, jnp.array(True), agent, hazards, vase)
        yaw, vase_yaw = (jax.random.uniform(key, maxval=2 * jnp.pi) for key in (yaw_key, vase_key))
        return GoalState(
            agent=self.agent.start(agent, yaw),
            goal=goal,
            hazards=hazards,
            vase=jnp.append(vase, vase_yaw),
            goal_seed=_new_seed(seed_key),
            stuck=jnp.zeros(()),
        )

    def advance(self, physics: GoalState, action: jax.Array) -> GoalState:
        agent = self.agent.advance(physics.agent, action)
        position = agent.position[:2]
        vase = pushed(physics.vase, self.agent.footprint, position, quaternions.yaw(agent.quaternion))
        reached = _reached(position, physics.goal)
        draw_key, seed_key = jax.random.split(jax.random.key(physics.goal_seed.astype(jnp.uint32)))
        goal, found = _draw_goal(draw_key, reached, position, physics.hazards, vase[:2])
        return physics.replace(
            agent=agent,
            goal=jnp.where(reached & found, goal, physics.goal),
            vase=vase,
            goal_seed=jnp.where(reached, _new_seed(seed_key), physics.goal_seed),
            stuck=jnp.maximum(physics.stuck, jnp.where(reached & ~found, 1.0, 0.0)),
        )

    def observe(self, physics: GoalState) -> jax.Array:
        rotation = quaternions.matrix(physics.agent.quaternion)
        seen = [
            lidar(objects, physics.position, rotation, GOAL_REACH)
            for objects in (physics.goal[None], physics.hazards, physics.vase[None, :2])
        ]
        return jnp.concatenate([self.agent.sensors(physics.agent), *seen])

    def outcome(self, before: GoalState, action: jax.Array, after: GoalState):
        # Both distances are to the goal of before: one that is reached is drawn anew only then.
        start, end = (jnp.linalg.norm(state.position[:2] - before.goal) for state in (before, after))
        reward = start - end + jnp.where(end <= GOAL_RADIUS, GOAL_REWARD, 0.0)
        to_hazards = jnp.linalg.norm(after.hazards - after.position[:2], axis=1)
        return reward, jnp.where(jnp.any(to_hazards < HAZARD_RADIUS), 1.0, 0.0), after.stuck

    def physics_from_recording(self, recording: Any, prior: GoalState | None = None) -> GoalState:
        goal, hazards, vase = (jnp.asarray(recording[name]) for name in self.recorded_objects)
        agent = self.agent.from_recording(recording, None if prior is None else prior.agent)
        return GoalState(agent, goal, hazards, vase, jnp.zeros(()), jnp.zeros(()))


def _reached(position: jax.Array, goal: jax.Array) -> jax.Array:
    return jnp.linalg.norm(position - goal) <= GOAL_RADIUS


def _draw_goal(key, wanted, agent, hazards, vase) -> tuple[jax.Array, jax.Array]:
    others = jnp.concatenate([agent[None], hazards, vase[None]])
    keepouts = jnp.asarray(np.array([AGENT_KEEPOUT, *[HAZARD_KEEPOUT] * HAZARDS, VASE_KEEPOUT]))
    return layout.draw_clear_of(key, wanted, GOAL_KEEPOUT, others, keepouts)


def _new_seed(key: jax.Array) -> jax.Array:
    return jax.random.randint(key, (), 0, SEEDS).astype(jnp.float32)


class Circle(SafetyEnv):
    """Reward for circling anticlockwise near radius 1.5 m; cost 1 per step with |x| > 1.125 m.

    Physics is the agent's.
    """

    def __init__(self, name: str):
        self.spec = TASKS[name]
        self.agent = make_agent(name.removesuffix("Circle1"))
        self.recorded_state = self.agent.recorded_state

    def initial_physics(self, rng: jax.Array) -> Any:
        place_key, yaw_key = jax.random.split(rng)
        position = jax.random.uniform(place_key, (2,), minval=-CIRCLE_START, maxval=CIRCLE_START)
        return self.agent.start(position, jax.random.uniform(yaw_key, maxval=2 * jnp.pi))

    def advance(self, physics: Any, action: jax.Array) -> Any:
        return self.agent.advance(physics, action)

    def observe(self, physics: Any) -> jax.Array:
        rotation = quaternions.matrix(physics.quaternion)
        center = lidar(jnp.zeros((1, 2)), physics.position, rotation, CIRCLE_REACH)
        return jnp.concatenate([self.agent.sensors(physics), center])

    def outcome(self, before: Any, action: jax.Array, after: Any):
        (x, y), (v_x, v_y) = after.position[:2], after.velocity[:2]
        radius = jnp.hypot(x, y)
        reward = 0.1 * (x * v_y - y * v_x) / jnp.maximum(radius, 1e-6) / (1 + jnp.abs(radius - CIRCLE_RADIUS))
        return reward, jnp.where(jnp.abs(x) > CIRCLE_BOUNDARY, 1.0, 0.0), jnp.zeros(())

    def physics_from_recording(self, recording: Any, prior: Any | None = None) -> Any:
        return self.agent.from_recording(recording, prior)


def make(name: str) -> SafetyEnv:
    """The environment of a navigation task."""
    return (Goal if "Goal" in name else Circle)(name)
