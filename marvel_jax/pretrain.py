"""The offline stage: minibatches of a fixed dataset through an offline algorithm, in one scan."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from marvel_jax.algorithms.registry import OFFLINE
from marvel_jax.errors import UserError
from marvel_jax.hyper import Hyper
from marvel_jax.problem import Problem, offline
from marvel_jax.trajectories import episode_costs
from marvel_jax.transitions import Transition


class State(struct.PyTreeNode):
    """Everything a bit-exact continuation needs; `learner` is the algorithm's own state."""

    learner: Any
    step: jax.Array
    key: jax.Array


def check(hypers: Sequence[Hyper], dataset: Transition) -> None:
    """Refuses what the offline algorithm cannot learn from.

    Raises:
      UserError: Saying what is missing.
    """
    limits = [float(hyper.cost_limit) for hyper in hypers if hyper.algorithm == "bc-safe"]
    if limits:
        cheapest = float(jnp.min(episode_costs(dataset)))
        if min(limits) < cheapest:
            raise UserError(
                f"bc-safe: no episode of the dataset costs {min(limits):g} or less; the cheapest costs {cheapest:g}. "
                "Raise --cost-limit, or use --algorithm bc."
            )


def init(hyper: Hyper, problem: Problem, key: jax.Array) -> State:
    """Random networks."""
    network_key, key = jax.random.split(key)
    algorithm = OFFLINE[hyper.algorithm]
    learner = algorithm.init(getattr(hyper, algorithm.part), offline(problem, hyper), network_key)
    return State(learner, jnp.zeros((), jnp.int32), key)


def advance(
    hyper: Hyper, problem: Problem, dataset: Transition, state: State, steps: int
) -> tuple[State, dict[str, jax.Array]]:
    """`steps` further updates on `dataset` `[N]`; returns the state and each metric's mean over them."""
    algorithm, problem = OFFLINE[hyper.algorithm], offline(problem, hyper)
    own, batch = getattr(hyper, algorithm.part), algorithm.source(problem, dataset, hyper.pretrain.batch_size)

    def update(state: State, _) -> tuple[State, dict[str, jax.Array]]:
        batch_key, update_key = jax.random.split(jax.random.fold_in(state.key, state.step))
        learner, metrics = algorithm.update(own, problem, state.learner, batch(batch_key), update_key)
        return state.replace(learner=learner, step=state.step + 1), metrics

    state, metrics = jax.lax.scan(update, state, None, length=steps)
    return state, jax.tree.map(jnp.mean, metrics)
