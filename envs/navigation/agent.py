"""What a navigation task needs of an agent, and what agents share."""

from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp

GRAVITY = 9.81  # m/s²
MAGNETIC_FIELD = (0.0, -0.5, 0.0)  # MuJoCo's default, in the world


@dataclass(frozen=True)
class Footprint:
    """An agent seen from above, in its own frame: what pushes a vase.

    Attributes:
      center: `(x, y)`, m.
      half_size: `(x, y)` half extents, m.
      rounding: Radius added all around, m: a disc is a point with rounding.
    """

    center: tuple[float, float]
    half_size: tuple[float, float]
    rounding: float = 0.0


class Agent(Protocol):
    """A body with two motors.

    Physics is a pytree with `position` `[3]` m, `quaternion` `[4]` (x, y, z, w) and `velocity` `[3]` m/s of its body's
    origin.

    Attributes:
      dt: Seconds per physics step.
      recorded_state: What a recording must have of its state, see `marvel_envs.parity`.
      footprint: What it looks like from above.
    """

    @property
    def dt(self) -> float: ...
    @property
    def recorded_state(self) -> tuple[str, ...]: ...
    @property
    def footprint(self) -> tuple[Footprint, ...]: ...

    def start(self, position: jax.Array, yaw: jax.Array) -> Any:
        """Standing still at `position` `[2]`."""
        ...

    def advance(self, physics: Any, action: jax.Array) -> Any:
        """One control step later."""
        ...

    def sensors(self, physics: Any) -> jax.Array:
        """The agent's part of the observation."""
        ...

    def from_recording(self, recording: Any, prior: Any | None) -> Any:
        """Physics from one step's arrays; `prior`, if any, has what recordings do not show."""
        ...


def body_sensors(rotation: jax.Array, acceleration: jax.Array, velocity: jax.Array, spin: jax.Array) -> jax.Array:
    """`[12]` accelerometer, velocimeter, gyro and magnetometer, in the agent's frame.

    Args:
      rotation: `[3, 3]` of the agent to the world.
      acceleration: `[3]` of the body's origin, in the agent's frame.
      velocity: `[3]` of the same, in the world's.
      spin: `[3]` angular velocity, in the agent's frame.
    """
    felt = acceleration + GRAVITY * rotation[2]
    return jnp.concatenate([felt, velocity @ rotation, spin, jnp.asarray(MAGNETIC_FIELD) @ rotation])
