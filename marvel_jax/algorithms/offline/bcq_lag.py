"""BCQ-Lag: the best of actions like the data's, slightly moved, with a Lagrangian cost penalty.

Source: Fujimoto et al., ICML 2019; the cost critic and its PID multiplier as in OSRL's BCQL. BCQ's policy is a choice
among samples, which nothing online can take further; `actor` is a Gaussian policy that clones what it chooses.
"""

import jax
import jax.numpy as jnp
import optax
from flax import struct

from marvel_jax.algorithms.offline import behaviour_model, in_support
from marvel_jax.config.hyper import BCQLag
from marvel_jax.core.networks import MLP, Params, aggregate, apply, init_actor, init_twins, policy, twin_values
from marvel_jax.core.parameters import CriticLearner, Learner, follow, minimize, new_critic, new_learner
from marvel_jax.core.problem import Problem
from marvel_jax.core.transitions import Transition
from marvel_jax.multiplier import controllers


class State(struct.PyTreeNode):
    """All that BCQ-Lag learns.

    Attributes:
      actor: Gaussian clone of the policy.
      perturbation: Network that moves the behaviour model's actions.
      target_perturbation: What follows it slowly.
      reward_critic, cost_critic: Twin critics of scaled reward and of cost.
      vae: Behaviour model.
      multiplier: PID of the cost multiplier m.
    """

    actor: Learner
    perturbation: Learner
    target_perturbation: Params
    reward_critic: CriticLearner
    cost_critic: CriticLearner
    vae: Learner
    multiplier: controllers.State


def _perturbation(problem: Problem) -> MLP:
    return MLP(problem.hidden, problem.action_size, products=problem.products)


def init(hyper: BCQLag, problem: Problem, key: jax.Array) -> State:
    """Random networks."""
    actor, reward, cost, vae, perturbation = jax.random.split(key, 5)
    inputs = jnp.zeros(problem.observation_size + problem.action_size)
    moves = _perturbation(problem).init(perturbation, inputs)
    return State(
        actor=new_learner(init_actor(problem, actor)),
        perturbation=new_learner(moves),
        target_perturbation=moves,
        reward_critic=new_critic(init_twins(problem, reward)),
        cost_critic=new_critic(init_twins(problem, cost)),
        vae=behaviour_model.init(hyper, problem, vae),
        multiplier=in_support.init_multiplier(hyper),
    )


def moved(hyper: BCQLag, problem: Problem, params: Params, observation: jax.Array, action: jax.Array) -> jax.Array:
    """a + Φ·tanh(ξ(s, a)), in [−1, 1]: at most Φ from `action` `[..., action_size]`."""
    move = apply(_perturbation(problem), params, jnp.concatenate([observation, action], axis=-1))
    return jnp.clip(action + hyper.perturbation * jnp.tanh(move), -1.0, 1.0)


def update(
    hyper: BCQLag, problem: Problem, state: State, batch: Transition, key: jax.Array
) -> tuple[State, dict[str, jax.Array]]:
    """One gradient step of behaviour model, critics, perturbation and clone, and one of the multiplier.

    Arguments and result as in `cpq.update`. Perturbation: minimise −min Q + m·(Q_c − d_γ) over moved samples.
    """
    vae_key, next_key, sample_key = jax.random.split(key, 3)
    vae = behaviour_model.train(hyper, problem, state.vae, batch, vae_key)

    def like_data(observation: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        repeated = in_support.candidates_of(hyper, observation)
        return repeated, jnp.tanh(behaviour_model.raw_actions(hyper, problem, vae.params, repeated, key))

    next_observation, next_action = like_data(batch.next_observation, next_key)
    reward_critic, cost_critic, metrics = in_support.fit_critics(
        *(hyper, problem, state.reward_critic, state.cost_critic, batch),
        moved(hyper, problem, state.target_perturbation, next_observation, next_action),
    )

    observation, sampled = like_data(batch.observation, sample_key)

    def loss(params: Params) -> tuple[jax.Array, tuple[jax.Array, jax.Array, jax.Array]]:
        action = moved(hyper, problem, params, observation, sampled)
        value = aggregate(twin_values(problem, reward_critic.params, observation, action), "min")
        cost_value = aggregate(twin_values(problem, cost_critic.params, observation, action), hyper.cost_aggregation)
        score = value - state.multiplier.value * cost_value
        return -jnp.mean(score), (action, score, cost_value)

    perturbation, (_, (action, score, cost_value)) = minimize(
        state.perturbation, loss, hyper.perturbation_learning_rate, has_aux=True
    )
    best = jnp.take_along_axis(action, jnp.argmax(score, axis=0)[None, :, None], axis=0)[0]
    actor, actor_loss = minimize(
        state.actor,
        lambda params: -jnp.mean(policy(problem, params, batch.observation).log_prob(best)),
        hyper.actor_learning_rate,
    )
    chosen_cost = jnp.take_along_axis(cost_value, jnp.argmax(score, axis=0)[None], axis=0)
    next_state = State(
        actor=actor,
        perturbation=perturbation,
        target_perturbation=optax.incremental_update(perturbation.params, state.target_perturbation, hyper.target_rate),
        reward_critic=follow(reward_critic, hyper.target_rate),
        cost_critic=follow(cost_critic, hyper.target_rate),
        vae=vae,
        multiplier=in_support.update_multiplier(hyper, problem, state.multiplier, chosen_cost),
    )
    return next_state, {**metrics, "actor_loss": actor_loss, "multiplier": next_state.multiplier.value}
