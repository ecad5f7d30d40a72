"""The multiplier of an iteration: what the policy gradients say, corrected by a controller.

The controller works in relative units, so that its gains suit any task, limit and reward scale: costs in multiples of
the setpoint, multipliers in multiples of a scale,

    λ = scale·(controller(J_C/setpoint; feed_forward) + offset),
    setpoint = d − min(margin·d, overshoot_factor·overshoot).

With ρ = ‖g_r‖/‖g_c‖ and φ the angle between the policy gradients of reward and cost, multiplier pre-alignment
(λ₀ = ρ·cos φ; see `alignment`) enters as

    off           scale 1, feed_forward 0
    initial       scale 1, feed_forward 0; λ₀ is where the integral starts
    feed-forward  scale 1, feed_forward ρ·cos φ
    scale-free    scale ρ, feed_forward cos φ

ρ and cos φ are computed at every iteration and averaged: log ρ ← μ·log ρ + (1 − μ)·log ρ_t, likewise cos φ.

Overshoot is how far J_C lately rose above its moving average S: o ← max(0.95·o, J_C − S). Costs that vary little may
come close to the limit.

Too large a multiplier costs little reward, too small a one breaks the limit; so λ starts above what the controller asks
for, by the offset, which decays with the headroom h that costs leave under the limit:

    offset ← offset·(1 − min(1, offset_decay·h/iterations)),
    h = clip((d − max(S, J_C) − overshoot_factor·o)/(margin·d), 0, 1).

This project's.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import struct

from marvel_jax.config.hyper import Hyper
from marvel_jax.core.problem import Problem
from marvel_jax.multiplier import controllers
from marvel_jax.multiplier.alignment import MultiplierAlignment

SMALLEST_RATIO = 1e-3  # of ρ, whose logarithm is averaged
ALIGNMENT_MEMORY = 0.9  # μ, per iteration
OVERSHOOT_MEMORY = 0.95  # per iteration


class State(struct.PyTreeNode):
    """Memory of the control loop.

    Attributes:
      controller: In relative units.
      ratio: `[]` moving (geometric) average of ρ.
      cosine: `[]` moving average of cos φ.
      offset: `[]` what is left of the start above the controller's multiplier.
      cost: `[]` moving average of J_C.
      overshoot: `[]` how far J_C lately rose above that.
      iteration: `[]` calls so far.
    """

    controller: controllers.State
    ratio: jax.Array
    cosine: jax.Array
    offset: jax.Array
    cost: jax.Array
    overshoot: jax.Array
    iteration: jax.Array


def init(hyper: Hyper) -> State:
    """The state before the first iteration."""
    # A fixed multiplier is what it is set to.
    offset = jnp.asarray(0.0 if hyper.method.multiplier == "fixed" else hyper.control.offset, jnp.float32)
    one, zero = jnp.ones(()), jnp.zeros(())
    return State(controllers.init(hyper.gains), one, zero, offset, zero, zero, jnp.zeros((), jnp.int32))


def update(
    hyper: Hyper,
    problem: Problem,
    state: State,
    policy_gradients: Callable[[], MultiplierAlignment],
    episode_cost: jax.Array,
) -> tuple[State, jax.Array, dict[str, jax.Array]]:
    """One step of the controller.

    Args:
      hyper: Method, gains and smoothing.
      problem: The cost limit.
      state: From `init` or `update`.
      policy_gradients: Compares the policy gradients of reward and cost, best on states like those of the coming
        updates; called only where the method asks for it.
      episode_cost: `[]` J_C of the latest rollouts.

    Returns:
      The next state, the multiplier λ `[]` for the coming updates, and scalars: `aligned_multiplier` λ₀ (NaN when it
      is not computed) and the gains in force, `proportional_gain`, `integral_gain`, `derivative_gain`.
    """
    method = hyper.method.multiplier_alignment
    first = state.iteration == 0
    gradients = _align(hyper, policy_gradients, first)
    state = _average(hyper, state, gradients, first)

    controller, scale, feed_forward = state.controller, jnp.ones(()), jnp.zeros(())
    if method == "initial":
        started = controllers.start_from(controller, jnp.minimum(gradients.multiplier, hyper.control.ratio_maximum))
        controller = jax.tree.map(lambda new, old: jnp.where(first, new, old), started, controller)
    elif method == "feed-forward":
        feed_forward = state.ratio * state.cosine
    elif method == "scale-free":
        scale, feed_forward = state.ratio, state.cosine

    state = _record_cost(hyper, problem, state, episode_cost, first)
    setpoint, headroom = _setpoint(hyper, problem, state, episode_cost)
    unit = jnp.maximum(setpoint, 1.0)  # a limit of 0 has no multiples
    relative_cost = jnp.minimum(episode_cost, setpoint + hyper.control.largest_excess * unit) / unit
    step = controllers.UPDATES[hyper.method.multiplier]
    controller = step(hyper.gains, controller, relative_cost, setpoint / unit, feed_forward)
    metrics = {
        "aligned_multiplier": gradients.multiplier,
        "proportional_gain": controller.gains[0],
        "integral_gain": controller.gains[1],
        "derivative_gain": controller.gains[2],
    }
    decayed = jnp.minimum(1.0, hyper.control.offset_decay / hyper.online.iterations * headroom)
    offset = state.offset * (1 - decayed)
    next_state = state.replace(controller=controller, offset=offset, iteration=state.iteration + 1)
    return next_state, scale * (controller.value + offset), metrics


def _record_cost(hyper: Hyper, problem: Problem, state: State, episode_cost: jax.Array, first: jax.Array) -> State:
    """J_C's moving average, and how far it lately rose above it: at first, as far as leaves the whole margin."""
    before = jnp.where(first, episode_cost, state.cost)
    unknown = hyper.control.margin * problem.cost_limit / jnp.maximum(hyper.control.overshoot_factor, 1e-6)
    overshoot = jnp.where(first, unknown, OVERSHOOT_MEMORY * state.overshoot)
    cost = hyper.gains.smoothing * before + (1 - hyper.gains.smoothing) * episode_cost
    return state.replace(cost=cost, overshoot=jnp.maximum(overshoot, episode_cost - before))


def _setpoint(hyper: Hyper, problem: Problem, state: State, episode_cost: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The controller's setpoint, and the headroom, from 0 to 1, with which the offset decays."""
    limit, most = problem.cost_limit, hyper.control.margin * problem.cost_limit
    overshoot = hyper.control.overshoot_factor * state.overshoot
    follows = hyper.control.overshoot_factor > 0
    setpoint = limit - jnp.where(follows, jnp.minimum(most, overshoot), most)
    highest = jnp.maximum(state.cost, episode_cost) + overshoot
    under_setpoint = (setpoint - episode_cost) / jnp.maximum(setpoint, 1.0)
    headroom = jnp.where(follows, (limit - highest) / jnp.maximum(most, 1e-6), under_setpoint)
    return setpoint, jnp.clip(headroom, 0.0, 1.0)


def _align(hyper: Hyper, policy_gradients: Callable[[], MultiplierAlignment], first: jax.Array) -> MultiplierAlignment:
    """Pre-alignment by the current critics, where the method asks for it; NaN elsewhere."""

    def skip() -> MultiplierAlignment:
        return MultiplierAlignment(*(jnp.full((), jnp.nan) for _ in range(3)))

    if hyper.method.multiplier_alignment == "off":
        return skip()
    if hyper.method.multiplier_alignment == "initial":
        return jax.lax.cond(first, policy_gradients, skip)
    return policy_gradients()


def _average(hyper: Hyper, state: State, gradients: MultiplierAlignment, first: jax.Array) -> State:
    """Moving averages of ρ and cos φ, where they are used at every iteration."""
    if hyper.method.multiplier_alignment in ("off", "initial"):
        return state
    memory = jnp.where(first, 0.0, ALIGNMENT_MEMORY)
    # Where no action changes the cost, ρ is infinite.
    ratio = jnp.clip(gradients.ratio, SMALLEST_RATIO, hyper.control.ratio_maximum)
    return state.replace(
        ratio=jnp.exp(memory * jnp.log(state.ratio) + (1 - memory) * jnp.log(ratio)),
        cosine=memory * state.cosine + (1 - memory) * gradients.cosine,
    )
