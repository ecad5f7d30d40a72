"""SAC-Lag: soft actor-critic with a cost critic and a Lagrange multiplier given from outside.

Source: Haarnoja et al., 2018; the Lagrangian actor loss and its division by 1 + λ: Stooke et al., ICML 2020.
"""

import jax
import jax.numpy as jnp
from flax import struct

from marvel_jax.hyper import SACLag
from marvel_jax.learners import CriticLearner, Learner, follow, minimize, new_critic, new_learner, regression, step
from marvel_jax.networks import Params, Twins, aggregate, init_actor, init_twins, policy, twin_values
from marvel_jax.problem import Problem
from marvel_jax.transitions import Transition


class State(struct.PyTreeNode):
    """All that SAC-Lag learns.

    Attributes:
      actor: The policy.
      reward_critic, cost_critic: Twin critics of scaled reward and of cost.
      log_temperature: log α; constant unless tuned.
    """

    actor: Learner
    reward_critic: CriticLearner
    cost_critic: CriticLearner
    log_temperature: Learner


def init(hyper: SACLag, problem: Problem, key: jax.Array) -> State:
    """Random networks."""
    actor, reward, cost = jax.random.split(key, 3)
    return start(
        hyper,
        actor=new_learner(init_actor(problem, actor)),
        reward_twins=init_twins(problem, reward),
        cost_twins=init_twins(problem, cost),
    )


def start(hyper: SACLag, actor: Learner, reward_twins: Twins, cost_twins: Twins) -> State:
    """The state that carries over a policy with its optimizer, and critics whose optimizers start fresh."""
    return State(
        actor=actor,
        reward_critic=new_critic(reward_twins),
        cost_critic=new_critic(cost_twins),
        log_temperature=new_learner(jnp.log(jnp.asarray(hyper.temperature, jnp.float32))),
    )


def update(
    hyper: SACLag, problem: Problem, state: State, batch: Transition, multiplier: jax.Array, key: jax.Array
) -> tuple[State, dict[str, jax.Array]]:
    """One gradient step of critics, actor and (if tuned) temperature.

    Args:
      hyper: Step sizes and switches; its numbers may be traced.
      problem: Sizes, γ and reward scale.
      state: From `init`, `start` or `update`.
      batch: `[B]` transitions.
      multiplier: `[]` λ ≥ 0.
      key: For the sampled actions.

    Returns:
      The next state, and scalars: `reward_loss`, `cost_loss`, `actor_loss`, `log_prob`, `temperature`.
    """
    next_key, actor_key = jax.random.split(key)
    temperature = jnp.exp(state.log_temperature.params)

    next_action, next_log_prob = policy(problem, state.actor.params, batch.next_observation).sample(next_key)
    reward_next, cost_next = (
        twin_values(problem, critic.target, batch.next_observation, next_action)
        for critic in (state.reward_critic, state.cost_critic)
    )
    bootstrap = problem.discount * batch.discount
    soft_value = aggregate(reward_next, "min") - temperature * next_log_prob
    reward_target = problem.reward_scale * batch.reward + bootstrap * soft_value
    cost_target = batch.cost + bootstrap * aggregate(cost_next, hyper.cost_aggregation)
    reward_critic, reward_loss = minimize(
        state.reward_critic, regression(problem, batch, reward_target), hyper.critic_learning_rate
    )
    cost_critic, cost_loss = minimize(
        state.cost_critic, regression(problem, batch, cost_target), hyper.cost_critic_learning_rate
    )

    def actor_loss(params: Params) -> tuple[jax.Array, jax.Array]:
        action, log_prob = policy(problem, params, batch.observation).sample(actor_key)
        reward_value = aggregate(twin_values(problem, reward_critic.params, batch.observation, action), "min")
        cost_value = aggregate(
            twin_values(problem, cost_critic.params, batch.observation, action), hyper.cost_aggregation
        )
        loss = jnp.mean(temperature * log_prob + multiplier * cost_value - reward_value)
        return (loss / (1 + multiplier) if hyper.bound_actor_step else loss), jnp.mean(log_prob)

    (loss, log_prob), gradient = jax.value_and_grad(actor_loss, has_aux=True)(state.actor.params)
    actor = step(state.actor, gradient, hyper.actor_learning_rate)

    log_temperature = state.log_temperature
    if hyper.tune_temperature:
        excess = jax.lax.stop_gradient(log_prob - problem.action_size)  # target entropy −|A|
        log_temperature, _ = minimize(log_temperature, lambda log: -log * excess, hyper.temperature_learning_rate)

    next_state = State(
        actor=actor,
        reward_critic=follow(reward_critic, hyper.target_rate),
        cost_critic=follow(cost_critic, hyper.target_rate),
        log_temperature=log_temperature,
    )
    return next_state, {
        "reward_loss": reward_loss,
        "cost_loss": cost_loss,
        "actor_loss": loss,
        "log_prob": log_prob,
        "temperature": temperature,
    }
