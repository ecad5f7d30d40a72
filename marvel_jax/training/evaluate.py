"""What a policy earns and costs in fresh episodes, acting with its mean and by sampling."""

import chex
import jax
import jax.numpy as jnp
from flax import struct
from marvel_envs.base import SafetyEnv

from marvel_jax.core.networks import Params
from marvel_jax.core.problem import Problem
from marvel_jax.training import rollout
from marvel_jax.training.guides import Guided


class Evaluation(struct.PyTreeNode):
    """Undiscounted sums per episode, `[episodes]` each, of the mean (deterministic) and the sampled policy."""

    reward: chex.Array
    cost: chex.Array
    sampled_reward: chex.Array
    sampled_cost: chex.Array


def evaluate(env: SafetyEnv, problem: Problem, actor: Params | Guided, key: jax.Array, episodes: int) -> Evaluation:
    """Runs `episodes` fresh episodes of each kind."""
    mean_action = jnp.arange(2 * episodes) < episodes
    result = rollout.episodes(env, problem, actor, key, mean_action)
    return Evaluation(
        reward=result.reward[:episodes],
        cost=result.cost[:episodes],
        sampled_reward=result.reward[episodes:],
        sampled_cost=result.cost[episodes:],
    )
