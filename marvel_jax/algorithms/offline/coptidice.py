"""COptiDICE: the data's state-action distribution, reweighted to the best one under a cost limit, and cloned.

All expectations are over normalized discounted distributions, so an episode's limit d becomes (1 − γ)·d_γ. There are no
Q-functions: ν and χ are values of states.

Source: Lee et al., ICLR 2022.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import struct

from marvel_jax.algorithms.offline.batches import rows_where
from marvel_jax.config.offline import COptiDICE
from marvel_jax.core import trajectories
from marvel_jax.core.networks import Networks, Params
from marvel_jax.core.parameters import TrainState, minimize, train_state
from marvel_jax.core.problem import Problem
from marvel_jax.core.transitions import Transition, at, sample


class Batch(struct.PyTreeNode):
    """`[B]` transitions, and as many observations `[B, observation_size]` with which episodes start."""

    transitions: Transition
    first_observation: jax.Array


class State(struct.PyTreeNode):
    """All that COptiDICE learns.

    Attributes:
      actor: The policy.
      value: ν, dual variable of the reward's flow constraints.
      bound_value: χ, that of the cost bound's.
      multiplier, temperature: Numbers whose softplus are the cost multiplier λ and the bound's temperature τ.
    """

    actor: TrainState
    value: TrainState
    bound_value: TrainState
    multiplier: TrainState
    temperature: TrainState


def init(hyper: COptiDICE, problem: Problem, networks: Networks, key: jax.Array) -> State:
    """Random networks; λ and τ near 0.7."""
    del hyper, problem
    actor, value, bound = jax.random.split(key, 3)
    return State(
        actor=train_state(networks.init_actor(actor)),
        value=train_state(networks.init_value(value)),
        bound_value=train_state(networks.init_value(bound)),
        multiplier=train_state(jnp.zeros(())),
        temperature=train_state(jnp.zeros(())),
    )


def batches(problem: Problem, dataset: Transition, size: int) -> Callable[[jax.Array], Batch]:
    """`key -> Batch` of `size` transitions of `dataset` `[N]`, and as many observations with which episodes start."""
    del problem
    rows = rows_where(trajectories.starts(dataset), size)

    def batch(key: jax.Array) -> Batch:
        steps_key, first_key = jax.random.split(key)
        return Batch(sample(dataset, size, steps_key), at(dataset, rows(first_key)).observation)

    return batch


def divergence(ratio: jax.Array) -> jax.Array:
    """f(w) of the soft χ² divergence: w·(log w − 1) + 1 below 1 and ½(w − 1)² above."""
    below = jnp.minimum(ratio, 1.0)
    low = below * (jnp.log(jnp.maximum(below, 1e-20)) - 1) + 1
    return jnp.where(ratio < 1, low, 0.5 * (ratio - 1) ** 2)


def best_ratio(advantage: jax.Array) -> jax.Array:
    """(f')⁻¹: the ratio w that maximises w·x − f(w), exp(x) below 0 and x + 1 above."""
    return jnp.where(advantage < 0, jnp.exp(jnp.minimum(advantage, 0.0)), advantage + 1)


def _advantage(problem: Problem, networks: Networks, params: Params, signal: jax.Array, steps: Transition) -> jax.Array:
    """signal + γ·V(s') − V(s), `[B]`."""
    following = problem.discount * steps.discount * networks.state_value(params, steps.next_observation)
    return signal + following - networks.state_value(params, steps.observation)


def update(
    hyper: COptiDICE, problem: Problem, networks: Networks, state: State, batch: Batch, key: jax.Array
) -> tuple[State, dict[str, jax.Array]]:
    """One gradient step of ν, the cost bound, λ and the policy.

    With the advantage e_ν = r − λ·c + γ·ν(s') − ν(s), the ratio w = (f')⁻¹(e_ν/α) and the flow
    x_χ = (1 − γ)·χ(s₀) + w·(c + γ·χ(s') − χ(s)):

        ν:    minimise (1 − γ)·E[ν(s₀)] + E[w·e_ν − α·f(w)],
        χ, τ: minimise τ·(log E[exp(x_χ/τ)] + ε), the largest cost within a KL radius ε of the data,
        λ:    minimise λ·((1 − γ)·d_γ − Ĉ) with Ĉ = E[q·w·c], q ∝ exp(x_χ/τ) normalized over the batch,
        π:    minimise −E[w·log π(a|s)].

    Args:
      hyper, problem, networks, state: As in `cpq.update`.
      batch: Transitions and first observations.
      key: Not used; nothing is sampled.

    Returns:
      The next state, and scalars: `value_loss`, `actor_loss`, `weighted_reward`, `weighted_cost` (both per step, under
      the reweighted distribution), `cost_estimate` (the same at its worst), `multiplier`.
    """
    del key
    steps, first = batch.transitions, batch.first_observation
    gap = 1 - problem.discount
    multiplier = jax.nn.softplus(state.multiplier.params)
    signal = problem.reward_scale * steps.reward - multiplier * steps.cost

    def value_loss(params: Params) -> jax.Array:
        advantage = _advantage(problem, networks, params, signal, steps)
        ratio = jax.lax.stop_gradient(best_ratio(advantage / hyper.divergence_weight))
        regret = ratio * advantage - hyper.divergence_weight * divergence(ratio)
        return gap * jnp.mean(networks.state_value(params, first)) + jnp.mean(regret)

    value, loss = minimize(state.value, value_loss, hyper.value_learning_rate)
    ratio = best_ratio(_advantage(problem, networks, state.value.params, signal, steps) / hyper.divergence_weight)
    ratio = jax.lax.stop_gradient(ratio)

    def flow(params: Params) -> jax.Array:
        """What is averaged with exponential weights: (1 − γ)·χ(s₀) + w·(c + γ·χ(s') − χ(s))."""
        return gap * networks.state_value(params, first) + ratio * _advantage(
            problem, networks, params, steps.cost, steps
        )

    def bound(params: Params, raw_temperature: jax.Array) -> jax.Array:
        temperature = jax.nn.softplus(raw_temperature)
        # log-mean-exp
        worst = jax.nn.logsumexp(flow(params) / temperature) - jnp.log(ratio.size)
        return temperature * (worst + hyper.cost_bound)

    bound_value, _ = minimize(
        state.bound_value, lambda params: bound(params, state.temperature.params), hyper.value_learning_rate
    )
    temperature, _ = minimize(
        state.temperature, lambda raw: bound(state.bound_value.params, raw), hyper.multiplier_learning_rate
    )
    weights = jax.nn.softmax(flow(state.bound_value.params) / jax.nn.softplus(state.temperature.params))
    cost_estimate = jnp.sum(weights * ratio * steps.cost)
    slack = gap * problem.discounted_cost_limit - cost_estimate
    learned, _ = minimize(state.multiplier, lambda raw: jax.nn.softplus(raw) * slack, hyper.multiplier_learning_rate)
    actor, actor_loss = minimize(
        state.actor,
        lambda params: -jnp.mean(ratio * networks.policy(params, steps.observation).log_prob(steps.action)),
        hyper.actor_learning_rate,
    )
    return State(actor, value, bound_value, learned, temperature), {
        "value_loss": loss,
        "actor_loss": actor_loss,
        "weighted_reward": jnp.mean(ratio * steps.reward),
        "weighted_cost": jnp.mean(ratio * steps.cost),
        "cost_estimate": cost_estimate,
        "multiplier": multiplier,
    }
