"""The drone agent: action `[4]` sets its rotors' speeds. Its dynamics are `drone_physics`."""

import jax
import jax.numpy as jnp
from marvel_envs import quaternions
from marvel_envs.bullet import drone_physics
from marvel_envs.bullet.drone_physics import ACTION_RANGE, DIRECTIONS, HOVER_SPEED, DroneState

HEIGHT = 0.17  # m, at reset: it stands on the ground


class Drone:
    """A quadrotor."""

    initial_yaw = 0.0
    recorded_state = ("position", "linear_velocity", "angular_velocity", "quaternion", "obs")

    def start(self, rng: jax.Array, position: jax.Array, yaw: jax.Array, dt: float, substeps: int) -> DroneState:
        """Physics at rest on the ground; rotors at random angles, with speeds in their range."""
        # The simulator's rotors go on through a reset at the last episode's speeds, which may be any.
        speed_key, angle_key = jax.random.split(rng)
        near_hover = 1 + ACTION_RANGE * jax.random.uniform(speed_key, (4,), minval=-1.0)
        return DroneState(
            position=jnp.append(position, HEIGHT),
            velocity=jnp.zeros(3),
            quaternion=quaternions.from_yaw(yaw),
            angular_velocity=jnp.zeros(3),
            rotor_speed=DIRECTIONS * HOVER_SPEED * near_hover,
            rotor_angle=jax.random.uniform(angle_key, (4,), maxval=2 * jnp.pi),
        )

    def advance(self, physics: DroneState, action: jax.Array, dt: float, substeps: int, walled: bool) -> DroneState:
        """Physics after `substeps` steps of `dt` seconds under rotor speeds `[4]`, see `drone_physics.advance`."""
        return drone_physics.advance(physics, action, dt, substeps, walled)

    def observe(self, physics: DroneState, dt: float, walled: bool) -> jax.Array:
        """`[17]` position, velocity, orientation, angular velocity, and rotor speeds relative to hovering."""
        return jnp.concatenate(
            [
                0.1 * physics.position,
                0.2 * physics.velocity,
                quaternions.through_euler(physics.quaternion),
                0.1 * physics.angular_velocity,
                2.5e-3 * (physics.rotor_speed - DIRECTIONS * HOVER_SPEED),
            ]
        )

    def reward(self, action: jax.Array, physics: DroneState, dt: float, walled: bool) -> jax.Array:
        """`[]` 1 (−10 if tipped over) − 0.01·‖ω‖² − (links that touch the ground)."""
        touches = drone_physics.ground_touches(physics, dt, walled)
        spin = physics.angular_velocity
        return jnp.where(self.alive(physics), 1.0, -10.0) - 0.01 * spin @ spin - touches

    def alive(self, physics: DroneState) -> jax.Array:
        """`[]` whether roll and pitch are within ±90°."""
        roll, pitch = quaternions.roll_pitch(physics.quaternion)
        return (jnp.abs(roll) <= jnp.pi / 2) & (jnp.abs(pitch) <= jnp.pi / 2)

    def from_recording(self, recording, prior: DroneState | None) -> DroneState:
        """Physics with the rotor speeds of the recorded observation, and the rotor angles of `prior`, or 0."""
        rotor_speed = DIRECTIONS * HOVER_SPEED + jnp.asarray(recording["obs"])[13:17] / 2.5e-3
        return DroneState(
            position=jnp.asarray(recording["position"]),
            velocity=jnp.asarray(recording["linear_velocity"]),
            quaternion=jnp.asarray(recording["quaternion"]),
            angular_velocity=jnp.asarray(recording["angular_velocity"]),
            rotor_speed=rotor_speed.astype(jnp.float32),
            rotor_angle=jnp.zeros(4) if prior is None else prior.rotor_angle,
        )
