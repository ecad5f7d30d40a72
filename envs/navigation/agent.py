"""What a navigation task needs of an agent, and what agents share."""

from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp

GRAVITY = 9.81  # m/s²
MAGNETIC_FIELD = (0.0, -0.5, 0.0)  # MuJoCo's default, in the world


@dataclass(frozen=True)
class Footprint:
    """A part of an agent seen from above, in the agent's frame: what pushes a vase.

    Attributes:
      center: `(x, y)`, m.
      half_size: `(x, y)` half extents, m.
      rounding: Radius of the rounded corners, added all around, m: a disc is a point with rounding.
    """

    center: tuple[float, float]
    half_size: tuple[float, float]
    rounding: float = 0.0


class Agent(Protocol):
    """A body with two motors.

    Physics is a pytree with `position` `[3]` m, `quaternion` `[4]` (x, y, z, w) and `velocity` `[3]` m/s of its body's
    origin.
    """

    @property
    def dt(self) -> float:
        """Seconds per physics step."""
        ...

    @property
    def recorded_state(self) -> tuple[str, ...]:
        """Arrays of a recording that `from_recording` needs, see `marvel_envs.parity`."""
        ...

    @property
    def footprint(self) -> tuple[Footprint, ...]:
        """The parts that push a vase."""
        ...

    def start(self, position: jax.Array, yaw: jax.Array) -> Any:
        """Physics at rest at `position` `[2]` with heading `yaw`."""
        ...

    def advance(self, physics: Any, action: jax.Array) -> Any:
        """Physics one control step later, under the motors' commands `[2]`."""
        ...

    def sensors(self, physics: Any) -> jax.Array:
        """The agent's part of the observation."""
        ...

    def from_recording(self, recording: Any, prior: Any | None) -> Any:
        """Physics from one step of a recording; `prior`, if any, has what recordings do not show."""
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
