"""Lagrange multipliers: fixed, dual ascent, PID and adaptive PID, one call per iteration of rollouts.

All share one `State`, so a program can switch between them; `UPDATES` has them by name.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import struct

import marvel_jax.core.pytrees  # noqa: F401
from marvel_jax.config.multiplier import Gains


class State(struct.PyTreeNode):
    """A controller's memory.

    Attributes:
      value: `[]` the multiplier λ ≥ 0.
      proportional: `[]` moving average of the error, P.
      integral: `[]` I.
      cost: `[]` moving average of the episode cost, S.
      history: `[window]` the last values of S, oldest first; the first `window − count` are not filled yet.
      count: `[]` calls so far.
      gains: `[3]` K_p, K_i, K_d as they are now.
    """

    value: jax.Array
    proportional: jax.Array
    integral: jax.Array
    cost: jax.Array
    history: jax.Array
    count: jax.Array
    gains: jax.Array


def _initial_gains(gains: Gains) -> jax.Array:
    return jnp.stack([jnp.asarray(g, jnp.float32) for g in (gains.proportional, gains.integral, gains.derivative)])


def init(gains: Gains) -> State:
    """The state before the first iteration: λ = I = `gains.initial`."""
    zero = jnp.zeros(())
    return start_from(
        State(zero, zero, zero, zero, jnp.zeros(gains.window), jnp.zeros((), jnp.int32), _initial_gains(gains)),
        gains.initial,
    )


def start_from(state: State, multiplier: jax.Array | float) -> State:
    """Sets λ, and the integral that sustains it."""
    value = jnp.asarray(multiplier, jnp.float32)
    return state.replace(value=value, integral=value)


def fixed(gains: Gains, state: State, episode_cost, cost_limit, feed_forward=0.0) -> State:
    """λ stays as it is. Arguments as for `pid`."""
    del gains, episode_cost, cost_limit, feed_forward
    return state


def _integrate(state: State, step, feed_forward) -> jax.Array:
    """The integral after `step`; it can cancel a feed-forward term, and is otherwise not negative."""
    return jnp.maximum(-jnp.maximum(feed_forward, 0.0), state.integral + step)


def dual_ascent(gains: Gains, state: State, episode_cost, cost_limit, feed_forward=0.0) -> State:
    """λ ← max(0, λ + K_i·(J_C − d)). Arguments as for `pid`."""
    integral = _integrate(state, gains.integral * (episode_cost - cost_limit), feed_forward)
    return state.replace(integral=integral, value=jnp.clip(integral + feed_forward, 0.0, gains.maximum))


def pid(gains: Gains, state: State, episode_cost, cost_limit, feed_forward=0.0) -> State:
    """One PID step after an iteration of rollouts.

    With the error e = J_C − d, its moving average P ← ρ·P + (1 − ρ)·e, the sum I ← I + K_i·e and the moving average of
    costs S ← ρ·S + (1 − ρ)·J_C, ρ = `gains.smoothing` and k = `gains.window`:

        λ = K_p·P + I + K_d·max(0, S_t − S_{t−k}) + feed_forward,   clipped to [0, `gains.maximum`].

    Args:
      gains: Smoothing, window and bound; the three gains themselves come from `state.gains`.
      state: From `init` or an update.
      episode_cost: `[]` J_C, mean undiscounted cost per episode of the latest rollouts.
      cost_limit: `[]` d, in the same unit.
      feed_forward: `[]` multiplier expected to be right; the controller corrects it, and its integral may go down
        to minus this.

    Returns:
      The next state; `state.value` is λ in [0, `gains.maximum`].

    Source: Stooke, Achiam, Abbeel, ICML 2020, algorithm 2.
    """
    proportional_gain, integral_gain, derivative_gain = state.gains
    error = episode_cost - cost_limit
    first = state.count == 0
    integral = _integrate(state, integral_gain * error, feed_forward)
    proportional = gains.smoothing * state.proportional + (1 - gains.smoothing) * error
    # The average starts at the first cost: from zero, its rise would look like a derivative.
    cost = jnp.where(first, episode_cost, gains.smoothing * state.cost + (1 - gains.smoothing) * episode_cost)
    before = jnp.where(first, cost, state.history[jnp.maximum(gains.window - state.count, 0) % gains.window])
    derivative = jnp.maximum(0.0, cost - before)
    value = proportional_gain * proportional + integral + derivative_gain * derivative + feed_forward
    return state.replace(
        value=jnp.clip(value, 0.0, gains.maximum),
        proportional=proportional,
        integral=integral,
        cost=cost,
        history=jnp.append(state.history[1:], cost),
        count=state.count + 1,
    )


def adaptive_pid(gains: Gains, state: State, episode_cost, cost_limit, feed_forward=0.0) -> State:
    """A PID step, then the gains move with the recent costs. Arguments as for `pid`.

    With c̄ and σ the mean and standard deviation of the last k values of S, rel = (c̄ − d)/(c̄ + 0.1) and
    η = `gains.adaptation`:

        K_p ← K_p·(1 + η·rel),   K_i ← K_i·(1 + η·rel),   K_d ← K_d·(1 + η·σ/(c̄ + 0.1)),

    each clipped to [1/r, r] times its start, r = `gains.adaptation_range`.

    Source: Marvel, arXiv 2412.04426.
    """
    state = pid(gains, state, episode_cost, cost_limit, feed_forward)
    filled = jnp.arange(gains.window) >= gains.window - state.count
    mean = jnp.mean(state.history, where=filled)
    deviation = jnp.std(state.history, where=filled)
    relative = (mean - cost_limit) / (mean + 0.1)
    drive = jnp.stack([relative, relative, deviation / (mean + 0.1)])
    start = _initial_gains(gains)
    adapted = jnp.clip(
        state.gains * (1 + gains.adaptation * drive), start / gains.adaptation_range, start * gains.adaptation_range
    )
    return state.replace(gains=adapted)


UPDATES: dict[str, Callable[..., State]] = {
    "fixed": fixed,
    "dual-ascent": dual_ascent,
    "pid": pid,
    "adaptive-pid": adaptive_pid,
}
