"""What a Bullet task needs of an agent."""

from typing import Any, Protocol

import jax


class Agent(Protocol):
    """A body with motors.

    Physics is a pytree with `position` and `velocity`, `[2]` or `[3]`, in m and m/s.

    Attributes:
      initial_yaw: Heading at reset, rad.
      recorded_state: What a recording must have of its state, see `marvel_envs.parity`.
    """

    @property
    def initial_yaw(self) -> float: ...
    @property
    def recorded_state(self) -> tuple[str, ...]: ...

    def start(self, rng: jax.Array, position: jax.Array, yaw: jax.Array, dt: float, substeps: int) -> Any:
        """Physics placed at `position` `[2]`, as the simulator's reset leaves it: one control step later."""
        ...

    def advance(self, physics: Any, action: jax.Array, dt: float, substeps: int, walled: bool) -> Any:
        """Physics after `substeps` steps of `dt` seconds under one action."""
        ...

    def observe(self, physics: Any, dt: float, walled: bool) -> jax.Array:
        """The agent's part of the observation; `dt` of the last substep, for what Bullet knows only of its start."""
        ...

    def reward(self, action: jax.Array, physics: Any, dt: float, walled: bool) -> jax.Array:
        """`[]` the agent's part of the reward."""
        ...

    def alive(self, physics: Any) -> jax.Array:
        """`[]` boolean; false terminates the episode."""
        ...

    def from_recording(self, recording: Any, prior: Any | None) -> Any:
        """Physics from one step's arrays; `prior`, if any, has what recordings do not show."""
        ...
