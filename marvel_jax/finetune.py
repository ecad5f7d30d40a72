"""The online stage: rollouts, gradient updates and one multiplier step per iteration, all inside one scan."""

from collections.abc import Callable
from typing import Any

import flashbax
import jax
import jax.numpy as jnp
from flax import struct
from marvel_envs.base import SafetyEnv

from marvel_jax import control, rollout
from marvel_jax.algorithms import sac_lag
from marvel_jax.hyper import Hyper, override
from marvel_jax.problem import Problem
from marvel_jax.rollout import Rollout
from marvel_jax.transitions import Transition, blank, sample

CONTROL_BATCHES = 8  # how many batches' states the multiplier is aligned on


class State(struct.PyTreeNode):
    """Everything a bit-exact continuation needs.

    Attributes:
      learner: Actor and critics.
      control: The multiplier's controller.
      replay: All online transitions so far.
      iteration: `[]` iterations done.
      key: For everything random from here on.
    """

    learner: sac_lag.State
    control: control.State
    replay: Any
    iteration: jax.Array
    key: jax.Array


def _replay(hyper: Hyper, problem: Problem):
    """A buffer that holds exactly what the budget can produce."""
    capacity = hyper.online.iterations * hyper.online.episodes * problem.episode_length
    online_rows = hyper.sac.batch_size - _offline_rows(hyper)
    return flashbax.make_item_buffer(capacity, 1, max(online_rows, 1), add_sequences=True, add_batches=False)


def _stored(hyper: Hyper, transitions: Transition) -> Transition:
    """Transitions as replay keeps them."""
    return _with_observations_as(hyper.online.replay_observations, transitions)


def _with_observations_as(dtype: str, transitions: Transition) -> Transition:
    return transitions.replace(
        observation=transitions.observation.astype(dtype), next_observation=transitions.next_observation.astype(dtype)
    )


def _offline_rows(hyper: Hyper) -> int:
    return round(hyper.sac.batch_size * hyper.method.offline_fraction)


def init(hyper: Hyper, problem: Problem, learner: sac_lag.State, key: jax.Array) -> State:
    """The state before the first iteration of finetuning `learner`."""
    one_row = blank(problem.observation_size, problem.action_size)
    return State(
        learner=learner,
        control=control.init(hyper),
        replay=_replay(hyper, problem).init(_stored(hyper, one_row)),
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
    """Episodes of the current policy, one step of the multiplier on their cost, then gradient updates under it.

    Metrics, all `[]`: `reward` and `cost` per episode of all rollouts, `mean_action_cost` (NaN without such episodes),
    `constraint_cost` (what the controller sees), the `multiplier` in force during the updates, those of
    `control.update`, and the means of the update's own.
    """
    mean_action = mean_action_episodes(hyper)
    played = rollout.episodes(env, problem, state.learner.actor.params, iteration_keys(state)[0], mean_action)
    return learn(hyper, problem, dataset, state, played)


def iteration_keys(state: State) -> jax.Array:
    """`[3]` keys of the state's iteration: for rollouts, multiplier and updates."""
    return jax.random.split(jax.random.fold_in(state.key, state.iteration), 3)


def mean_action_episodes(hyper: Hyper) -> jax.Array:
    """`[episodes]` booleans: which of an iteration's episodes act with the mean."""
    return jnp.arange(hyper.online.episodes) < hyper.online.mean_action_episodes


def learn(
    hyper: Hyper, problem: Problem, dataset: Transition, state: State, played: Rollout
) -> tuple[State, dict[str, jax.Array]]:
    """What `iteration` does with the episodes that were played, here or in a real simulator."""
    _, control_key, update_key = iteration_keys(state)
    mean_action = mean_action_episodes(hyper)
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), played.transitions)
    replay = _replay(hyper, problem).add(state.replay, _stored(hyper, flat))
    costs = _episode_costs(hyper, played.cost, mean_action)

    batch = _batch_source(hyper, problem, dataset, replay)
    observation_key, align_key = jax.random.split(control_key)
    # The gradients are compared where the updates will take them, not only where the policy is now.
    observations = jax.vmap(batch)(jax.random.split(observation_key, CONTROL_BATCHES)).observation
    controlled, multiplier, control_metrics = control.update(
        hyper, problem, state.control, state.learner, observations, costs["constraint_cost"], align_key
    )
    warmth = jnp.minimum(1.0, (state.iteration + 1) / (hyper.online.actor_warmup + 1))
    warmed = override(hyper, **{"sac.actor_learning_rate": warmth * hyper.sac.actor_learning_rate})
    learner, update_metrics = _updates(warmed, problem, batch, state.learner, multiplier, update_key)
    metrics = {
        "reward": jnp.mean(played.reward),
        **costs,
        "multiplier": multiplier,
        **control_metrics,
        **update_metrics,
    }
    next_state = State(learner, controlled, replay, state.iteration + 1, state.key)
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


def _batch_source(
    hyper: Hyper, problem: Problem, dataset: Transition, replay: Any
) -> Callable[[jax.Array], Transition]:
    """What updates learn from: `key -> [batch_size]` transitions, partly online and partly offline."""
    buffer, offline_rows = _replay(hyper, problem), _offline_rows(hyper)

    def batch(key: jax.Array) -> Transition:
        online_key, offline_key = jax.random.split(key)
        parts = []
        if offline_rows < hyper.sac.batch_size:
            parts.append(_with_observations_as("float32", buffer.sample(replay, online_key).experience))
        if offline_rows > 0:
            parts.append(sample(dataset, offline_rows, offline_key))
        return jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *parts)

    return batch


def _updates(
    hyper: Hyper,
    problem: Problem,
    batch: Callable[[jax.Array], Transition],
    learner: sac_lag.State,
    multiplier: jax.Array,
    key: jax.Array,
) -> tuple[sac_lag.State, dict[str, jax.Array]]:
    """The iteration's gradient updates; returns the learner and each metric's mean."""

    def update(learner: sac_lag.State, key: jax.Array):
        batch_key, update_key = jax.random.split(key)
        return sac_lag.update(hyper.sac, problem, learner, batch(batch_key), multiplier, update_key)

    learner, metrics = jax.lax.scan(update, learner, jax.random.split(key, hyper.online.updates))
    return learner, jax.tree.map(jnp.mean, metrics)
