"""Safety-Gymnasium's goal and circle tasks: that simulator's rewards, costs, observations and layouts."""

import importlib
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
from marvel_envs.navigation.tasks import CIRCLE_BOUNDARY, CIRCLE_RADIUS, HAZARDS, NAVIGATION_TASKS, NavigationTask
from marvel_envs.navigation.vase import pushed

HAZARD_RADIUS = 0.2  # m
GOAL_RADIUS, GOAL_REWARD = 0.3, 1.0  # m; once per goal
GOAL_REACH, CIRCLE_REACH = 3.0, 6.0  # m, of the lidar
AGENT_KEEPOUT, GOAL_KEEPOUT, HAZARD_KEEPOUT, VASE_KEEPOUT = 0.4, 0.305, 0.18, 0.15  # m
CIRCLE_START = 0.8  # m, half the side of the square in which Circle episodes start
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
    """An agent by the name of its class."""
    module = importlib.import_module(f"marvel_envs.navigation.{name.lower()}")
    return getattr(module, name)()


class Goal(SafetyEnv):
    """Reach goals, one after another, around hazards.

    Attributes:
      task: The task's facts.
      agent: The agent.
    """

    recorded_objects = ("goal", "hazards", "vase")

    def __init__(self, task: NavigationTask):
        self.spec, self.task = task.spec, task
        self.agent = make_agent(task.agent)
        self.recorded_state = (*self.agent.recorded_state, *self.recorded_objects)

    def initial_physics(self, rng: jax.Array) -> GoalState:
        """A layout of agent, goal, hazards and vase that keep their distances, all turned at random."""
        place_key, goal_key, yaw_key, vase_key, seed_key = jax.random.split(rng, 5)
        keepouts = [AGENT_KEEPOUT, GOAL_KEEPOUT, *[HAZARD_KEEPOUT] * HAZARDS, VASE_KEEPOUT]
        places = layout.draw_layout(place_key, jnp.array(keepouts))
        agent, hazards, vase = places[0], places[2 : 2 + HAZARDS], places[-1]
        # As in Safety-Gymnasium the goal is placed with the rest, so that there is room for it, and then drawn anew.
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
        """Moves the agent under the motors' commands `[2]`, then the vase, and draws a goal anew that is reached."""
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
        """`[observation_size]` the agent's sensors, and a lidar `[16]` each of the goal, the hazards and the vase."""
        rotation = quaternions.matrix(physics.agent.quaternion)
        seen = [
            lidar(objects, physics.position, rotation, GOAL_REACH)
            for objects in (physics.goal[None], physics.hazards, physics.vase[None, :2])
        ]
        return jnp.concatenate([self.agent.sensors(physics.agent), *seen])

    def outcome(self, before: GoalState, action: jax.Array, after: GoalState) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Reward d_before − d_after + `GOAL_REWARD` if the goal is reached, with d the distance from it in m.

        Cost 1 within `HAZARD_RADIUS` of a hazard. Terminates if there is no place for a new goal.
        """
        # Both distances are to the goal of before: one that is reached is drawn anew only then.
        start, end = (jnp.linalg.norm(state.position[:2] - before.goal) for state in (before, after))
        reward = start - end + jnp.where(end <= GOAL_RADIUS, GOAL_REWARD, 0.0)
        to_hazards = jnp.linalg.norm(after.hazards - after.position[:2], axis=1)
        return reward, jnp.where(jnp.any(to_hazards < HAZARD_RADIUS), 1.0, 0.0), after.stuck

    def physics_from_recording(self, recording: Any, prior: GoalState | None = None) -> GoalState:
        """Agent, goal, hazards and vase of one step of a recording."""
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
    """Circle anticlockwise near radius R = `CIRCLE_RADIUS`, with |x| at most `CIRCLE_BOUNDARY`. Physics is the agent's.

    Attributes:
      task: The task's facts.
      agent: The agent.
    """

    def __init__(self, task: NavigationTask):
        self.spec, self.task = task.spec, task
        self.agent = make_agent(task.agent)
        self.recorded_state = self.agent.recorded_state

    def initial_physics(self, rng: jax.Array) -> Any:
        """A position uniform in the square |x|, |y| < `CIRCLE_START`, turned at random."""
        place_key, yaw_key = jax.random.split(rng)
        position = jax.random.uniform(place_key, (2,), minval=-CIRCLE_START, maxval=CIRCLE_START)
        return self.agent.start(position, jax.random.uniform(yaw_key, maxval=2 * jnp.pi))

    def advance(self, physics: Any, action: jax.Array) -> Any:
        """The agent one control step later, under the motors' commands `[2]`."""
        return self.agent.advance(physics, action)

    def observe(self, physics: Any) -> jax.Array:
        """`[observation_size]` the agent's sensors and a lidar `[16]` of the circle's centre."""
        rotation = quaternions.matrix(physics.quaternion)
        center = lidar(jnp.zeros((1, 2)), physics.position, rotation, CIRCLE_REACH)
        return jnp.concatenate([self.agent.sensors(physics), center])

    def outcome(self, before: Any, action: jax.Array, after: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Reward 0.1·(x·v_y − y·v_x)/r/(1 + |r − R|) with r = ‖(x, y)‖, cost 1 where |x| > `CIRCLE_BOUNDARY`."""
        (x, y), (v_x, v_y) = after.position[:2], after.velocity[:2]
        radius = jnp.hypot(x, y)
        reward = 0.1 * (x * v_y - y * v_x) / jnp.maximum(radius, 1e-6) / (1 + jnp.abs(radius - CIRCLE_RADIUS))
        return reward, jnp.where(jnp.abs(x) > CIRCLE_BOUNDARY, 1.0, 0.0), jnp.zeros(())

    def physics_from_recording(self, recording: Any, prior: Any | None = None) -> Any:
        """The agent's physics from one step of a recording."""
        return self.agent.from_recording(recording, prior)


_KINDS = {"Goal": Goal, "Circle": Circle}


def make(name: str) -> Goal | Circle:
    """The environment of a navigation task."""
    task = NAVIGATION_TASKS[name]
    return _KINDS[task.kind](task)
