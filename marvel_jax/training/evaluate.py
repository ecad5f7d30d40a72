"""What a policy earns and costs in fresh episodes, acting with its mean and by sampling."""

import jax
import jax.numpy as jnp
from flax import struct
from marvel_envs.base import SafetyEnv

from marvel_jax.core.acting import ActingPolicy
from marvel_jax.core.networks import Networks
from marvel_jax.core.problem import Problem
from marvel_jax.training import rollout


class Evaluation(struct.PyTreeNode):
    """Undiscounted sums per episode, `[episodes]` each, of the mean (deterministic) and the sampled policy."""

    reward: jax.Array
    cost: jax.Array
    sampled_reward: jax.Array
    sampled_cost: jax.Array


def evaluate(
    env: SafetyEnv, problem: Problem, networks: Networks, policy: ActingPolicy, key: jax.Array, episodes: int
) -> Evaluation:
    """Runs `episodes` fresh episodes of each kind. Arguments as of `rollout.episodes`."""
    mean_action = jnp.arange(2 * episodes) < episodes
    result = rollout.episodes(env, problem, networks, policy, key, mean_action)
    return Evaluation(
        reward=result.reward[:episodes],
        cost=result.cost[:episodes],
        sampled_reward=result.reward[episodes:],
        sampled_cost=result.cost[episodes:],
    )
