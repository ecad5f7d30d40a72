"""CPQ: Constraints Penalized Q-Learning, offline safe RL. Source: Xu, Zhan, Zhu, AAAI 2022."""

import jax
import jax.numpy as jnp
from flax import struct

from marvel_jax.algorithms.offline import behaviour_model
from marvel_jax.config.hyper import CPQ
from marvel_jax.core.networks import Params, Twins, aggregate, init_actor, init_twins, kl_to_prior, policy, twin_values
from marvel_jax.core.parameters import CriticLearner, Learner, follow, minimize, new_critic, new_learner, regression
from marvel_jax.core.problem import Problem
from marvel_jax.core.transitions import Transition

LOG_WEIGHT_MIN = -5.0


class State(struct.PyTreeNode):
    """All that CPQ learns.

    Attributes:
      actor: The policy.
      reward_critic, cost_critic: Twin critics of scaled reward and of cost.
      vae: Behaviour model, or None without an out-of-distribution penalty.
      log_ood_weight: `[]` ζ; the penalty's weight is exp(ζ).
    """

    actor: Learner
    reward_critic: CriticLearner
    cost_critic: CriticLearner
    vae: Learner | None
    log_ood_weight: jax.Array


def init(hyper: CPQ, problem: Problem, key: jax.Array) -> State:
    """Random networks."""
    actor, reward, cost, vae = jax.random.split(key, 4)
    return State(
        actor=new_learner(init_actor(problem, actor)),
        reward_critic=new_critic(init_twins(problem, reward)),
        cost_critic=new_critic(init_twins(problem, cost)),
        vae=None if hyper.ood_penalty == "none" else behaviour_model.init(hyper, problem, vae),
        log_ood_weight=jnp.zeros(()),
    )


def penalized_target(
    reward: jax.Array, bootstrap: jax.Array, next_value: jax.Array, next_cost_value: jax.Array, limit: jax.Array
) -> jax.Array:
    """r + γ·1[Q̄_c(s', a') ≤ d_γ]·Q̄(s', a'), all `[B]`; only safe continuations are worth anything."""
    return reward + bootstrap * jnp.where(next_cost_value <= limit, next_value, 0.0)


def update(
    hyper: CPQ, problem: Problem, state: State, batch: Transition, key: jax.Array
) -> tuple[State, dict[str, jax.Array]]:
    """One gradient step of VAE, critics and actor.

    Args:
      hyper: Step sizes and switches; its numbers may be traced.
      problem: Sizes, γ, cost limit and reward scale.
      state: From `init` or `update`.
      batch: `[B]` offline transitions.
      key: For sampled actions and latents.

    Returns:
      The next state, and scalars: `reward_loss`, `cost_loss`, `actor_loss`, `safe_share`, `ood_weight`.
    """
    next_key, actor_key, ood_key, vae_key = jax.random.split(key, 4)
    limit = problem.discounted_cost_limit
    bootstrap = problem.discount * batch.discount

    next_action, _ = policy(problem, state.actor.params, batch.next_observation).sample(next_key)
    reward_next, cost_next = (
        twin_values(problem, critic.target, batch.next_observation, next_action)
        for critic in (state.reward_critic, state.cost_critic)
    )
    next_cost_value = aggregate(cost_next, hyper.cost_aggregation)
    reward_target = penalized_target(
        problem.reward_scale * batch.reward, bootstrap, aggregate(reward_next, "min"), next_cost_value, limit
    )
    reward_critic, reward_loss = minimize(
        state.reward_critic, regression(problem, batch, reward_target), hyper.critic_learning_rate
    )

    cost_regression = regression(problem, batch, batch.cost + bootstrap * next_cost_value)
    vae, log_ood_weight = state.vae, state.log_ood_weight
    if hyper.ood_penalty == "none":
        cost_critic, cost_loss = minimize(state.cost_critic, cost_regression, hyper.cost_critic_learning_rate)
    else:
        assert state.vae is not None  # `init` makes one for every penalty but "none"
        vae = behaviour_model.train(hyper, problem, state.vae, batch, vae_key)
        shortfall = _ood_shortfall(hyper, problem, state, vae.params, batch, ood_key)
        weight = jnp.exp(log_ood_weight)

        def penalized(twins: Twins) -> tuple[jax.Array, jax.Array]:
            short = shortfall(twins)
            return cost_regression(twins) + weight * short, short

        cost_critic, (cost_loss, short) = minimize(
            state.cost_critic, penalized, hyper.cost_critic_learning_rate, has_aux=True
        )
        log_ood_weight = jnp.clip(
            log_ood_weight + hyper.ood_weight_rate * short * weight,
            LOG_WEIGHT_MIN,
            jnp.log(hyper.ood_weight_max),
        )

    def actor_loss(params: Params) -> tuple[jax.Array, jax.Array]:
        action, _ = policy(problem, params, batch.observation).sample(actor_key)
        value = aggregate(twin_values(problem, reward_critic.params, batch.observation, action), "min")
        cost_value = aggregate(
            twin_values(problem, cost_critic.params, batch.observation, action), hyper.cost_aggregation
        )
        safe = jax.lax.stop_gradient(cost_value <= limit)
        # Where every action looks unsafe the paper's objective is flat; going down the cost leads out.
        loss = -jnp.mean(jnp.where(safe, value, -hyper.recovery_weight * cost_value))
        imitation = -jnp.mean(policy(problem, params, batch.observation).log_prob(batch.action))
        return loss + hyper.imitation_weight * imitation, jnp.mean(safe)

    actor, (loss, safe_share) = minimize(state.actor, actor_loss, hyper.actor_learning_rate, has_aux=True)
    next_state = State(
        actor=actor,
        reward_critic=follow(reward_critic, hyper.target_rate),
        cost_critic=follow(cost_critic, hyper.target_rate),
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


def _ood_shortfall(hyper: CPQ, problem: Problem, state: State, vae: Params, batch: Transition, key: jax.Array):
    """How far out-of-distribution actions look cheaper than margin·d_γ, as a function of the cost critics.

    linear: mean over OOD of (margin·d_γ − Q_c), OOD being the quarter of the policy's own actions with the largest KL
    (the paper's form, which can push Q_c up without end). hinge: the positive part only, and OOD are actions whose KL
    exceeds what the data's own actions have, so a policy inside the data is not penalized at all.
    """
    observation = jnp.tile(batch.observation, (hyper.ood_actions, 1))
    action, _ = policy(problem, state.actor.params, observation).sample(key)
    action = jax.lax.stop_gradient(action)

    def divergence(observation: jax.Array, action: jax.Array) -> jax.Array:
        return kl_to_prior(*behaviour_model.latent(hyper, problem, vae, observation, action))

    kl = divergence(observation, action)
    goal = hyper.ood_margin * problem.discounted_cost_limit

    def gap(twins: Twins, observation: jax.Array, action: jax.Array) -> jax.Array:
        return goal - aggregate(twin_values(problem, twins, observation, action), hyper.cost_aggregation)

    if hyper.ood_penalty == "linear":
        # Only the quarter that counts is shown to the critics.
        _, farthest = jax.lax.top_k(kl, max(1, kl.size // 4))
        return lambda twins: jnp.mean(gap(twins, observation[farthest], action[farthest]))
    outside = kl > jnp.quantile(divergence(batch.observation, batch.action), hyper.ood_quantile)
    return lambda twins: jnp.mean(jnp.where(outside, jnp.maximum(gap(twins, observation, action), 0.0), 0.0))
