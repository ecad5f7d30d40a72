"""Acting in vmapped environments for whole episodes."""

from typing import Any

import jax
import jax.numpy as jnp
from marvel_envs.base import SafetyEnv
from marvel_envs.wrappers import FreshReset

from marvel_jax.core.acting import ActingPolicy
from marvel_jax.core.networks import Networks
from marvel_jax.core.problem import Problem
from marvel_jax.core.rollouts import Rollout, rollout_of
from marvel_jax.core.transitions import Transition


def episodes(
    env: SafetyEnv,
    problem: Problem,
    networks: Networks,
    policy: ActingPolicy,
    key: jax.Array,
    mean_action: jax.Array,
    record_physics: bool = False,
) -> Rollout:
    """Runs E environments for one episode length from fresh starts.

    Args:
      env: One environment; vmapped here.
      problem: Its episode length is the number of steps T.
      networks: What the policy's parameters are of.
      policy: What acts.
      key: For starts and actions.
      mean_action: `[E]` booleans: environments that act with the policy's mode rather than a sample.
      record_physics: Keep the physics state before each step.
    """
    restarting = FreshReset(env)
    reset_key, act_key = jax.random.split(key)
    first = jax.vmap(restarting.reset)(jax.random.split(reset_key, mean_action.shape[0]))

    def step(state: Any, row: tuple[jax.Array, jax.Array]) -> tuple[Any, tuple[Transition, jax.Array, Any]]:
        time, key = row
        action = policy.act(problem, networks, state.obs, time, key, mean_action)
        after = jax.vmap(restarting.step)(state, action)
        transition = Transition(
            observation=state.obs,
            action=action,
            reward=after.reward,
            cost=after.info["cost"],
            discount=1.0 - after.info["termination"],
            next_observation=after.info["final_observation"],
        )
        return after, (transition, after.done, state.pipeline_state if record_physics else None)

    keys = jax.random.split(act_key, problem.episode_length)
    _, (transitions, ended, physics) = jax.lax.scan(step, first, (jnp.arange(len(keys)), keys))
    return rollout_of(transitions, ended, physics)
