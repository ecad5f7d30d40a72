"""TD3-Lag: a deterministic policy that explores with fixed noise, with a cost critic and a multiplier from outside.

Source: Fujimoto et al., ICML 2018; the Lagrangian as in SAC-Lag. The policy is the mode of the same Gaussian network,
whose deviation `Problem.log_std_minimum` = `log_std_maximum` holds at the exploration noise.
"""

import jax
import optax
from flax import struct

from marvel_jax.algorithms.online import off_policy
from marvel_jax.config.hyper import TD3Lag
from marvel_jax.core.networks import Params, Twins, init_actor, init_twins, policy
from marvel_jax.core.parameters import CriticLearner, Learner, follow, minimize, new_critic, new_learner
from marvel_jax.core.problem import Problem
from marvel_jax.core.transitions import Transition


class State(struct.PyTreeNode):
    """All that TD3-Lag learns.

    Attributes:
      actor: The policy.
      target_actor: What follows it slowly and acts in targets.
      reward_critic, cost_critic: Twin critics of scaled reward and of cost.
    """

    actor: Learner
    target_actor: Params
    reward_critic: CriticLearner
    cost_critic: CriticLearner


def init(hyper: TD3Lag, problem: Problem, key: jax.Array) -> State:
    """Random networks."""
    actor, reward, cost = jax.random.split(key, 3)
    return start(hyper, new_learner(init_actor(problem, actor)), init_twins(problem, reward), init_twins(problem, cost))


def start(hyper: TD3Lag, actor: Learner, reward_twins: Twins, cost_twins: Twins) -> State:
    """The state that carries over a policy with its optimizer, and critics whose optimizers start fresh."""
    del hyper
    return State(actor, actor.params, new_critic(reward_twins), new_critic(cost_twins))


def update_critics(
    hyper: TD3Lag, problem: Problem, state: State, batch: Transition, key: jax.Array
) -> tuple[State, dict[str, jax.Array]]:
    """The critics' part of `update`: a' is the target policy's mode with clipped noise."""
    next_action = policy(problem, state.target_actor, batch.next_observation).mode()
    reward_critic, cost_critic, metrics = off_policy.fit_critics(
        *(hyper, problem, state.reward_critic, state.cost_critic, batch),
        next_action=off_policy.with_noise(hyper, next_action, key),
        own_action=policy(problem, state.actor.params, batch.observation).mode(),
    )
    next_state = state.replace(
        reward_critic=follow(reward_critic, hyper.target_rate), cost_critic=follow(cost_critic, hyper.target_rate)
    )
    return next_state, metrics


def update(
    hyper: TD3Lag, problem: Problem, state: State, batch: Transition, multiplier: jax.Array, key: jax.Array
) -> tuple[State, dict[str, jax.Array]]:
    """One gradient step of critics and actor. Arguments and result as in `sac_lag.update`.

    Actor: minimise E[λ·Q_c − Q₁]/(1 + λ) at the policy's mode.
    """
    state, metrics = update_critics(hyper, problem, state, batch, key)
    # The first twin alone, as in TD3: a deterministic policy stops at the kinks of their minimum.
    twins = state.reward_critic.params[:1], state.cost_critic.params

    def actor_loss(params: Params) -> jax.Array:
        distribution = policy(problem, params, batch.observation)
        loss = off_policy.lagrangian(hyper, problem, *twins, batch.observation, distribution.mode(), multiplier)
        return loss + off_policy.saturation(hyper, distribution.mean)

    actor, loss = minimize(state.actor, actor_loss, hyper.actor_learning_rate)
    next_state = state.replace(
        actor=actor, target_actor=optax.incremental_update(actor.params, state.target_actor, hyper.target_rate)
    )
    return next_state, {**metrics, "actor_loss": loss}
