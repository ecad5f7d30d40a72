"""The offline stage: minibatches of a fixed dataset through an offline algorithm, in one scan."""

import jax
import jax.numpy as jnp
from flax import struct

from marvel_jax.algorithms import cpq
from marvel_jax.hyper import Hyper
from marvel_jax.problem import Problem
from marvel_jax.transitions import Transition, sample


class State(struct.PyTreeNode):
    """Everything a bit-exact continuation needs."""

    learner: cpq.State
    step: jax.Array
    key: jax.Array


def init(hyper: Hyper, problem: Problem, key: jax.Array) -> State:
    """Random networks."""
    network_key, key = jax.random.split(key)
    return State(cpq.init(hyper.cpq, problem, network_key), jnp.zeros((), jnp.int32), key)


def advance(
    hyper: Hyper, problem: Problem, dataset: Transition, state: State, steps: int
) -> tuple[State, dict[str, jax.Array]]:
    """`steps` further updates on `dataset` `[N]`; returns the state and each metric's mean over them."""

    def update(state: State, _) -> tuple[State, dict[str, jax.Array]]:
        batch_key, update_key = jax.random.split(jax.random.fold_in(state.key, state.step))
        batch = sample(dataset, hyper.cpq.batch_size, batch_key)
        learner, metrics = cpq.update(hyper.cpq, problem, state.learner, batch, update_key)
        return state.replace(learner=learner, step=state.step + 1), metrics

    state, metrics = jax.lax.scan(update, state, None, length=steps)
    return state, jax.tree.map(jnp.mean, metrics)
