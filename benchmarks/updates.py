"""The update loops that benchmarks time: every algorithm at any network and batch size, for any number of seeds."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from marvel_jax.algorithms.offline import cpq
from marvel_jax.algorithms.online import sac_lag
from marvel_jax.config.hyper import CPQ, SACLag, ValueAlignment
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


def learners(
    hidden: tuple[int, ...],
    batch_size: int,
    offline_hyper: CPQ | None = None,
    only: str | None = None,
    **changes: Any,
) -> dict[str, tuple[Callable, Callable, int]]:
    """For each algorithm `(init(key), updates(state, key, steps, data), matmul FLOPs of one update)`.

    `offline_hyper` is CPQ's, by default its own; `only` one algorithm, if given; `changes` are of the problem.
    """
    offline_hyper = offline_hyper or CPQ()
    problem = Problem(
        **{"observation_size": 8, "action_size": 2, "episode_length": 200, "hidden": hidden, "reward_scale": 0.1},
        **changes,
    )
    problem = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), problem)

    def loop(update: Callable) -> Callable:
        def updates(state, key, steps: int, data: Transition):
            def one(state, key):
                batch_key, update_key = jax.random.split(key)
                return update(state, sample(data, batch_size, batch_key), update_key)[0], None

            return jax.lax.scan(one, state, jax.random.split(key, steps))[0]

        return updates

    def sac(state, batch, key):
        return sac_lag.update(SACLag(), problem, state, batch, jnp.float32(0.5), key)

    def offline(state, batch, key):
        return cpq.update(offline_hyper, problem, state, batch, key)

    def aligned(state, batch, key):
        return align.update(ValueAlignment(), problem, state, batch, key)

    def start_alignment(key):
        state = sac_lag.init(SACLag(), problem, key)
        return align.init(state.actor.params, state.reward_critic.params, state.cost_critic.params, key)

    inits = {
        "SAC-Lag": (lambda key: sac_lag.init(SACLag(), problem, key), sac),
        "CPQ": (lambda key: cpq.init(offline_hyper, problem, key), offline),
        "VPA": (start_alignment, aligned),
    }
    blank = jax.tree.map(lambda x: jnp.zeros((batch_size, *x.shape[1:])), load_shipped("BallCircle").transitions)
    made = {}
    for name, (init, update) in inits.items():
        if only in (None, name):
            state = jax.eval_shape(init, jax.random.key(0))
            jaxpr = jax.make_jaxpr(update)(state, blank, jax.random.key(0))
            made[name] = (init, loop(update), matmul_flops(jaxpr.jaxpr))
    return made


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
