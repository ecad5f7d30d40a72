"""What BEAR-Lag and BCQ-Lag share: cautious targets over candidate actions, and a PID on the predicted cost."""

import jax
import jax.numpy as jnp

from marvel_jax.config.hyper import Gains
from marvel_jax.config.hyper import InSupport as Hyper
from marvel_jax.core.networks import Twins, twin_values
from marvel_jax.core.parameters import CriticLearner, minimize, regression
from marvel_jax.core.problem import Problem
from marvel_jax.core.transitions import Transition
from marvel_jax.multiplier import controllers


def _gains(hyper: Hyper) -> Gains:
    """Stooke's controller without smoothing, looking back one update."""
    gains = hyper.multiplier_proportional, hyper.multiplier_integral, hyper.multiplier_derivative
    return Gains(0.0, *gains, smoothing=0.0, window=1)


def init_multiplier(hyper: Hyper) -> controllers.State:
    """λ = 0."""
    return controllers.init(_gains(hyper))


def update_multiplier(hyper: Hyper, problem: Problem, state: controllers.State, cost_value: jax.Array):
    """One PID step on the mean of cost values `[...]` against the discounted limit."""
    return controllers.pid(_gains(hyper), state, jnp.mean(cost_value), problem.discounted_cost_limit)


def candidates_of(hyper: Hyper, observation: jax.Array) -> jax.Array:
    """Observations `[candidates, B, o]`: each of `[B, o]` once for every candidate action."""
    return jnp.broadcast_to(observation, (hyper.candidates, *observation.shape))


def best_value(hyper: Hyper, problem: Problem, twins: Twins, observation: jax.Array, action: jax.Array) -> jax.Array:
    """max over candidates `[candidates, B, ...]` of λ_e·min + (1 − λ_e)·max of the twins: `[B]`."""
    values = twin_values(problem, twins, observation, action)
    mixed = hyper.ensemble_weight * jnp.min(values, axis=0) + (1 - hyper.ensemble_weight) * jnp.max(values, axis=0)
    return jnp.max(mixed, axis=0)


def fit_critics(
    hyper: Hyper,
    problem: Problem,
    reward_critic: CriticLearner,
    cost_critic: CriticLearner,
    batch: Transition,
    next_action: jax.Array,
) -> tuple[CriticLearner, CriticLearner, dict[str, jax.Array]]:
    """One step of both critics towards the best of the candidates `next_action` `[candidates, B, action_size]`.

    The dearest candidate counts for costs, as the best one does for rewards: pessimism in one, optimism in the other.
    """
    next_observation = candidates_of(hyper, batch.next_observation)
    bootstrap = problem.discount * batch.discount
    reward_target = problem.reward_scale * batch.reward + bootstrap * best_value(
        hyper, problem, reward_critic.target, next_observation, next_action
    )
    cost_target = batch.cost + bootstrap * best_value(hyper, problem, cost_critic.target, next_observation, next_action)
    reward_critic, reward_loss = minimize(
        reward_critic, regression(problem, batch, reward_target), hyper.critic_learning_rate
    )
    cost_critic, cost_loss = minimize(
        cost_critic, regression(problem, batch, cost_target), hyper.cost_critic_learning_rate
    )
    return reward_critic, cost_critic, {"reward_loss": reward_loss, "cost_loss": cost_loss}
