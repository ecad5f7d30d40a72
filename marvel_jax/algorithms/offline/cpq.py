"""CPQ: Constraints Penalized Q-Learning.

The default is not the paper's CPQ, in three places. `ood_penalty` is "none" instead of "linear": the penalty on
out-of-distribution actions, after which the algorithm is named, is left out, since with it offline policies were not
safer (`benchmarks/cpq_penalty.py`). `recovery_weight` is 1 instead of 0: where an action looks unsafe the policy
descends the cost, where the paper's objective is flat. And there are twin cost critics, of which the larger counts.

Source: Xu, Zhan, Zhu, AAAI 2022.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import struct

from marvel_jax.algorithms.offline import behaviour_model
from marvel_jax.algorithms.offline.batches import uniform
from marvel_jax.algorithms.offline.behaviour_model import kl_to_prior
from marvel_jax.config.offline import CPQ
from marvel_jax.core.networks import Networks, Params, Twins, aggregate
from marvel_jax.core.parameters import (
    CriticTrainState,
    TrainState,
    critic_train_state,
    minimize,
    regression,
    train_state,
    update_targets,
)
from marvel_jax.core.problem import Problem
from marvel_jax.core.transitions import Transition

OOD_ACTIONS = 10  # policy actions per state that are tested for being out of distribution
OOD_WEIGHT_RATE = 1e-4  # η of the penalty's log-weight ζ
LOG_WEIGHT_RANGE = (-5.0, 0.0)  # of ζ

batches = uniform


class State(struct.PyTreeNode):
    """All that CPQ learns.

    Attributes:
      actor: The policy.
      reward_critic, cost_critic: Twin critics of scaled reward and of cost.
      vae: Behaviour model, or None without an out-of-distribution penalty.
      log_ood_weight: `[]` ζ; the penalty's weight is exp(ζ).
    """

    actor: TrainState
    reward_critic: CriticTrainState
    cost_critic: CriticTrainState
    vae: TrainState | None
    log_ood_weight: jax.Array


def init(hyper: CPQ, problem: Problem, networks: Networks, key: jax.Array) -> State:
    """Random networks."""
    actor, reward, cost, vae = jax.random.split(key, 4)
    return State(
        actor=train_state(networks.init_actor(actor)),
        reward_critic=critic_train_state(networks.init_twins(reward)),
        cost_critic=critic_train_state(networks.init_twins(cost)),
        vae=None if hyper.ood_penalty == "none" else behaviour_model.init(hyper, networks, vae),
        log_ood_weight=jnp.zeros(()),
    )


def penalized_target(
    reward: jax.Array, bootstrap: jax.Array, next_value: jax.Array, next_cost_value: jax.Array, limit: jax.Array
) -> jax.Array:
    """r + γ·1[Q̄_c(s', a') ≤ d_γ]·Q̄(s', a'), all `[B]`; only safe continuations are worth anything."""
    return reward + bootstrap * jnp.where(next_cost_value <= limit, next_value, 0.0)


def update(
    hyper: CPQ, problem: Problem, networks: Networks, state: State, batch: Transition, key: jax.Array
) -> tuple[State, dict[str, jax.Array]]:
    """One gradient step of behaviour model, critics and actor.

    With a' ~ π(·|s'), a ~ π(·|s), the discounted limit d_γ, and Q_c = max of the twins:

        reward critics: y = r + γ·1[Q̄_c(s', a') ≤ d_γ]·min Q̄(s', a'),
        cost critics:   y_c = c + γ·Q̄_c(s', a'), and with the penalty + exp(ζ)·E_ood[κ·d_γ − Q_c(s, a)],
        actor:          maximise E[1[Q_c ≤ d_γ]·min Q(s, a) − w·1[Q_c > d_γ]·Q_c(s, a)] + β·E[log π(a_data|s)],

    κ = `ood_margin`, w = `recovery_weight`, β = `imitation_weight`.

    Args:
      hyper: Step sizes and switches; its numbers may be traced.
      problem: γ, cost limit and reward scale.
      networks: What the parameters are of.
      state: From `init` or `update`.
      batch: `[B]` offline transitions.
      key: For sampled actions and latents.

    Returns:
      The next state, and scalars: `reward_loss`, `cost_loss`, `actor_loss`, `safe_share`, `ood_weight`.
    """
    next_key, actor_key, ood_key, vae_key = jax.random.split(key, 4)
    next_action, _ = networks.policy(state.actor.params, batch.next_observation).sample(next_key)
    reward_next, cost_next = (
        networks.twin_values(critic.target, batch.next_observation, next_action)
        for critic in (state.reward_critic, state.cost_critic)
    )
    bootstrap, next_cost_value = problem.discount * batch.discount, aggregate(cost_next, "max")
    reward_target = penalized_target(
        problem.reward_scale * batch.reward,
        bootstrap,
        aggregate(reward_next, "min"),
        next_cost_value,
        problem.discounted_cost_limit,
    )
    reward_critic, reward_loss = minimize(
        state.reward_critic, regression(networks, batch, reward_target), hyper.critic_learning_rate
    )
    cost_loss_of = regression(networks, batch, batch.cost + bootstrap * next_cost_value)
    if hyper.ood_penalty == "none":
        cost_critic, cost_loss = minimize(state.cost_critic, cost_loss_of, hyper.critic_learning_rate)
        vae, log_ood_weight = state.vae, state.log_ood_weight
    else:
        cost_critic, cost_loss, vae, log_ood_weight = _with_penalty(
            hyper, problem, networks, state, batch, cost_loss_of, ood_key, vae_key
        )
    critics = reward_critic.params, cost_critic.params
    actor, (loss, safe_share) = minimize(
        state.actor,
        lambda params: _actor_loss(hyper, problem, networks, params, critics, batch, actor_key),
        hyper.actor_learning_rate,
        has_aux=True,
    )
    next_state = State(
        actor=actor,
        reward_critic=update_targets(reward_critic, hyper.target_rate),
        cost_critic=update_targets(cost_critic, hyper.target_rate),
        vae=vae,
        log_ood_weight=log_ood_weight,
    )
    return next_state, {
        "reward_loss": reward_loss,
        "cost_loss": cost_loss,
        "actor_loss": loss,
        "safe_share": safe_share,
        "ood_weight": jnp.exp(log_ood_weight),
    }


def _actor_loss(
    hyper: CPQ,
    problem: Problem,
    networks: Networks,
    params: Params,
    critics: tuple[Twins, Twins],
    batch: Transition,
    key: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """The actor's loss as in `update`, and the share of states where its action looks safe, `[]` each."""
    action, _ = networks.policy(params, batch.observation).sample(key)
    value = aggregate(networks.twin_values(critics[0], batch.observation, action), "min")
    cost_value = aggregate(networks.twin_values(critics[1], batch.observation, action), "max")
    safe = jax.lax.stop_gradient(cost_value <= problem.discounted_cost_limit)
    loss = -jnp.mean(jnp.where(safe, value, -hyper.recovery_weight * cost_value))
    imitation = -jnp.mean(networks.policy(params, batch.observation).log_prob(batch.action))
    return loss + hyper.imitation_weight * imitation, jnp.mean(safe)


def _with_penalty(
    hyper: CPQ,
    problem: Problem,
    networks: Networks,
    state: State,
    batch: Transition,
    cost_loss_of: Callable[[Twins], jax.Array],
    ood_key: jax.Array,
    vae_key: jax.Array,
) -> tuple[CriticTrainState, jax.Array, TrainState, jax.Array]:
    """The step of the cost critics with the penalty, of the behaviour model, and of its weight.

    ζ ← ζ + η·exp(ζ)·E_ood[κ·d_γ − Q_c], η = `OOD_WEIGHT_RATE`, within `LOG_WEIGHT_RANGE`.

    Returns:
      Cost critics, their loss, the behaviour model, and ζ.
    """
    assert state.vae is not None  # `init` makes one for every penalty but "none"
    vae = behaviour_model.train(hyper, networks, state.vae, batch, vae_key)
    shortfall = _ood_shortfall(hyper, problem, networks, state, vae.params, batch, ood_key)
    weight = jnp.exp(state.log_ood_weight)

    def penalized(twins: Twins) -> tuple[jax.Array, jax.Array]:
        short = shortfall(twins)
        return cost_loss_of(twins) + weight * short, short

    cost_critic, (cost_loss, short) = minimize(state.cost_critic, penalized, hyper.critic_learning_rate, has_aux=True)
    log_ood_weight = jnp.clip(state.log_ood_weight + OOD_WEIGHT_RATE * short * weight, *LOG_WEIGHT_RANGE)
    return cost_critic, cost_loss, vae, log_ood_weight


def _ood_shortfall(
    hyper: CPQ,
    problem: Problem,
    networks: Networks,
    state: State,
    vae: Params,
    batch: Transition,
    key: jax.Array,
) -> Callable[[Twins], jax.Array]:
    """E_ood[κ·d_γ − Q_c(s, a)] as a function of the cost critics: how much too cheap such actions look.

    Out of distribution are the quarter of the policy's own actions whose latents have the largest KL to the prior.
    """
    observation = jnp.tile(batch.observation, (OOD_ACTIONS, 1))
    action, _ = networks.policy(state.actor.params, observation).sample(key)
    action = jax.lax.stop_gradient(action)
    kl = kl_to_prior(*behaviour_model.latent(hyper, networks, vae, observation, action))
    goal = hyper.ood_margin * problem.discounted_cost_limit
    # Only the quarter that counts is shown to the critics.
    _, farthest = jax.lax.top_k(kl, max(1, kl.size // 4))

    def shortfall(twins: Twins) -> jax.Array:
        values = networks.twin_values(twins, observation[farthest], action[farthest])
        return jnp.mean(goal - aggregate(values, "max"))

    return shortfall
