"""The online stage: rollouts, gradient updates and one multiplier step per iteration, all inside one scan."""

from typing import Any

import flashbax
import jax
import jax.numpy as jnp
from flax import struct
from marvel_envs.base import SafetyEnv

from marvel_jax import align, multipliers, rollout
from marvel_jax.algorithms import sac_lag
from marvel_jax.hyper import Hyper, Online, override
from marvel_jax.problem import Problem
from marvel_jax.transitions import Transition, blank, sample

jax.tree_util.register_dataclass(Online)


class State(struct.PyTreeNode):
    """Everything a bit-exact continuation needs.

    Attributes:
      learner: Actor and critics.
      multiplier: The controller.
      feed_forward: `[]` moving average of the pre-aligned multiplier (0 unless it is a feed-forward term).
      replay: All online transitions so far.
      iteration: `[]` iterations done.
      key: For everything random from here on.
    """

    learner: sac_lag.State
    multiplier: multipliers.State
    feed_forward: jax.Array
    replay: Any
    iteration: jax.Array
    key: jax.Array


def _replay(hyper: Hyper, problem: Problem):
    """A buffer that holds exactly what the budget can produce."""
    capacity = hyper.online.iterations * hyper.online.episodes * problem.episode_length
    online_rows = hyper.sac.batch_size - _offline_rows(hyper)
    return flashbax.make_item_buffer(capacity, 1, max(online_rows, 1), add_sequences=True, add_batches=False)


def _offline_rows(hyper: Hyper) -> int:
    return round(hyper.sac.batch_size * hyper.online.offline_fraction)


def init(hyper: Hyper, problem: Problem, learner: sac_lag.State, key: jax.Array) -> State:
    """The state before the first iteration of finetuning `learner`."""
    one_row = blank(problem.observation_size, problem.action_size)
    return State(
        learner=learner,
        multiplier=multipliers.init(hyper.gains),
        feed_forward=jnp.zeros(()),
        replay=_replay(hyper, problem).init(one_row),
        iteration=jnp.zeros((), jnp.int32),
        key=key,
    )


def advance(
    hyper: Hyper, problem: Problem, env: SafetyEnv, dataset: Transition, state: State, iterations: int
) -> tuple[State, dict[str, jax.Array]]:
    """`iterations` further iterations; returns the state and each metric `[iterations]`."""

    def one(state: State, _) -> tuple[State, dict[str, jax.Array]]:
        return iteration(hyper, problem, env, dataset, state)

    return jax.lax.scan(one, state, None, length=iterations)


def iteration(
    hyper: Hyper, problem: Problem, env: SafetyEnv, dataset: Transition, state: State
) -> tuple[State, dict[str, jax.Array]]:
    """Episodes of the current policy, gradient updates, then one step of the multiplier.

    Metrics, all `[]`: `reward` and `cost` per episode of all rollouts, `mean_action_cost` (NaN without such episodes),
    `constraint_cost` (what the controller sees), the `multiplier` in force during the updates, its gains
    `proportional_gain`, `integral_gain`, `derivative_gain`, `aligned_multiplier` (NaN when not computed), and the
    means of the update's own.
    """
    roll_key, align_key, update_key = jax.random.split(jax.random.fold_in(state.key, state.iteration), 3)
    mean_action = jnp.arange(hyper.online.episodes) < hyper.online.mean_action_episodes
    played = rollout.episodes(env, problem, state.learner.actor.params, roll_key, mean_action)
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), played.transitions)
    replay = _replay(hyper, problem).add(state.replay, flat)
    costs = _episode_costs(hyper, played.cost, mean_action)

    multiplier, feed_forward, aligned = _align_multiplier(hyper, problem, state, flat.observation, align_key)
    warmth = jnp.minimum(1.0, (state.iteration + 1) / (hyper.online.actor_warmup + 1))
    warmed = override(hyper, **{"sac.actor_learning_rate": warmth * hyper.sac.actor_learning_rate})
    learner, update_metrics = _updates(warmed, problem, dataset, state.learner, replay, multiplier.value, update_key)
    step = multipliers.UPDATES[hyper.method.multiplier]
    aim = (1 - hyper.gains.margin) * problem.cost_limit
    next_multiplier = step(hyper.gains, multiplier, costs["constraint_cost"], aim, feed_forward)

    metrics = {
        "reward": jnp.mean(played.reward),
        **costs,
        "multiplier": multiplier.value,
        "aligned_multiplier": aligned,
        "proportional_gain": multiplier.gains[0],
        "integral_gain": multiplier.gains[1],
        "derivative_gain": multiplier.gains[2],
        **update_metrics,
    }
    next_state = State(learner, next_multiplier, feed_forward, replay, state.iteration + 1, state.key)
    return next_state, metrics


def _episode_costs(hyper: Hyper, cost: jax.Array, mean_action: jax.Array) -> dict[str, jax.Array]:
    """Costs per episode, of all episodes and of the kind that is worse."""
    everything = jnp.mean(cost)
    if not 0 < hyper.online.mean_action_episodes < hyper.online.episodes:
        return {
            "cost": everything,
            "mean_action_cost": everything if hyper.online.mean_action_episodes else jnp.array(jnp.nan),
            "constraint_cost": everything,
        }
    of_mean, of_sampled = jnp.mean(cost, where=mean_action), jnp.mean(cost, where=~mean_action)
    return {"cost": everything, "mean_action_cost": of_mean, "constraint_cost": jnp.maximum(of_mean, of_sampled)}


def _align_multiplier(hyper: Hyper, problem: Problem, state: State, observation: jax.Array, key: jax.Array):
    """Multiplier pre-alignment on the states of the latest rollouts, as the method wants it.

    Returns the controller to use now, the feed-forward term, and λ₀ if it was computed (NaN if not).
    """
    how = hyper.method.multiplier_alignment
    if how == "off":
        return state.multiplier, state.feed_forward, jnp.array(jnp.nan)
    first = state.iteration == 0

    def compute() -> jax.Array:
        learner = state.learner
        twins = learner.reward_critic.params, learner.cost_critic.params
        aligned = align.align_multiplier(
            problem, learner.actor.params, *twins, observation, key, hyper.sac.cost_aggregation
        )
        return jnp.minimum(aligned.multiplier, hyper.gains.aligned_maximum)

    if how == "initial":
        aligned = jax.lax.cond(first, compute, lambda: jnp.array(jnp.nan))
        started = multipliers.start_from(state.multiplier, aligned)
        multiplier = jax.tree.map(lambda new, old: jnp.where(first, new, old), started, state.multiplier)
        return multiplier, state.feed_forward, aligned
    aligned = compute()
    memory = jnp.where(first, 0.0, hyper.online.feed_forward_smoothing)
    feed_forward = memory * state.feed_forward + (1 - memory) * aligned
    value = jnp.where(first, feed_forward, state.multiplier.value)
    return state.multiplier.replace(value=value), feed_forward, aligned


def _updates(
    hyper: Hyper,
    problem: Problem,
    dataset: Transition,
    learner: sac_lag.State,
    replay: Any,
    multiplier: jax.Array,
    key: jax.Array,
) -> tuple[sac_lag.State, dict[str, jax.Array]]:
    """The iteration's gradient updates; returns the learner and each metric's mean."""
    buffer, offline_rows = _replay(hyper, problem), _offline_rows(hyper)

    def batch(key: jax.Array) -> Transition:
        online_key, offline_key = jax.random.split(key)
        parts = []
        if offline_rows < hyper.sac.batch_size:
            parts.append(buffer.sample(replay, online_key).experience)
        if offline_rows > 0:
            parts.append(sample(dataset, offline_rows, offline_key))
        return jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *parts)

    def update(learner: sac_lag.State, key: jax.Array):
        batch_key, update_key = jax.random.split(key)
        return sac_lag.update(hyper.sac, problem, learner, batch(batch_key), multiplier, update_key)

    learner, metrics = jax.lax.scan(update, learner, jax.random.split(key, hyper.online.updates))
    return learner, jax.tree.map(jnp.mean, metrics)
