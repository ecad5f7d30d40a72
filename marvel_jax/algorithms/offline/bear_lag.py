"""BEAR-Lag: a policy that keeps to the support of the data's actions, with a Lagrangian cost penalty.

Source: Kumar et al., NeurIPS 2019; the cost critic and its PID multiplier follow OSRL's BEARL. Unlike there, the policy
sees the larger of the twin cost critics.
"""

import jax
import jax.numpy as jnp
import optax
from flax import struct

from marvel_jax.algorithms.offline import behaviour_model, in_support
from marvel_jax.algorithms.offline.batches import uniform
from marvel_jax.config.offline import BEARLag
from marvel_jax.core.networks import Networks, Params, aggregate
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

LOG_WEIGHT_BOUND = 5.0

batches = uniform


class State(struct.PyTreeNode):
    """All that BEAR-Lag learns.

    Attributes:
      actor: The policy.
      target_actor: What follows it slowly and acts in targets.
      reward_critic, cost_critic: Twin critics of scaled reward and of cost.
      vae: Behaviour model.
      multiplier: PID of the cost multiplier m.
      log_divergence_weight: `[]` ζ; the discrepancy's weight is exp(ζ).
    """

    actor: TrainState
    target_actor: Params
    reward_critic: CriticTrainState
    cost_critic: CriticTrainState
    vae: TrainState
    multiplier: controllers.State
    log_divergence_weight: jax.Array


def init(hyper: BEARLag, problem: Problem, networks: Networks, key: jax.Array) -> State:
    """Random networks."""
    actor_key, reward, cost, vae = jax.random.split(key, 4)
    actor = networks.init_actor(actor_key)
    return State(
        actor=train_state(actor),
        target_actor=actor,
        reward_critic=critic_train_state(networks.init_twins(reward)),
        cost_critic=critic_train_state(networks.init_twins(cost)),
        vae=behaviour_model.init(hyper, networks, vae),
        multiplier=in_support.init_multiplier(),
        log_divergence_weight=jnp.zeros(()),
    )


def discrepancy(ours: jax.Array, theirs: jax.Array, variance: jax.Array | float) -> jax.Array:
    """Maximum mean discrepancy `[B]` of samples `[n, B, a]` and `[m, B, a]` under exp(−‖x − y‖²/2σ)."""

    def mean_kernel(x: jax.Array, y: jax.Array) -> jax.Array:
        square = jnp.sum((x[:, None] - y[None]) ** 2, axis=-1)
        return jnp.mean(jnp.exp(-square / (2 * variance)), axis=(0, 1))

    square = mean_kernel(ours, ours) + mean_kernel(theirs, theirs) - 2 * mean_kernel(ours, theirs)
    return jnp.sqrt(jnp.maximum(square, 0.0) + 1e-6)


def update(
    hyper: BEARLag, problem: Problem, networks: Networks, state: State, batch: Transition, key: jax.Array
) -> tuple[State, dict[str, jax.Array]]:
    """One gradient step of behaviour model, critics and actor, and one of both multipliers.

    Critics: `in_support.fit_critics` with a'_i from the target policy. With actions a_i ~ π(·|s), samples â_i of the
    behaviour model, and MMD their maximum mean discrepancy before the tanh:

        actor: minimise E[−min Q(s, a) + m·(max Q_c(s, a) − d_γ)] + exp(ζ)·(E[MMD] − ε),
        ζ:     ζ ← clip(ζ + η·(E[MMD] − ε), −5, 5),   η = `divergence_weight_rate`, ε = `divergence_limit`,
        m:     `in_support.update_multiplier` on E[max Q_c] − d_γ.

    Arguments and result as in `cpq.update`.
    """
    vae_key, next_key, sample_key, actor_key = jax.random.split(key, 4)
    vae = behaviour_model.train(hyper, networks, state.vae, batch, vae_key)
    next_observation = in_support.candidates_of(hyper, batch.next_observation)
    next_action, _ = networks.policy(state.target_actor, next_observation).sample(next_key)
    reward_critic, cost_critic, metrics = in_support.fit_critics(
        hyper, problem, networks, state.reward_critic, state.cost_critic, batch, next_action
    )

    observation = in_support.candidates_of(hyper, batch.observation)
    like_data = behaviour_model.raw_actions(hyper, networks, vae.params, observation, sample_key)
    weight = jnp.exp(state.log_divergence_weight)

    def loss(params: Params) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        raw = networks.policy(params, observation).raw(actor_key)
        action = jnp.tanh(raw)
        value = aggregate(networks.twin_values(reward_critic.params, observation, action), "min")
        cost_value = aggregate(networks.twin_values(cost_critic.params, observation, action), "max")
        apart = jnp.mean(discrepancy(raw, jax.lax.stop_gradient(like_data), hyper.kernel_variance))
        excess = jnp.mean(cost_value) - problem.discounted_cost_limit
        whole = weight * (apart - hyper.divergence_limit) - jnp.mean(value) + state.multiplier.value * excess
        return whole, (apart, cost_value)

    actor, (actor_loss, (apart, cost_value)) = minimize(state.actor, loss, hyper.actor_learning_rate, has_aux=True)
    log_weight = state.log_divergence_weight + hyper.divergence_weight_rate * (apart - hyper.divergence_limit)
    next_state = State(
        actor=actor,
        target_actor=optax.incremental_update(actor.params, state.target_actor, hyper.target_rate),
        reward_critic=update_targets(reward_critic, hyper.target_rate),
        cost_critic=update_targets(cost_critic, hyper.target_rate),
        vae=vae,
        multiplier=in_support.update_multiplier(problem, state.multiplier, cost_value),
        log_divergence_weight=jnp.clip(log_weight, -LOG_WEIGHT_BOUND, LOG_WEIGHT_BOUND),
    )
    return next_state, {
        **metrics,
        "actor_loss": actor_loss,
        "divergence": apart,
        "multiplier": next_state.multiplier.value,
    }
