"""Safety-Gymnasium's six velocity tasks: Gymnasium's MuJoCo v4 environments with a cost on speed.

Models are Gymnasium's own files, physics is MJX; reward, termination and observation are Gymnasium's formulas.
"""

from typing import Any

import jax
import jax.numpy as jnp
from marvel_envs.base import SafetyEnv
from marvel_envs.mujoco_model import gymnasium_model
from marvel_envs.mujoco_physics import MujocoPhysics, MujocoState
from marvel_envs.velocity_tasks import VELOCITY_TASKS, VelocityTask


def _body_observation(data) -> jax.Array:
    """Inertias `[bodies, 10]`, velocities, actuator forces and contact forces of all bodies, world included."""
    parts = (data._impl.cinert, data.cvel, data.qfrc_actuator, data._impl.cfrc_ext)
    return jnp.concatenate([part.reshape(-1) for part in parts])


class VelocityEnv(SafetyEnv):
    """Run along x, below a speed limit.

    An action of ±1 is an actuator's full range; `spec.action_scale` converts to the simulator's actions.

    Attributes:
      task: The task's facts.
      physics: Steps the body's MuJoCo model.
    """

    recorded_state = ("qpos", "qvel")

    def __init__(self, task: VelocityTask):
        self.spec, self.task = task.spec, task
        model = gymnasium_model(self.task.model)
        mass = jnp.asarray(model.body_mass)
        tracked = {
            "root": lambda data: jnp.pad(data.qpos[: self.task.unobserved], (0, 2 - self.task.unobserved)),
            "torso": lambda data: data.xpos[1, :2],
            "mass": lambda data: (mass @ data.xipos)[:2] / mass.sum(),
        }[self.task.tracked]
        derived = _body_observation if self.task.body_observation else None
        self.physics = MujocoPhysics(model, self.task.frame_skip, self.task.contacts, tracked, derived)

    def initial_physics(self, rng: jax.Array) -> MujocoState:
        """The model's initial pose at rest, with noise on positions and velocities."""
        position_key, velocity_key = jax.random.split(rng)
        model, noise = self.physics.model, self.task.noise
        qpos = model.qpos0 + jax.random.uniform(position_key, (model.nq,), minval=-noise, maxval=noise)
        if self.task.normal_velocity:
            qvel = noise * jax.random.normal(velocity_key, (model.nv,))
        else:
            qvel = jax.random.uniform(velocity_key, (model.nv,), minval=-noise, maxval=noise)
        return self.physics.at(qpos, qvel)

    def physics_at(self, qpos: jax.Array, qvel: jax.Array) -> MujocoState:
        """Physics with given generalized positions `[nq]` and velocities `[nv]`, for `reset_to`."""
        return self.physics.at(qpos, qvel)

    def physics_from_recording(self, recording: Any, prior: MujocoState | None = None) -> MujocoState:
        """Physics from the generalized positions and velocities of one step of a recording."""
        return self.physics_at(recording["qpos"], recording["qvel"])

    def advance(self, physics: MujocoState, action: jax.Array) -> MujocoState:
        """Physics after `frame_skip` steps under actuator inputs `[action_size]`, in shares of their range."""
        return self.physics.advance(physics, self.spec.action_scale * action)

    def observe(self, physics: MujocoState) -> jax.Array:
        """`[observation_size]` generalized positions and velocities, and of Humanoid quantities of all bodies."""
        velocity = jnp.clip(physics.qvel, -self.task.velocity_clip, self.task.velocity_clip)
        return jnp.concatenate([physics.qpos[self.task.unobserved :], velocity, physics.derived])

    def outcome(
        self, before: MujocoState, action: jax.Array, after: MujocoState
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Reward w_f·v_x + h − w_c·‖input‖², with the task's weights and healthy reward h; terminates if unhealthy.

        Cost 1 above the speed limit. Velocities are differences of the tracked point's positions over `control_dt`.
        """
        velocity = (after.tracked - before.tracked) / self.spec.control_dt
        speed = jnp.linalg.norm(velocity) if self.task.planar_speed else velocity[0]
        effort = self.task.control_weight * jnp.sum((self.spec.action_scale * action) ** 2)
        reward = self.task.forward_weight * velocity[0] + self.task.healthy_reward - effort
        cost = jnp.where(speed > self.task.speed_limit, 1.0, 0.0)
        return reward, cost, jnp.where(self._healthy(after), 0.0, 1.0)

    def _healthy(self, physics: MujocoState) -> jax.Array:
        state = jnp.concatenate([physics.qpos, physics.qvel])
        healthy = jnp.all(jnp.isfinite(state))
        if self.task.height is not None:
            low, high = self.task.height
            height = physics.qpos[self.task.height_index]
            healthy &= (low < height) & (height < high)
        if self.task.pitch is not None:
            healthy &= jnp.abs(physics.qpos[2]) < self.task.pitch
        healthy &= jnp.all(jnp.abs(state[2:]) < self.task.state_bound)
        return healthy


def make(name: str) -> VelocityEnv:
    """The environment of a velocity task."""
    return VelocityEnv(VELOCITY_TASKS[name])
