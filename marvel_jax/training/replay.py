"""What online updates learn from: all that was played so far, mixed with the offline dataset."""

from typing import Any

import flashbax
import jax
import jax.numpy as jnp

from marvel_jax.algorithms.registry import ONLINE, Source
from marvel_jax.config.hyper import Hyper
from marvel_jax.core import trajectories
from marvel_jax.core.problem import Problem
from marvel_jax.core.transitions import Transition, blank, sample
from marvel_jax.training.rollout import Rollout


def init(hyper: Hyper, problem: Problem) -> Any:
    """Empty replay; None for an algorithm that does not keep what was played."""
    if not ONLINE[hyper.online_algorithm].keeps:
        return None
    one_row = blank(problem.observation_size, problem.action_size)
    if _wants_returns(hyper):
        one_row = one_row.replace(return_to_go=jnp.zeros(()))
    return _buffer(hyper, problem).init(_stored(hyper, one_row))


def add(hyper: Hyper, problem: Problem, replay: Any, played: Rollout) -> Any:
    """Replay with the episodes that were played."""
    if replay is None:
        return None
    transitions = played.transitions
    if _wants_returns(hyper):
        transitions = trajectories.with_returns(problem, transitions, played.ended)
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), transitions)
    return _buffer(hyper, problem).add(replay, _stored(hyper, flat))


def source(hyper: Hyper, problem: Problem, dataset: Transition, replay: Any, iteration: jax.Array) -> Source:
    """What an iteration's updates learn from: `key -> [batch_size]` transitions, partly offline and partly online."""
    offline_rows, size = _offline_rows(hyper), _batch_size(hyper)
    if offline_rows > 0 and _wants_returns(hyper):
        dataset = trajectories.dataset_with_returns(problem, dataset)

    def online(rows: int, key: jax.Array) -> Transition:
        return _with_observations_as("float32", _buffer(hyper, problem, rows).sample(replay, key).experience)

    def offline(key: jax.Array) -> Transition:
        """Offline rows, the last of which may have faded: online ones are in their place."""
        old = sample(dataset, offline_rows, key)
        if hyper.online.offline_fading == 0:
            return old  # drawing rows that nobody sees costs 4 % of an iteration
        new = online(offline_rows, jax.random.fold_in(key, 0))
        faded = jnp.arange(offline_rows) >= offline_rows * _left(hyper, iteration)
        return jax.tree.map(lambda o, n: jnp.where(jnp.expand_dims(faded, range(1, o.ndim)), n, o), old, new)

    def batch(key: jax.Array) -> Transition:
        online_key, offline_key = jax.random.split(key)
        parts = []
        if offline_rows < size:
            parts.append(online(size - offline_rows, online_key))
        if offline_rows > 0:
            parts.append(offline(offline_key))
        return jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *parts)

    return batch


def _left(hyper: Hyper, iteration: jax.Array) -> jax.Array:
    """`[]` share of the offline rows that an iteration still has."""
    return 1 - hyper.online.offline_fading * iteration / hyper.online.iterations


def _batch_size(hyper: Hyper) -> int:
    return getattr(hyper, ONLINE[hyper.online_algorithm].part).batch_size


def _buffer(hyper: Hyper, problem: Problem, rows: int = 1):
    """A buffer that holds exactly what the budget can produce."""
    capacity = hyper.online.iterations * hyper.online.episodes * problem.episode_length
    return flashbax.make_item_buffer(capacity, 1, rows, add_sequences=True, add_batches=False)


def _stored(hyper: Hyper, transitions: Transition) -> Transition:
    """Transitions as replay keeps them."""
    return _with_observations_as(hyper.online.replay_observations, transitions)


def _with_observations_as(dtype: str, transitions: Transition) -> Transition:
    return transitions.replace(
        observation=transitions.observation.astype(dtype), next_observation=transitions.next_observation.astype(dtype)
    )


def _offline_rows(hyper: Hyper) -> int:
    return round(_batch_size(hyper) * hyper.method.offline_fraction)


def _wants_returns(hyper: Hyper) -> bool:
    """Whether the updates need to know what came after each transition."""
    return getattr(getattr(hyper, ONLINE[hyper.online_algorithm].part), "conservatism", 0) > 0
