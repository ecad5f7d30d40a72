"""What SAC-Lag and TD3-Lag share: the step of the critics, the policy's Lagrangian, and an iteration of updates."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from marvel_jax.algorithms.protocol import Experience, Metrics
from marvel_jax.config.online import OffPolicy
from marvel_jax.core.networks import Networks, Twins, aggregate
from marvel_jax.core.parameters import CriticTrainState, conservative, minimize, regression
from marvel_jax.core.problem import Problem
from marvel_jax.core.transitions import Transition
from marvel_jax.multiplier.alignment import MultiplierAlignment, align_multiplier

ALIGNMENT_BATCHES = 8  # how many batches' states the multiplier is aligned on


def with_noise(hyper: OffPolicy, action: jax.Array, key: jax.Array) -> jax.Array:
    """Target actions with clipped noise, in [−1, 1] (Fujimoto et al., ICML 2018); as they are without any."""
    if hyper.target_noise == 0:
        return action
    noise = hyper.target_noise * jax.random.normal(key, action.shape)
    return jnp.clip(action + jnp.clip(noise, -hyper.target_noise_clip, hyper.target_noise_clip), -1.0, 1.0)


def fit_critics(
    hyper: OffPolicy,
    problem: Problem,
    networks: Networks,
    reward_critic: CriticTrainState,
    cost_critic: CriticTrainState,
    batch: Transition,
    next_action: jax.Array,
    bonus: jax.Array | float = 0.0,
    own_action: jax.Array | None = None,
    conservatism: float = 0.0,
) -> tuple[CriticTrainState, CriticTrainState, dict[str, jax.Array]]:
    """One step of both critics; targets stay.

    y = r + γ·(min Q̄(s', a') + bonus), y_c = c + γ·max Q̄_c(s', a').

    Args:
      hyper: Step sizes and switches.
      problem: γ and reward scale.
      networks: What the parameters are of.
      reward_critic, cost_critic: Twins of scaled reward and of cost.
      batch: `[B]` transitions; with `return_to_go` if the critics are conservative.
      next_action: `[B, action_size]` a'.
      bonus: `[B]` what the next state is worth besides.
      own_action: `[B, action_size]` the policy's actions at s, for conservative critics.
      conservatism: Weight of the conservative term (`parameters.conservative`) of the reward critics; 0 is none.

    Returns:
      Both critics, and scalars `reward_loss`, `cost_loss`.
    """
    reward_next, cost_next = (
        networks.twin_values(critic.target, batch.next_observation, next_action)
        for critic in (reward_critic, cost_critic)
    )
    bootstrap = problem.discount * batch.discount
    reward_target = problem.reward_scale * batch.reward + bootstrap * (aggregate(reward_next, "min") + bonus)
    cost_target = batch.cost + bootstrap * aggregate(cost_next, "max")
    reward_loss_of = regression(networks, batch, reward_target)
    if conservatism > 0:
        assert own_action is not None
        reward_loss_of = conservative(networks, batch, own_action, reward_loss_of, conservatism)
    reward_critic, reward_loss = minimize(reward_critic, reward_loss_of, hyper.critic_learning_rate)
    cost_critic, cost_loss = minimize(cost_critic, regression(networks, batch, cost_target), hyper.critic_learning_rate)
    return reward_critic, cost_critic, {"reward_loss": reward_loss, "cost_loss": cost_loss}


def lagrangian(
    networks: Networks,
    reward_twins: Twins,
    cost_twins: Twins,
    observation: jax.Array,
    action: jax.Array,
    multiplier: jax.Array,
    bonus: jax.Array | float = 0.0,
) -> jax.Array:
    """`[]` what the policy minimises: E[λ·max Q_c − min Q − bonus]/(1 + λ); a large λ does not enlarge its step.

    The minimum is over however many critics `reward_twins` has.

    Source: Stooke et al., ICML 2020.
    """
    reward_value = aggregate(networks.twin_values(reward_twins, observation, action), "min")
    cost_value = aggregate(networks.twin_values(cost_twins, observation, action), "max")
    return jnp.mean(multiplier * cost_value - reward_value - bonus) / (1 + multiplier)


def train_iteration(
    step: Callable[[Any, Transition, jax.Array], tuple[Any, Metrics]],
    critics_step: Callable[[Any, Transition, jax.Array], tuple[Any, Metrics]],
    critic_updates: int,
    state: Any,
    experience: Experience,
    key: jax.Array,
    updates: int,
) -> tuple[Any, Metrics]:
    """`updates` steps of an algorithm, each after `critic_updates − 1` steps of its critics alone.

    Args:
      step, critics_step: `(state, batch, key) -> (state, metrics)`; every call gets a batch of its own.
      critic_updates: Updates of the critics per update of the policy.
      state: The algorithm's.
      experience: What batches are drawn from.
      key: For batches and updates.
      updates: Of the policy.

    Returns:
      The next state, and the metrics of every `step`, `[updates]` each.
    """

    def on_batch(step: Callable, state: Any, key: jax.Array) -> tuple[Any, Metrics]:
        batch_key, update_key = jax.random.split(key)
        return step(state, experience.batch(batch_key), update_key)

    def critics_alone(state: Any, key: jax.Array) -> tuple[Any, None]:
        return on_batch(critics_step, state, key)[0], None

    def update(state: Any, key: jax.Array) -> tuple[Any, Metrics]:
        if critic_updates > 1:
            keys = jax.random.split(jax.random.fold_in(key, 0), critic_updates - 1)
            state, _ = jax.lax.scan(critics_alone, state, keys)
        return on_batch(step, state, key)

    return jax.lax.scan(update, state, jax.random.split(key, updates))


def policy_gradients(networks: Networks, state: Any, experience: Experience, key: jax.Array) -> MultiplierAlignment:
    """Multiplier pre-alignment on the states of `ALIGNMENT_BATCHES` batches: where the updates will take gradients."""
    observation_key, align_key = jax.random.split(key)
    batches = jax.vmap(experience.batch)(jax.random.split(observation_key, ALIGNMENT_BATCHES))
    twins = state.reward_critic.params, state.cost_critic.params
    return align_multiplier(networks, state.actor.params, *twins, batches.observation, align_key)
