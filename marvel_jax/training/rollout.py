"""Acting in vmapped environments for whole episodes."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from marvel_envs.base import SafetyEnv
from marvel_envs.wrappers import FreshReset

from marvel_jax.core.networks import Params, policy
from marvel_jax.core.problem import Problem
from marvel_jax.core.transitions import Transition
from marvel_jax.training import guides
from marvel_jax.training.guides import Guided


class Rollout(struct.PyTreeNode):
    """Episodes of one policy.

    Attributes:
      transitions: `[T, E]`, every one valid: an environment whose task ended starts a fresh episode within T.
      reward, cost: `[E]` undiscounted sums over the first episode of each environment.
      physics: Physics before each step, `[T, E, ...]`, if recorded.
      ended: `[T, E]` 1 where an episode ended with that step, by time or by itself.
    """

    transitions: Transition
    reward: jax.Array
    cost: jax.Array
    physics: Any
    ended: jax.Array


def episodes(
    env: SafetyEnv,
    problem: Problem,
    actor: Params | Guided,
    key: jax.Array,
    mean_action: jax.Array,
    record_physics: bool = False,
) -> Rollout:
    """Runs E environments for one episode length from fresh starts.

    Args:
      env: One environment; vmapped here.
      problem: Sizes; its episode length is the number of steps T.
      actor: The policy's parameters, or a guided learner.
      key: For starts and actions.
      mean_action: `[E]` booleans: environments that act with the policy's mode rather than a sample.
      record_physics: Keep the physics state before each step.
    """
    restarting = FreshReset(env)
    reset_key, act_key = jax.random.split(key)
    first = jax.vmap(restarting.reset)(jax.random.split(reset_key, mean_action.shape[0]))

    def step(state, row):
        time, key = row
        action = act(problem, actor, state.obs, time, key, mean_action)
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
    return summed(transitions, ended, physics)


def act(
    problem: Problem,
    actor: Params | Guided,
    observation: jax.Array,
    time: jax.Array,
    key: jax.Array,
    mean_action: jax.Array,
) -> jax.Array:
    """`[E, action_size]` actions for observations `[E, o]` at step `time` `[]` of the rollout; see `episodes`."""
    if isinstance(actor, Guided):
        return guides.act(problem, actor, observation, time, key, mean_action)
    distribution = policy(problem, actor, observation)
    sampled, _ = distribution.sample(key)
    return jnp.where(mean_action[:, None], distribution.mode(), sampled)


def summed(transitions: Transition, ended: jax.Array, physics: Any = None) -> Rollout:
    """The rollout of transitions `[T, E]` that ended episodes where `ended` `[T, E]` is 1."""
    in_first = jnp.cumsum(ended, axis=0) - ended == 0
    return Rollout(
        transitions=transitions,
        reward=jnp.sum(transitions.reward, axis=0, where=in_first),
        cost=jnp.sum(transitions.cost, axis=0, where=in_first),
        physics=physics,
        ended=ended,
    )
