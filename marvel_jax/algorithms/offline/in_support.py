"""What BEAR-Lag and BCQ-Lag share: targets over candidate actions, and a PID on the predicted cost.

Both learn from targets that take the best of several candidate actions a'_i, mixing the twins:

    Q⁺(s') = max_i [λ_e·min(Q̄₁, Q̄₂) + (1 − λ_e)·max(Q̄₁, Q̄₂)](s', a'_i),   λ_e = 0.75.

Source: Fujimoto et al., ICML 2019; cost critics and multiplier as in OSRL's BCQL and BEARL.
"""

import jax
import jax.numpy as jnp

from marvel_jax.config.multiplier import Gains
from marvel_jax.config.offline import InSupport
from marvel_jax.core.networks import Networks, Twins
from marvel_jax.core.parameters import CriticTrainState, minimize, regression
from marvel_jax.core.problem import Problem
from marvel_jax.core.transitions import Transition
from marvel_jax.multiplier import controllers

TWIN_WEIGHT = 0.75  # λ_e, of the smaller twin
# The multiplier's PID per update, without smoothing and looking back one update, as OSRL has it.
GAINS = Gains(initial=0.0, proportional=0.1, integral=0.003, derivative=0.001, smoothing=0.0, window=1)


def init_multiplier() -> controllers.State:
    """m = 0."""
    return controllers.init(GAINS)


def update_multiplier(problem: Problem, state: controllers.State, cost_value: jax.Array) -> controllers.State:
    """One PID step of m on E[Q_c] − d_γ, from cost values `[...]` and the discounted limit d_γ."""
    return controllers.pid(GAINS, state, jnp.mean(cost_value), problem.discounted_cost_limit)


def candidates_of(hyper: InSupport, observation: jax.Array) -> jax.Array:
    """Observations `[candidates, B, o]`: each of `[B, o]` once for every candidate action."""
    return jnp.broadcast_to(observation, (hyper.candidates, *observation.shape))


def best_value(networks: Networks, twins: Twins, observation: jax.Array, action: jax.Array) -> jax.Array:
    """Q⁺ `[B]`: max over candidates `[candidates, B, ...]` of λ_e·min + (1 − λ_e)·max of the twins."""
    values = networks.twin_values(twins, observation, action)
    mixed = TWIN_WEIGHT * jnp.min(values, axis=0) + (1 - TWIN_WEIGHT) * jnp.max(values, axis=0)
    return jnp.max(mixed, axis=0)


def fit_critics(
    hyper: InSupport,
    problem: Problem,
    networks: Networks,
    reward_critic: CriticTrainState,
    cost_critic: CriticTrainState,
    batch: Transition,
    next_action: jax.Array,
) -> tuple[CriticTrainState, CriticTrainState, dict[str, jax.Array]]:
    """One step of both critics on the MSE to y = r + γ·Q⁺(s') and y_c = c + γ·Q_c⁺(s'); targets stay.

    The most costly candidate counts for costs, as the best one does for rewards: pessimism there, optimism here.

    Args:
      hyper: Step sizes.
      problem: γ and reward scale.
      networks: What the parameters are of.
      reward_critic, cost_critic: Twins of scaled reward and of cost.
      batch: `[B]` transitions.
      next_action: `[candidates, B, action_size]` a'_i.

    Returns:
      Both critics, and scalars `reward_loss`, `cost_loss`.
    """
    next_observation = candidates_of(hyper, batch.next_observation)
    bootstrap = problem.discount * batch.discount
    reward_target = problem.reward_scale * batch.reward + bootstrap * best_value(
        networks, reward_critic.target, next_observation, next_action
    )
    cost_target = batch.cost + bootstrap * best_value(networks, cost_critic.target, next_observation, next_action)
    reward_critic, reward_loss = minimize(
        reward_critic, regression(networks, batch, reward_target), hyper.critic_learning_rate
    )
    cost_critic, cost_loss = minimize(cost_critic, regression(networks, batch, cost_target), hyper.critic_learning_rate)
    return reward_critic, cost_critic, {"reward_loss": reward_loss, "cost_loss": cost_loss}
