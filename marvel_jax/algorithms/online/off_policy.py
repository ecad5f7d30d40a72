"""What SAC-Lag and TD3-Lag share: the step of the critics, and the Lagrangian that the policy maximises."""

import jax
import jax.numpy as jnp

from marvel_jax.config.hyper import OnlineOffPolicy as Hyper
from marvel_jax.core.networks import Twins, aggregate, twin_values
from marvel_jax.core.parameters import CriticLearner, conservative, minimize, regression
from marvel_jax.core.problem import Problem
from marvel_jax.core.transitions import Transition

SATURATED = 2.0  # of a mean before the tanh: an action of 0.96, which moves a fourteenth as far as the mean does


def with_noise(hyper: Hyper, action: jax.Array, key: jax.Array) -> jax.Array:
    """Target actions with clipped noise, in [−1, 1] (Fujimoto et al., ICML 2018); as they are without any."""
    if hyper.target_noise == 0:
        return action
    noise = hyper.target_noise * jax.random.normal(key, action.shape)
    return jnp.clip(action + jnp.clip(noise, -hyper.target_noise_clip, hyper.target_noise_clip), -1.0, 1.0)


def fit_critics(
    hyper: Hyper,
    problem: Problem,
    reward_critic: CriticLearner,
    cost_critic: CriticLearner,
    batch: Transition,
    next_action: jax.Array,
    bonus: jax.Array | float = 0.0,
    own_action: jax.Array | None = None,
) -> tuple[CriticLearner, CriticLearner, dict[str, jax.Array]]:
    """One step of both critics; targets stay.

    y = r + γ·(min Q̄(s', a') + bonus), y_c = c + γ·Q̄_c(s', a').

    Args:
      hyper: Step sizes and switches.
      problem: Sizes, γ and reward scale.
      reward_critic, cost_critic: Twins of scaled reward and of cost.
      batch: `[B]` transitions; with `return_to_go` if the critics are conservative.
      next_action: `[B, action_size]` a'.
      bonus: `[B]` what the next state is worth besides.
      own_action: `[B, action_size]` the policy's actions at s, for conservative critics.

    Returns:
      Both critics, and scalars `reward_loss`, `cost_loss`.
    """
    reward_next, cost_next = (
        twin_values(problem, critic.target, batch.next_observation, next_action)
        for critic in (reward_critic, cost_critic)
    )
    bootstrap = problem.discount * batch.discount
    reward_target = problem.reward_scale * batch.reward + bootstrap * (aggregate(reward_next, "min") + bonus)
    cost_target = batch.cost + bootstrap * aggregate(cost_next, hyper.cost_aggregation)
    reward_loss = regression(problem, batch, reward_target)
    if hyper.conservatism > 0:
        assert own_action is not None
        reward_loss = conservative(problem, batch, own_action, reward_loss, hyper.conservatism)
    reward_critic, reward_value = minimize(reward_critic, reward_loss, hyper.critic_learning_rate)
    cost_critic, cost_value = minimize(
        cost_critic, regression(problem, batch, cost_target), hyper.cost_critic_learning_rate
    )
    return reward_critic, cost_critic, {"reward_loss": reward_value, "cost_loss": cost_value}


def lagrangian(
    hyper: Hyper,
    problem: Problem,
    reward_twins: Twins,
    cost_twins: Twins,
    observation: jax.Array,
    action: jax.Array,
    multiplier: jax.Array,
    bonus: jax.Array | float = 0.0,
) -> jax.Array:
    """`[]` what the policy minimises: E[λ·Q_c − min Q − bonus], divided by 1 + λ if its step is to be bounded.

    The minimum is over however many critics `reward_twins` has.

    Source: Stooke et al., ICML 2020.
    """
    reward_value = aggregate(twin_values(problem, reward_twins, observation, action), "min")
    cost_value = aggregate(twin_values(problem, cost_twins, observation, action), hyper.cost_aggregation)
    loss = jnp.mean(multiplier * cost_value - reward_value - bonus)
    return loss / (1 + multiplier) if hyper.bound_actor_step else loss


def saturation(hyper: Hyper, mean: jax.Array) -> jax.Array | float:
    """`[]` penalty on means `[B, action_size]`, before the tanh, that saturate: E[Σ max(0, |mean| − 2)²], weighted; 0
    unless it is asked for."""
    if not hyper.desaturate:
        return 0.0
    excess = jnp.maximum(0.0, jnp.abs(mean) - SATURATED)
    return hyper.saturation_penalty * jnp.mean(jnp.sum(excess**2, axis=-1))
