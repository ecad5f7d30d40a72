"""BCQ-Lag: the best of actions like the data's, slightly moved, with a Lagrangian cost penalty.

BCQ's policy is a choice among samples, which nothing online can take further; `actor` is a Gaussian policy that clones
what it chooses.

Source: Fujimoto et al., ICML 2019; the cost critic and its PID multiplier follow OSRL's BCQL. Unlike there, the policy
sees the larger of the twin cost critics.
"""

import jax
import jax.numpy as jnp
import optax
from flax import struct

from marvel_jax.algorithms.offline import behaviour_model, in_support
from marvel_jax.algorithms.offline.batches import uniform
from marvel_jax.config.offline import BCQLag
from marvel_jax.core.networks import MLP, Networks, Params, aggregate, apply
from marvel_jax.core.parameters import (
    CriticTrainState,
    TrainState,
    critic_train_state,
    minimize,
    train_state,
    update_targets,
)
from marvel_jax.core.problem import Problem
from marvel_jax.core.transitions import Transition
from marvel_jax.multiplier import controllers

PERTURBATION_LEARNING_RATE = 1e-3

batches = uniform


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

    actor: TrainState
    perturbation: TrainState
    target_perturbation: Params
    reward_critic: CriticTrainState
    cost_critic: CriticTrainState
    vae: TrainState
    multiplier: controllers.State


def _perturbation(networks: Networks) -> MLP:
    return MLP(networks.hidden, networks.action_size, compute_dtype=networks.compute_dtype)


def init(hyper: BCQLag, problem: Problem, networks: Networks, key: jax.Array) -> State:
    """Random networks."""
    actor, reward, cost, vae, perturbation = jax.random.split(key, 5)
    inputs = jnp.zeros(networks.observation_size + networks.action_size)
    moves = _perturbation(networks).init(perturbation, inputs)
    return State(
        actor=train_state(networks.init_actor(actor)),
        perturbation=train_state(moves),
        target_perturbation=moves,
        reward_critic=critic_train_state(networks.init_twins(reward)),
        cost_critic=critic_train_state(networks.init_twins(cost)),
        vae=behaviour_model.init(hyper, networks, vae),
        multiplier=in_support.init_multiplier(),
    )


def moved(hyper: BCQLag, networks: Networks, params: Params, observation: jax.Array, action: jax.Array) -> jax.Array:
    """a + Φ·tanh(ξ(s, a)), in [−1, 1]: at most Φ from `action` `[..., action_size]`."""
    move = apply(_perturbation(networks), params, jnp.concatenate([observation, action], axis=-1))
    return jnp.clip(action + hyper.perturbation * jnp.tanh(move), -1.0, 1.0)


def update(
    hyper: BCQLag, problem: Problem, networks: Networks, state: State, batch: Transition, key: jax.Array
) -> tuple[State, dict[str, jax.Array]]:
    """One gradient step of behaviour model, critics, perturbation and clone, and one of the multiplier.

    Critics: `in_support.fit_critics` with a'_i moved samples, by the target perturbation. With samples â_i of the
    behaviour model at s, moved to a_i = clip(â_i + Φ·tanh ξ(s, â_i), −1, 1), and scores
    u_i = min Q(s, a_i) − m·max Q_c(s, a_i):

        perturbation ξ: minimise −E[u_i],
        clone π:        minimise −E[log π(a*|s)] with a* the a_i of largest u_i,
        m:              `in_support.update_multiplier` on E[max Q_c(s, a*)] − d_γ.

    Arguments and result as in `cpq.update`.
    """
    vae_key, next_key, sample_key = jax.random.split(key, 3)
    vae = behaviour_model.train(hyper, networks, state.vae, batch, vae_key)

    def like_data(observation: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        repeated = in_support.candidates_of(hyper, observation)
        return repeated, jnp.tanh(behaviour_model.raw_actions(hyper, networks, vae.params, repeated, key))

    next_observation, next_action = like_data(batch.next_observation, next_key)
    candidates = moved(hyper, networks, state.target_perturbation, next_observation, next_action)
    reward_critic, cost_critic, metrics = in_support.fit_critics(
        hyper, problem, networks, state.reward_critic, state.cost_critic, batch, candidates
    )

    observation, sampled = like_data(batch.observation, sample_key)

    def loss(params: Params) -> tuple[jax.Array, tuple[jax.Array, jax.Array, jax.Array]]:
        action = moved(hyper, networks, params, observation, sampled)
        value = aggregate(networks.twin_values(reward_critic.params, observation, action), "min")
        cost_value = aggregate(networks.twin_values(cost_critic.params, observation, action), "max")
        score = value - state.multiplier.value * cost_value
        return -jnp.mean(score), (action, score, cost_value)

    perturbation, (_, (action, score, cost_value)) = minimize(
        state.perturbation, loss, PERTURBATION_LEARNING_RATE, has_aux=True
    )
    best = jnp.take_along_axis(action, jnp.argmax(score, axis=0)[None, :, None], axis=0)[0]
    actor, actor_loss = minimize(
        state.actor,
        lambda params: -jnp.mean(networks.policy(params, batch.observation).log_prob(best)),
        hyper.actor_learning_rate,
    )
    chosen_cost = jnp.take_along_axis(cost_value, jnp.argmax(score, axis=0)[None], axis=0)
    next_state = State(
        actor=actor,
        perturbation=perturbation,
        target_perturbation=optax.incremental_update(perturbation.params, state.target_perturbation, hyper.target_rate),
        reward_critic=update_targets(reward_critic, hyper.target_rate),
        cost_critic=update_targets(cost_critic, hyper.target_rate),
        vae=vae,
        multiplier=in_support.update_multiplier(problem, state.multiplier, chosen_cost),
    )
    return next_state, {**metrics, "actor_loss": actor_loss, "multiplier": next_state.multiplier.value}
