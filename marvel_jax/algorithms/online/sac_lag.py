"""SAC-Lag: soft actor-critic with a cost critic and a Lagrange multiplier given from outside.

Source: Haarnoja et al., 2018; the Lagrangian actor loss and its division by 1 + λ: Stooke et al., ICML 2020.
"""

import jax
import jax.numpy as jnp
from flax import struct

from marvel_jax.algorithms.online import off_policy
from marvel_jax.config.hyper import SACLag
from marvel_jax.core.networks import Params, Twins, init_actor, init_twins, policy
from marvel_jax.core.parameters import CriticLearner, Learner, follow, minimize, new_critic, new_learner
from marvel_jax.core.problem import Problem
from marvel_jax.core.transitions import Transition


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


def update_critics(
    hyper: SACLag, problem: Problem, state: State, batch: Transition, key: jax.Array
) -> tuple[State, dict[str, jax.Array]]:
    """The critics' part of `update`: y = r + γ·(min Q̄(s', a') − α·log π(a'|s')), y_c = c + γ·Q̄_c(s', a')."""
    next_action, next_log_prob = policy(problem, state.actor.params, batch.next_observation).sample(key)
    own_action = None
    if hyper.conservatism > 0:
        own_action, _ = policy(problem, state.actor.params, batch.observation).sample(jax.random.fold_in(key, 0))
    reward_critic, cost_critic, metrics = off_policy.fit_critics(
        *(hyper, problem, state.reward_critic, state.cost_critic, batch),
        next_action=off_policy.with_noise(hyper, next_action, jax.random.fold_in(key, 1)),
        bonus=-jnp.exp(state.log_temperature.params) * next_log_prob,
        own_action=own_action,
    )
    next_state = state.replace(
        reward_critic=follow(reward_critic, hyper.target_rate), cost_critic=follow(cost_critic, hyper.target_rate)
    )
    return next_state, metrics


def update(
    hyper: SACLag, problem: Problem, state: State, batch: Transition, multiplier: jax.Array, key: jax.Array
) -> tuple[State, dict[str, jax.Array]]:
    """One gradient step of critics, actor and (if tuned) temperature.

    Actor: minimise E[α·log π + λ·Q_c − min Q]/(1 + λ).

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
    state, metrics = update_critics(hyper, problem, state, batch, next_key)
    twins = state.reward_critic.params, state.cost_critic.params

    def actor_loss(params: Params) -> tuple[jax.Array, jax.Array]:
        distribution = policy(problem, params, batch.observation)
        action, log_prob = distribution.sample(actor_key)
        entropy = -temperature * log_prob
        loss = off_policy.lagrangian(hyper, problem, *twins, batch.observation, action, multiplier, entropy)
        return loss + off_policy.saturation(hyper, distribution.mean), jnp.mean(log_prob)

    actor, (loss, log_prob) = minimize(state.actor, actor_loss, hyper.actor_learning_rate, has_aux=True)
    log_temperature = state.log_temperature
    if hyper.tune_temperature:
        excess = jax.lax.stop_gradient(log_prob - problem.action_size)  # target entropy −|A|
        log_temperature, _ = minimize(log_temperature, lambda log: -log * excess, hyper.temperature_learning_rate)
    next_state = state.replace(actor=actor, log_temperature=log_temperature)
    return next_state, {**metrics, "actor_loss": loss, "log_prob": log_prob, "temperature": temperature}
