"""MuJoCo Playground's environments behind Brax's interface, so that `SafetyWrapper` can give them a cost.

    from mujoco_playground import registry
    env = SafetyWrapper(PlaygroundEnv(registry.load("CartpoleBalance")), cost_fn, cost_limit=25.0)

In the cost function, `state.pipeline_state` is Playground's own state: `state.pipeline_state.data` has qpos and qvel.
"""

from typing import Any

import jax
import jax.numpy as jnp
from marvel_envs.base import Env, State


class PlaygroundEnv(Env):
    """A Playground environment as a Brax one. Its time limits and auto-reset are wrappers there, and not applied.

    Args:
      env: From `mujoco_playground.registry.load` (anything with its `reset`, `step`, sizes and `dt`).
      observation: Which entry to take of environments that observe several vectors by name.
    """

    def __init__(self, env: Any, observation: str = "state"):
        self.env, self.observation = env, observation

    def _state(self, state: Any) -> State:
        observed = state.obs[self.observation] if isinstance(state.obs, dict) else state.obs
        reward, done = jnp.asarray(state.reward, jnp.float32), jnp.asarray(state.done, jnp.float32)
        return State(pipeline_state=state, obs=observed, reward=reward, done=done, metrics={}, info={})

    def reset(self, rng: jax.Array) -> State:
        """The first state of an episode."""
        return self._state(self.env.reset(rng))

    def step(self, state: State, action: jax.Array) -> State:
        """The state one control step later, under an action `[action_size]`."""
        after = self._state(self.env.step(state.pipeline_state, action))
        return after.replace(  # pyright: ignore[reportAttributeAccessIssue]
            metrics={**state.metrics}, info={**state.info}
        )

    @property
    def observation_size(self) -> int:
        """Length of the observed vector."""
        sizes = self.env.observation_size
        size = sizes[self.observation] if isinstance(sizes, dict) else sizes
        return size[0] if isinstance(size, tuple) else size

    @property
    def action_size(self) -> int:
        """Length of an action."""
        return self.env.action_size

    @property
    def dt(self) -> float:
        """Seconds per step."""
        return self.env.dt

    @property
    def backend(self) -> str:
        """Whose physics it is."""
        return "playground"
