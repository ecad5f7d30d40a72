"""What online updates learn from: all that was played so far, mixed with the offline dataset."""

from collections.abc import Callable
from typing import Any

import flashbax
import jax
import jax.numpy as jnp

from marvel_jax.config.hyper import Hyper, online_section
from marvel_jax.config.online import ONLINE
from marvel_jax.core import trajectories
from marvel_jax.core.networks import Networks
from marvel_jax.core.problem import Problem
from marvel_jax.core.rollouts import Rollout
from marvel_jax.core.transitions import Transition, blank, sample


def init(hyper: Hyper, problem: Problem, networks: Networks) -> Any:
    """Empty replay; None for an on-policy algorithm."""
    if ONLINE[hyper.online_algorithm].on_policy:
        return None
    one_row = blank(networks.observation_size, networks.action_size)
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


def batches(
    hyper: Hyper, problem: Problem, dataset: Transition, replay: Any, iteration: jax.Array
) -> Callable[[jax.Array], Transition]:
    """What an iteration's updates learn from: `key -> [batch_size]` transitions, partly offline and partly online.

    Of B·`offline_fraction` offline rows the share max(0, 1 − offline_decay·t/iterations) is left in iteration t;
    online rows take the place of the others.
    """
    offline_rows = _offline_rows(hyper)
    if offline_rows > 0 and _wants_returns(hyper):
        dataset = trajectories.dataset_with_returns(problem, dataset)

    def batch(key: jax.Array) -> Transition:
        online_key, offline_key = jax.random.split(key)
        parts, online_rows = [], _batch_size(hyper) - offline_rows
        if online_rows > 0:
            parts.append(_online(hyper, problem, replay, online_rows, online_key))
        if offline_rows > 0:
            parts.append(_offline(hyper, problem, dataset, replay, iteration, offline_key))
        return jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *parts)

    return batch


def _online(hyper: Hyper, problem: Problem, replay: Any, rows: int, key: jax.Array) -> Transition:
    return _with_observations_as("float32", _buffer(hyper, problem, rows).sample(replay, key).experience)


def _offline(
    hyper: Hyper, problem: Problem, dataset: Transition, replay: Any, iteration: jax.Array, key: jax.Array
) -> Transition:
    """The offline rows of a batch, the last of which online rows have replaced."""
    rows = _offline_rows(hyper)
    old = sample(dataset, rows, key)
    if hyper.replay.offline_decay == 0:
        return old  # drawing rows that nobody sees costs 4 % of an iteration
    new = _online(hyper, problem, replay, rows, jax.random.fold_in(key, 0))
    left = 1 - hyper.replay.offline_decay * iteration / hyper.online.iterations
    replaced = jnp.arange(rows) >= rows * left
    return jax.tree.map(lambda o, n: jnp.where(jnp.expand_dims(replaced, range(1, o.ndim)), n, o), old, new)


def _batch_size(hyper: Hyper) -> int:
    return online_section(hyper).batch_size


def _offline_rows(hyper: Hyper) -> int:
    return round(_batch_size(hyper) * hyper.method.offline_fraction)


def _wants_returns(hyper: Hyper) -> bool:
    """Whether the updates need to know what came after each transition."""
    return getattr(online_section(hyper), "conservatism", 0) > 0


def _buffer(hyper: Hyper, problem: Problem, rows: int = 1) -> Any:
    """A buffer that holds exactly what the budget can produce."""
    capacity = hyper.online.iterations * hyper.online.episodes * problem.episode_length
    return flashbax.make_item_buffer(capacity, 1, rows, add_sequences=True, add_batches=False)


def _stored(hyper: Hyper, transitions: Transition) -> Transition:
    """Transitions as replay keeps them."""
    return _with_observations_as(hyper.replay.observation_dtype, transitions)


def _with_observations_as(dtype: str, transitions: Transition) -> Transition:
    return transitions.replace(
        observation=transitions.observation.astype(dtype), next_observation=transitions.next_observation.astype(dtype)
    )
