"""What critics should say: Monte-Carlo returns from restored physics states, and how well values agree with them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from marvel_envs.base import SafetyEnv
from scipy import stats

from marvel_jax.core.networks import Params
from marvel_jax.training.stages import Setting

HORIZONS = (10, 25, 50, 100, 200, 500)  # steps; γ^500 < 0.01 at γ = 0.99


class MonteCarlo(struct.PyTreeNode):
    """Discounted sums `[M, horizons]` after given states and actions, following a policy without time limit."""

    reward: jax.Array
    cost: jax.Array


def monte_carlo(
    env: SafetyEnv,
    setting: Setting,
    actor: Params,
    physics: Any,
    action: jax.Array,
    key: jax.Array,
    horizons: tuple[int, ...] = HORIZONS,
    repeats: int = 4,
) -> MonteCarlo:
    """True values of the sampled policy at `[M]` physics states and `[M, action_size]` first actions.

    Rewards are scaled as in the critics. Time limits are ignored, as the critics bootstrap through them; the sums stop
    after each of `horizons` steps or at a termination, and are averaged over `repeats` rollouts.
    """

    problem, _, networks = setting

    def rollout(physics, action, key):
        def step(carry, key):
            physics, action, weight = carry
            after = env.advance(physics, action)
            reward, cost, termination = env.outcome(physics, action, after)
            next_action, _ = networks.policy(actor, env.observe(after)).sample(key)
            carry = after, next_action, weight * problem.discount * (1 - termination)
            return carry, (weight * problem.reward_scale * reward, weight * cost)

        start = physics, jnp.clip(action, -1.0, 1.0), jnp.ones(())
        _, (rewards, costs) = jax.lax.scan(step, start, jax.random.split(key, max(horizons)))
        return tuple(jnp.cumsum(values)[jnp.asarray(horizons) - 1] for values in (rewards, costs))

    def averaged(physics, action, key):
        rewards, costs = jax.vmap(lambda k: rollout(physics, action, k))(jax.random.split(key, repeats))
        return MonteCarlo(jnp.mean(rewards, axis=0), jnp.mean(costs, axis=0))

    return jax.vmap(averaged)(physics, action, jax.random.split(key, action.shape[0]))


def agreement(values: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Spearman's rank correlation of `[M]` values with the truth, and the mean difference (values − truth)."""
    values, truth = np.asarray(values), np.asarray(truth)
    if np.ptp(truth) == 0 or np.ptp(values) == 0:  # a rank correlation of constants does not exist
        return {"rank_correlation": float("nan"), "bias": float(np.mean(values - truth))}
    return {
        "rank_correlation": float(np.asarray(stats.spearmanr(values, truth))[0]),
        "bias": float(np.mean(values - truth)),
    }


def physics_at(env: SafetyEnv, fields: dict[str, np.ndarray], rows: np.ndarray) -> Any:
    """A dataset's physics states at `rows` `[M]`, in the environment's own structure."""
    shape = jax.eval_shape(env.initial_physics, jax.random.key(0))
    return jax.tree_util.tree_map_with_path(lambda path, _: jnp.asarray(fields[path[-1].name][rows]), shape)
