"""TD3-Lag: a deterministic policy that explores with fixed noise, with a cost critic and a multiplier from outside.

The policy is the mode of the same Gaussian network, whose deviation `exploring` sets to the exploration noise.

Source: Fujimoto et al., ICML 2018; the Lagrangian as in SAC-Lag.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
import optax
from flax import struct

from marvel_jax.algorithms.online import off_policy
from marvel_jax.algorithms.online.policy_change import in_noise
from marvel_jax.algorithms.protocol import Experience, Metrics
from marvel_jax.config.online import TD3Lag
from marvel_jax.core.networks import Networks, Params
from marvel_jax.core.parameters import (
    Critics,
    CriticTrainState,
    TrainState,
    critic_train_state,
    minimize,
    train_state,
    update_targets,
)
from marvel_jax.core.problem import Problem
from marvel_jax.core.transitions import Transition
from marvel_jax.multiplier.alignment import MultiplierAlignment


class State(struct.PyTreeNode):
    """All that TD3-Lag learns.

    Attributes:
      actor: The policy.
      target_actor: What follows it slowly and acts in targets.
      reward_critic, cost_critic: Twin critics of scaled reward and of cost.
    """

    actor: TrainState
    target_actor: Params
    reward_critic: CriticTrainState
    cost_critic: CriticTrainState


def init(hyper: TD3Lag, problem: Problem, networks: Networks, key: jax.Array) -> State:
    """Random networks."""
    del problem
    actor, reward, cost = jax.random.split(key, 3)
    critics = Critics(networks.init_twins(reward), networks.init_twins(cost))
    return start(hyper, train_state(networks.init_actor(actor)), critics)


def start(hyper: TD3Lag, actor: TrainState, critics: Critics) -> State:
    """The state that carries over a policy with its optimizer, and critics whose optimizers start fresh."""
    del hyper
    return State(actor, actor.params, critic_train_state(critics.reward_twins), critic_train_state(critics.cost_twins))


def update_critics(
    hyper: TD3Lag, problem: Problem, networks: Networks, state: State, batch: Transition, key: jax.Array
) -> tuple[State, dict[str, jax.Array]]:
    """The critics' part of `update`: y = r + γ·min Q̄(s', a'), y_c = c + γ·max Q̄_c(s', a').

    a' is the target policy's mode with clipped noise.
    """
    next_action = networks.policy(state.target_actor, batch.next_observation).mode()
    reward_critic, cost_critic, metrics = off_policy.fit_critics(
        hyper,
        problem,
        networks,
        state.reward_critic,
        state.cost_critic,
        batch,
        next_action=off_policy.with_noise(hyper, next_action, key),
    )
    next_state = state.replace(
        reward_critic=update_targets(reward_critic, hyper.target_rate),
        cost_critic=update_targets(cost_critic, hyper.target_rate),
    )
    return next_state, metrics


def update(
    hyper: TD3Lag,
    problem: Problem,
    networks: Networks,
    state: State,
    batch: Transition,
    multiplier: jax.Array,
    key: jax.Array,
) -> tuple[State, dict[str, jax.Array]]:
    """One gradient step of critics and actor. Arguments and result as in `sac_lag.update`.

    Actor: minimise E[λ·max Q_c(s, a) − Q₁(s, a)]/(1 + λ) at the policy's mode a.
    """
    state, metrics = update_critics(hyper, problem, networks, state, batch, key)
    # The first twin alone, as in TD3: a deterministic policy stops at the kinks of their minimum.
    twins = state.reward_critic.params[:1], state.cost_critic.params

    def actor_loss(params: Params) -> jax.Array:
        action = networks.policy(params, batch.observation).mode()
        return off_policy.lagrangian(networks, *twins, batch.observation, action, multiplier)

    actor, loss = minimize(state.actor, actor_loss, hyper.actor_learning_rate)
    next_state = state.replace(
        actor=actor, target_actor=optax.incremental_update(actor.params, state.target_actor, hyper.target_rate)
    )
    return next_state, {**metrics, "actor_loss": loss}


def train_iteration(
    hyper: TD3Lag,
    problem: Problem,
    networks: Networks,
    state: State,
    experience: Experience,
    multiplier: jax.Array,
    key: jax.Array,
    updates: int,
) -> tuple[State, Metrics]:
    """An iteration of updates, each with `critic_updates` steps of the critics (`protocol.Online`)."""

    def step(state: State, batch: Transition, key: jax.Array) -> tuple[State, Metrics]:
        return update(hyper, problem, networks, state, batch, multiplier, key)

    def critics_step(state: State, batch: Transition, key: jax.Array) -> tuple[State, Metrics]:
        return update_critics(hyper, problem, networks, state, batch, key)

    return off_policy.train_iteration(step, critics_step, hyper.critic_updates, state, experience, key, updates)


def policy_gradients(
    hyper: TD3Lag, problem: Problem, networks: Networks, state: State, experience: Experience, key: jax.Array
) -> MultiplierAlignment:
    """Those of both critics on states of the coming updates (`protocol.Online`)."""
    del hyper, problem
    return off_policy.policy_gradients(networks, state, experience, key)


def policy_change(
    hyper: TD3Lag, networks: Networks, before: Params, after: Params, observation: jax.Array
) -> jax.Array:
    """In deviations of the exploration noise (`protocol.Online`)."""
    del hyper
    return in_noise(networks, before, after, observation)


def exploring(hyper: TD3Lag, networks: Networks) -> Networks:
    """The same deviation everywhere, `exploration_noise` before the tanh (`protocol.Online`)."""
    log_std = jnp.log(hyper.exploration_noise)
    return replace(networks, log_std_minimum=log_std, log_std_maximum=log_std)
