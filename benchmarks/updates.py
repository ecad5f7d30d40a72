"""The update loops that benchmarks time: every algorithm at any network and batch size, for any number of seeds."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from marvel_jax.algorithms.offline import cpq
from marvel_jax.algorithms.online import sac_lag
from marvel_jax.config.offline import CPQ
from marvel_jax.config.online import SACLag
from marvel_jax.config.training import ValueAlignment
from marvel_jax.core.networks import Networks
from marvel_jax.core.problem import Problem
from marvel_jax.core.seeds import map_seeds
from marvel_jax.core.transitions import Transition, sample
from marvel_jax.datasets.hdf5 import load_shipped
from marvel_jax.training import align


def matmul_flops(jaxpr: Any) -> int:
    """Floating-point operations of all matrix products in a jaxpr (a scan's body counted `length` times)."""
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contract, _), _ = equation.params["dimension_numbers"]
            depth = int(np.prod([equation.invars[0].aval.shape[i] for i in contract]))
            total += 2 * depth * int(np.prod(equation.outvars[0].aval.shape))
        repeats = equation.params.get("length", 1) if equation.primitive.name == "scan" else 1
        for inner in jax.tree.leaves(equation.params, is_leaf=lambda x: hasattr(x, "eqns") or hasattr(x, "jaxpr")):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                total += repeats * matmul_flops(inner)
    return total


Loop = tuple[Callable, Callable]  # init(key) -> state, update(state, batch, key) -> (state, metrics)


def learners(
    hidden: tuple[int, ...],
    batch_size: int,
    offline_hyper: CPQ | None = None,
    only: str | None = None,
    **changes: Any,
) -> dict[str, tuple[Callable, Callable, int]]:
    """For each algorithm `(init(key), updates(state, key, steps, data), matmul FLOPs of one update)`.

    `offline_hyper` is CPQ's, by default its own; `only` one algorithm, if given; `changes` are of the networks.
    """
    problem = _float32(Problem(episode_length=200, reward_scale=0.1))
    networks = _float32(Networks(observation_size=8, action_size=2, hidden=hidden, **changes))
    pairs = {
        "SAC-Lag": _sac(problem, networks),
        "CPQ": _cpq(offline_hyper or CPQ(), problem, networks),
        "VPA": _alignment(problem, networks),
    }
    blank = jax.tree.map(lambda x: jnp.zeros((batch_size, *x.shape[1:])), load_shipped("BallCircle").transitions)
    made = {}
    for name, (init, update) in pairs.items():
        if only in (None, name):
            state = jax.eval_shape(init, jax.random.key(0))
            jaxpr = jax.make_jaxpr(update)(state, blank, jax.random.key(0))
            made[name] = (init, _repeated(update, batch_size), matmul_flops(jaxpr.jaxpr))
    return made


def _float32(tree: Any) -> Any:
    """The same with arrays for numbers, as a program with traced hyperparameters has them."""
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), tree)


def _sac(problem: Problem, networks: Networks) -> Loop:
    def update(state, batch, key):
        return sac_lag.update(SACLag(), problem, networks, state, batch, jnp.float32(0.5), key)

    return (lambda key: sac_lag.init(SACLag(), problem, networks, key)), update


def _cpq(hyper: CPQ, problem: Problem, networks: Networks) -> Loop:
    def update(state, batch, key):
        return cpq.update(hyper, problem, networks, state, batch, key)

    return (lambda key: cpq.init(hyper, problem, networks, key)), update


def _alignment(problem: Problem, networks: Networks) -> Loop:
    def init(key):
        state = sac_lag.init(SACLag(), problem, networks, key)
        return align.init(state.actor.params, state.reward_critic.params, state.cost_critic.params, key)

    def update(state, batch, key):
        return align.update(ValueAlignment(), problem, networks, state, batch, key)

    return init, update


def _repeated(update: Callable, batch_size: int) -> Callable:
    """`steps` updates in a scan, on batches of `data`."""

    def updates(state, key, steps: int, data: Transition):
        def one(state, key):
            batch_key, update_key = jax.random.split(key)
            return update(state, sample(data, batch_size, batch_key), update_key)[0], None

        return jax.lax.scan(one, state, jax.random.split(key, steps))[0]

    return updates


def of_seeds(
    init: Callable, updates: Callable, seeds: int, steps: int, data: Transition, block: int | None = None
) -> tuple[Callable[[], Any], int]:
    """A compiled call that takes `seeds` fresh learners `steps` updates further, and its number of updates.

    Args:
      init, updates: From `learners`.
      seeds: Of the batch.
      steps: Of each.
      data: `[N]` transitions.
      block: As in `map_seeds`.
    """
    states = jax.jit(jax.vmap(init))(jax.random.split(jax.random.key(0), seeds))
    mapped = jax.jit(map_seeds(lambda data, state: updates(state, jax.random.key(1), steps, data), block))
    return (lambda: mapped(data, states)), seeds * steps
