"""Safety-Gymnasium's six velocity tasks: Gymnasium's MuJoCo v4 environments with a cost on speed.

Models are Gymnasium's own files, physics is MJX; reward, termination and observation are Gymnasium's formulas.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from marvel_envs.base import SafetyEnv
from marvel_envs.mujoco_model import gymnasium_model
from marvel_envs.mujoco_physics import MujocoPhysics, MujocoState
from marvel_envs.tasks import TASKS, TaskSpec


@dataclass(frozen=True)
class Locomotion:
    """What distinguishes one velocity task from another.

    Attributes:
      model: File in Gymnasium's assets.
      frame_skip: Physics steps per control step.
      speed_limit: Cost 1 per step above it, m/s.
      planar_speed: The speed is that in the plane, else along x.
      tracked: Whose motion counts: the root coordinates ("root"), the torso's centre ("torso") or the centre of mass
        ("mass").
      unobserved: Leading positions left out of the observation.
      control_weight: Cost of actuator inputs, per squared input.
      forward_weight: Reward per m/s along x.
      healthy_reward: Reward per step.
      height: Healthy range of the root's height, m; outside it the episode terminates.
      height_index: Which position is the height.
      pitch: Healthy range of the root's pitch, ± rad.
      state_bound: Healthy range of all other coordinates, ±.
      velocity_clip: Bound on observed velocities.
      contacts: How many contacts at once there can be (see `MujocoPhysics`).
      noise: Half-width of the uniform noise on initial positions, and on velocities unless `normal_velocity`.
      normal_velocity: Initial velocities are normal with that deviation.
      body_observation: Inertias, velocities and forces of all bodies are observed as well (Humanoid).
    """

    model: str
    frame_skip: int
    speed_limit: float
    planar_speed: bool
    tracked: str
    unobserved: int
    control_weight: float
    contacts: int
    noise: float
    forward_weight: float = 1.0
    healthy_reward: float = 0.0
    height: tuple[float, float] | None = None
    height_index: int = 1
    pitch: float | None = None
    state_bound: float = float("inf")
    velocity_clip: float = float("inf")
    normal_velocity: bool = False
    body_observation: bool = False


LOCOMOTION = {
    "HalfCheetahVelocity": Locomotion(
        "half_cheetah.xml", 5, 3.2096, False, "root", 1, control_weight=0.1, contacts=8, noise=0.1, normal_velocity=True
    ),
    "HopperVelocity": Locomotion(
        *("hopper.xml", 4, 0.7402, False, "root", 1),
        control_weight=1e-3,
        contacts=6,
        noise=5e-3,
        healthy_reward=1.0,
        height=(0.7, float("inf")),
        pitch=0.2,
        state_bound=100.0,
        velocity_clip=10.0,
    ),
    "Walker2dVelocity": Locomotion(
        *("walker2d.xml", 4, 2.3415, False, "root", 1),
        control_weight=1e-3,
        contacts=6,
        noise=5e-3,
        healthy_reward=1.0,
        height=(0.8, 2.0),
        pitch=1.0,
        velocity_clip=10.0,
    ),
    "SwimmerVelocity": Locomotion(
        "swimmer.xml", 4, 0.2282, False, "root", 2, control_weight=1e-4, contacts=0, noise=0.1
    ),
    "AntVelocity": Locomotion(
        *("ant.xml", 5, 2.6222, True, "torso", 2),
        control_weight=0.5,
        contacts=8,
        noise=0.1,
        healthy_reward=1.0,
        height=(0.2, 1.0),
        height_index=2,
        normal_velocity=True,
    ),
    "HumanoidVelocity": Locomotion(
        *("humanoid.xml", 5, 1.4149, True, "mass", 2),
        control_weight=0.1,
        contacts=8,
        noise=1e-2,
        forward_weight=1.25,
        healthy_reward=5.0,
        height=(1.0, 2.0),
        height_index=2,
        body_observation=True,
    ),
}


def _body_observation(data) -> jax.Array:
    """Inertias `[bodies, 10]`, velocities, actuator forces and contact forces of all bodies, world included."""
    parts = (data._impl.cinert, data.cvel, data.qfrc_actuator, data._impl.cfrc_ext)
    return jnp.concatenate([part.reshape(-1) for part in parts])


class VelocityEnv(SafetyEnv):
    """Run along x; cost 1 per step above the speed limit.

    An action of ±1 is an actuator's full range; `spec.action_scale` converts to the simulator's actions.
    """

    recorded_state = ("qpos", "qvel")

    def __init__(self, name: str):
        self.spec: TaskSpec = TASKS[name]
        self.body = LOCOMOTION[name]
        model = gymnasium_model(self.body.model)
        mass = jnp.asarray(model.body_mass)
        tracked = {
            "root": lambda data: jnp.pad(data.qpos[: self.body.unobserved], (0, 2 - self.body.unobserved)),
            "torso": lambda data: data.xpos[1, :2],
            "mass": lambda data: (mass @ data.xipos)[:2] / mass.sum(),
        }[self.body.tracked]
        derived = _body_observation if self.body.body_observation else None
        self.physics = MujocoPhysics(model, self.body.frame_skip, self.body.contacts, tracked, derived)

    def initial_physics(self, rng: jax.Array) -> MujocoState:
        position_key, velocity_key = jax.random.split(rng)
        model, noise = self.physics.model, self.body.noise
        qpos = model.qpos0 + jax.random.uniform(position_key, (model.nq,), minval=-noise, maxval=noise)
        if self.body.normal_velocity:
            qvel = noise * jax.random.normal(velocity_key, (model.nv,))
        else:
            qvel = jax.random.uniform(velocity_key, (model.nv,), minval=-noise, maxval=noise)
        return self.physics.at(qpos, qvel)

    def physics_at(self, qpos: jax.Array, qvel: jax.Array) -> MujocoState:
        """Physics with given generalized positions `[nq]` and velocities `[nv]`, for `reset_to`."""
        return self.physics.at(qpos, qvel)

    def physics_from_recording(self, recording, prior: MujocoState | None = None) -> MujocoState:
        return self.physics_at(recording["qpos"], recording["qvel"])

    def advance(self, physics: MujocoState, action: jax.Array) -> MujocoState:
        return self.physics.advance(physics, self.spec.action_scale * action)

    def observe(self, physics: MujocoState) -> jax.Array:
        velocity = jnp.clip(physics.qvel, -self.body.velocity_clip, self.body.velocity_clip)
        return jnp.concatenate([physics.qpos[self.body.unobserved :], velocity, physics.derived])

    def outcome(self, before: MujocoState, action: jax.Array, after: MujocoState):
        velocity = (after.tracked - before.tracked) / self.spec.control_dt
        speed = jnp.linalg.norm(velocity) if self.body.planar_speed else velocity[0]
        effort = self.body.control_weight * jnp.sum((self.spec.action_scale * action) ** 2)
        reward = self.body.forward_weight * velocity[0] + self.body.healthy_reward - effort
        cost = jnp.where(speed > self.body.speed_limit, 1.0, 0.0)
        return reward, cost, jnp.where(self._healthy(after), 0.0, 1.0)

    def _healthy(self, physics: MujocoState) -> jax.Array:
        state = jnp.concatenate([physics.qpos, physics.qvel])
        healthy = jnp.all(jnp.isfinite(state))
        if self.body.height is not None:
            low, high = self.body.height
            height = physics.qpos[self.body.height_index]
            healthy &= (low < height) & (height < high)
        if self.body.pitch is not None:
            healthy &= jnp.abs(physics.qpos[2]) < self.body.pitch
        healthy &= jnp.all(jnp.abs(state[2:]) < self.body.state_bound)
        return healthy
