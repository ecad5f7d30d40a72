"""SAC-Lag: soft actor-critic with a cost critic and a Lagrange multiplier given from outside.

Source: Haarnoja et al., 2018; the Lagrangian actor loss and its division by 1 + λ: Stooke et al., ICML 2020.
"""

import jax
import jax.numpy as jnp
from flax import struct

from marvel_jax.algorithms.online import off_policy
from marvel_jax.algorithms.online.policy_change import in_noise
from marvel_jax.algorithms.protocol import Experience, Metrics
from marvel_jax.config.online import SACLag
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

TEMPERATURE_LEARNING_RATE = 1e-4  # of log α, when tuned


class State(struct.PyTreeNode):
    """All that SAC-Lag learns.

    Attributes:
      actor: The policy.
      reward_critic, cost_critic: Twin critics of scaled reward and of cost.
      log_temperature: log α; constant unless tuned.
    """

    actor: TrainState
    reward_critic: CriticTrainState
    cost_critic: CriticTrainState
    log_temperature: TrainState


def init(hyper: SACLag, problem: Problem, networks: Networks, key: jax.Array) -> State:
    """Random networks."""
    del problem
    actor, reward, cost = jax.random.split(key, 3)
    critics = Critics(networks.init_twins(reward), networks.init_twins(cost))
    return start(hyper, train_state(networks.init_actor(actor)), critics)


def start(hyper: SACLag, actor: TrainState, critics: Critics) -> State:
    """The state that carries over a policy with its optimizer, and critics whose optimizers start fresh."""
    return State(
        actor=actor,
        reward_critic=critic_train_state(critics.reward_twins),
        cost_critic=critic_train_state(critics.cost_twins),
        log_temperature=train_state(jnp.log(jnp.asarray(hyper.temperature, jnp.float32))),
    )


def update_critics(
    hyper: SACLag, problem: Problem, networks: Networks, state: State, batch: Transition, key: jax.Array
) -> tuple[State, dict[str, jax.Array]]:
    """The critics' part of `update`: y = r + γ·(min Q̄(s', a') − α·log π(a'|s')), y_c = c + γ·max Q̄_c(s', a')."""
    next_action, next_log_prob = networks.policy(state.actor.params, batch.next_observation).sample(key)
    own_action = None
    if hyper.conservatism > 0:
        own_action, _ = networks.policy(state.actor.params, batch.observation).sample(jax.random.fold_in(key, 0))
    reward_critic, cost_critic, metrics = off_policy.fit_critics(
        hyper,
        problem,
        networks,
        state.reward_critic,
        state.cost_critic,
        batch,
        next_action=off_policy.with_noise(hyper, next_action, jax.random.fold_in(key, 1)),
        bonus=-jnp.exp(state.log_temperature.params) * next_log_prob,
        own_action=own_action,
        conservatism=hyper.conservatism,
    )
    next_state = state.replace(
        reward_critic=update_targets(reward_critic, hyper.target_rate),
        cost_critic=update_targets(cost_critic, hyper.target_rate),
    )
    return next_state, metrics


def update(
    hyper: SACLag,
    problem: Problem,
    networks: Networks,
    state: State,
    batch: Transition,
    multiplier: jax.Array,
    key: jax.Array,
) -> tuple[State, dict[str, jax.Array]]:
    """One gradient step of critics, actor and (if tuned) temperature.

    Critics as in `update_critics`; with a ~ π(·|s):

        actor:       minimise E[α·log π(a|s) + λ·max Q_c(s, a) − min Q(s, a)]/(1 + λ),
        temperature: minimise −log α·(E[log π(a|s)] − |A|), if tuned.

    Args:
      hyper: Step sizes and switches; its numbers may be traced.
      problem: γ and reward scale.
      networks: What the parameters are of.
      state: From `init`, `start` or `update`.
      batch: `[B]` transitions.
      multiplier: `[]` λ ≥ 0.
      key: For the sampled actions.

    Returns:
      The next state, and scalars: `reward_loss`, `cost_loss`, `actor_loss`, `log_prob`, `temperature`.
    """
    next_key, actor_key = jax.random.split(key)
    temperature = jnp.exp(state.log_temperature.params)
    state, metrics = update_critics(hyper, problem, networks, state, batch, next_key)
    twins = state.reward_critic.params, state.cost_critic.params

    def actor_loss(params: Params) -> tuple[jax.Array, jax.Array]:
        action, log_prob = networks.policy(params, batch.observation).sample(actor_key)
        entropy = -temperature * log_prob
        loss = off_policy.lagrangian(networks, *twins, batch.observation, action, multiplier, entropy)
        return loss, jnp.mean(log_prob)

    actor, (loss, log_prob) = minimize(state.actor, actor_loss, hyper.actor_learning_rate, has_aux=True)
    log_temperature = state.log_temperature
    if hyper.tune_temperature:
        excess = jax.lax.stop_gradient(log_prob - networks.action_size)  # target entropy −|A|
        log_temperature, _ = minimize(log_temperature, lambda log: -log * excess, TEMPERATURE_LEARNING_RATE)
    next_state = state.replace(actor=actor, log_temperature=log_temperature)
    return next_state, {**metrics, "actor_loss": loss, "log_prob": log_prob, "temperature": temperature}


def train_iteration(
    hyper: SACLag,
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
    hyper: SACLag, problem: Problem, networks: Networks, state: State, experience: Experience, key: jax.Array
) -> MultiplierAlignment:
    """Those of both critics on states of the coming updates (`protocol.Online`)."""
    del hyper, problem
    return off_policy.policy_gradients(networks, state, experience, key)


def policy_change(
    hyper: SACLag, networks: Networks, before: Params, after: Params, observation: jax.Array
) -> jax.Array:
    """In deviations of the exploration noise (`protocol.Online`)."""
    del hyper
    return in_noise(networks, before, after, observation)


def exploring(hyper: SACLag, networks: Networks) -> Networks:
    """As they are: the policy's own noise explores (`protocol.Online`)."""
    del hyper
    return networks
