"""The interface shared by all safety environments: Brax's `Env` plus cost, truncation and restorable physics."""

import abc
import contextlib
import functools
import io
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from marvel_envs.spec import TaskSpec

with contextlib.redirect_stdout(io.StringIO()):  # Brax imports MJX, which prints that its optional Warp is missing
    from brax.envs.base import Env, State, Wrapper

__all__ = ["Env", "SafetyEnv", "State", "Wrapper"]


def full_precision(method: Callable[..., Any]) -> Callable[..., Any]:
    """`method` with matrix products in full float32: the default precision of accelerators is too low for mechanics."""

    @functools.wraps(method)
    def precise(*inputs: Any, **keywords: Any) -> Any:
        with jax.default_matmul_precision("highest"):
            return method(*inputs, **keywords)

    return precise


class SafetyEnv(Env):
    """A Brax environment with a cost.

    `reset(rng)` and `step(state, action)` are pure. Beside Brax's fields a state carries

      state.pipeline_state       the task's physics; complete, so that a state can be stored and restored
      state.info["cost"]         `[]` cost of the last step (also in `state.metrics`)
      state.info["steps"]        `[]` steps since the episode began
      state.info["truncation"]   `[]` 1 when the time limit ended the episode
      state.info["termination"]  `[]` 1 when the task itself did; only this stops bootstrapping
      state.done                 `[]` 1 when either did
    """

    spec: TaskSpec
    recorded_state: tuple[str, ...] = ("position", "linear_velocity", "angular_velocity")
    """Arrays of a recording that `physics_from_recording` needs."""

    def __init_subclass__(cls, **keywords: Any) -> None:
        """Makes the methods of a subclass that compute mechanics `full_precision`."""
        super().__init_subclass__(**keywords)
        for name in ("initial_physics", "advance", "observe", "outcome", "physics_from_recording"):
            if name in vars(cls):
                setattr(cls, name, full_precision(vars(cls)[name]))

    @abc.abstractmethod
    def initial_physics(self, rng: jax.Array) -> Any:
        """Physics drawn from the reset distribution."""

    @abc.abstractmethod
    def advance(self, physics: Any, action: jax.Array) -> Any:
        """Physics one control step later; `action` `[action_size]` is already clipped."""

    @abc.abstractmethod
    def observe(self, physics: Any) -> jax.Array:
        """`[observation_size]` observation."""

    @abc.abstractmethod
    def outcome(self, before: Any, action: jax.Array, after: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        """`[]` reward, `[]` cost and `[]` termination (0 or 1) of a step."""

    @abc.abstractmethod
    def physics_from_recording(self, recording: Any, prior: Any | None = None) -> Any:
        """Physics from one step of a recording of the original simulator (see `marvel_envs.parity`).

        Args:
          recording: Arrays of the step by name, at least those of `recorded_state`.
          prior: What `advance` computed for the same step, if known: source of what the recording does not have.
        """

    def reset(self, rng: jax.Array) -> State:
        """The first state of an episode, drawn from the reset distribution."""
        return self.reset_to(self.initial_physics(rng))

    def reset_to(self, physics: Any) -> State:
        """The first state of an episode that starts from given physics."""
        zero = jnp.zeros(())
        return State(
            pipeline_state=physics,
            obs=self.observe(physics),
            reward=zero,
            done=zero,
            metrics={"cost": zero, "reward": zero},
            info={"cost": zero, "steps": zero, "truncation": zero, "termination": zero},
        )

    def step(self, state: State, action: jax.Array) -> State:
        """The state one control step later; `action` `[action_size]` is clipped to [−1, 1]."""
        action = jnp.clip(action, -1.0, 1.0)
        physics = self.advance(state.pipeline_state, action)
        outcome = self.outcome(state.pipeline_state, action, physics)
        # Not weakly typed, as Python's numbers make them: a jitted step would compile again for its own result.
        reward, cost, termination = (jnp.asarray(number, jnp.float32) for number in outcome)
        steps = state.info["steps"] + 1
        truncation = jnp.where(steps >= self.spec.episode_length, 1.0 - termination, jnp.zeros(()))
        return state.replace(  # pyright: ignore[reportAttributeAccessIssue]
            pipeline_state=physics,
            obs=self.observe(physics),
            reward=reward,
            done=jnp.maximum(termination, truncation),
            metrics={**state.metrics, "cost": cost, "reward": reward},
            info={**state.info, "cost": cost, "steps": steps, "truncation": truncation, "termination": termination},
        )

    @property
    def observation_size(self) -> int:
        """Length of an observation."""
        return self.spec.observation_size

    @property
    def action_size(self) -> int:
        """Length of an action."""
        return self.spec.action_size

    @property
    def backend(self) -> str:
        """Whose physics it is: this package's."""
        return "marvel"
