"""What a Bullet task needs of an agent."""

from typing import Any, Protocol

import jax


class Agent(Protocol):
    """A body with motors.

    Physics is a pytree with `position` and `velocity`, `[2]` or `[3]`, in m and m/s. `dt` is always the seconds of a
    physics step, `walled` whether the arena has walls.
    """

    @property
    def initial_yaw(self) -> float:
        """Heading at reset relative to the direction of the task, rad."""
        ...

    @property
    def recorded_state(self) -> tuple[str, ...]:
        """Arrays of a recording that `from_recording` needs, see `marvel_envs.parity`."""
        ...

    def start(self, rng: jax.Array, position: jax.Array, yaw: jax.Array, dt: float, substeps: int) -> Any:
        """Physics at `position` `[2]` with heading `yaw`, as the simulator's reset leaves it: after a control step."""
        ...

    def advance(self, physics: Any, action: jax.Array, dt: float, substeps: int, walled: bool) -> Any:
        """Physics after `substeps` steps of `dt` seconds under one action `[action_size]`."""
        ...

    def observe(self, physics: Any, dt: float, walled: bool) -> jax.Array:
        """The agent's part of the observation. Bullet knows contacts only at the start of the last physics step."""
        ...

    def reward(self, action: jax.Array, physics: Any, dt: float, walled: bool) -> jax.Array:
        """`[]` the agent's part of the reward, given the physics after the step."""
        ...

    def alive(self, physics: Any) -> jax.Array:
        """`[]` boolean; false terminates the episode."""
        ...

    def from_recording(self, recording: Any, prior: Any | None) -> Any:
        """Physics from one step of a recording; `prior`, if any, has what recordings do not show."""
        ...
