"""The multiplier of an iteration: what the critics' gradients say, corrected by a controller.

The controller works in relative units, so that its gains suit any task, limit and reward scale: costs in multiples of
the cost it aims at, multipliers in multiples of a scale,

    λ = scale · (controller(J_C / aim; feed_forward) + caution),   aim = (1 − margin)·d.

With ρ = ‖g_r‖/‖g_c‖ and φ the angle between the policy gradients of reward and cost, multiplier pre-alignment (MPA,
λ₀ = ρ·cos φ; see `align`) enters as

    off           scale 1, feed_forward 0
    initial       scale 1, feed_forward 0; λ₀ is where the integral starts
    feed-forward  scale 1, feed_forward ρ·cos φ
    scale-free    scale ρ, feed_forward cos φ

ρ and cos φ are computed at every iteration and smoothed. Too large a multiplier costs little reward, too small a one
breaks the limit; so λ starts above what the controller asks for, by `gains.caution`, of which an iteration under the
aim takes back the share release/iterations·(1 − J_C / aim): over the budget, as steps settle. Scale-free control and
caution are this project's; see docs/parts.md.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import struct

from marvel_jax import align, multipliers
from marvel_jax.hyper import Hyper
from marvel_jax.problem import Problem

SMALLEST_RATIO = 1e-3  # of ρ, whose logarithm is averaged
SPREAD_MEMORY = 0.9  # of J_C's mean and variance: about ten iterations


class State(struct.PyTreeNode):
    """Memory of the control loop.

    Attributes:
      controller: In relative units.
      ratio: `[]` moving (geometric) average of ρ.
      cosine: `[]` moving average of cos φ.
      caution: `[]` what is left of the start above the controller's multiplier.
      cost: `[]` moving average of J_C.
      variance: `[]` moving average of J_C's squared distance from `cost`.
      iteration: `[]` calls so far.
    """

    controller: multipliers.State
    ratio: jax.Array
    cosine: jax.Array
    caution: jax.Array
    cost: jax.Array
    variance: jax.Array
    iteration: jax.Array


def init(hyper: Hyper) -> State:
    """The state before the first iteration."""
    # A fixed multiplier is what it is set to.
    caution = jnp.asarray(0.0 if hyper.method.multiplier == "fixed" else hyper.gains.caution, jnp.float32)
    one, zero = jnp.ones(()), jnp.zeros(())
    return State(multipliers.init(hyper.gains), one, zero, caution, zero, zero, jnp.zeros((), jnp.int32))


def update(
    hyper: Hyper,
    problem: Problem,
    state: State,
    pull: Callable[[], align.MultiplierAlignment],
    episode_cost: jax.Array,
) -> tuple[State, jax.Array, dict[str, jax.Array]]:
    """One step of the controller.

    Args:
      hyper: Method, gains and smoothing.
      problem: The cost limit.
      state: From `init` or `update`.
      pull: Computes how the gradients of reward and cost pull at the policy, best on states like those of the coming
        updates; called only where the method asks for it.
      episode_cost: `[]` J_C of the latest rollouts.

    Returns:
      The next state, the multiplier λ `[]` for the coming updates, and scalars: `aligned_multiplier` λ₀ (NaN when it
      is not computed) and the gains in force, `proportional_gain`, `integral_gain`, `derivative_gain`.
    """
    method = hyper.method.multiplier_alignment
    first = state.iteration == 0
    gradients = _gradients(hyper, pull, first)
    state = _remember(hyper, state, gradients, first)

    controller, scale, feed_forward = state.controller, jnp.ones(()), jnp.zeros(())
    if method == "initial":
        started = multipliers.start_from(controller, jnp.minimum(gradients.multiplier, hyper.gains.scale_maximum))
        controller = jax.tree.map(lambda new, old: jnp.where(first, new, old), started, controller)
    elif method == "feed-forward":
        feed_forward = state.ratio * state.cosine
    elif method == "scale-free":
        scale, feed_forward = state.ratio, state.cosine

    state = _watch(hyper, problem, state, episode_cost, first)
    aim = _aim(hyper, problem, state)
    unit = jnp.maximum(aim, 1.0)  # a limit of 0 has no multiples
    relative_cost = jnp.minimum(episode_cost, aim + hyper.gains.largest_excess * unit) / unit
    step = multipliers.UPDATES[hyper.method.multiplier]
    controller = step(hyper.gains, controller, relative_cost, aim / unit, feed_forward)
    metrics = {
        "aligned_multiplier": gradients.multiplier,
        "proportional_gain": controller.gains[0],
        "integral_gain": controller.gains[1],
        "derivative_gain": controller.gains[2],
    }
    slack = jnp.clip((aim - episode_cost) / unit, 0.0, 1.0)
    released = jnp.minimum(1.0, hyper.gains.release / hyper.online.iterations * slack)
    caution = state.caution * (1 - released)
    next_state = state.replace(controller=controller, caution=caution, iteration=state.iteration + 1)
    return next_state, scale * (controller.value + caution), metrics


def _watch(hyper: Hyper, problem: Problem, state: State, episode_cost: jax.Array, first: jax.Array) -> State:
    """Moving averages of J_C and of its spread. The spread starts where the margin is at its largest."""
    started = (hyper.gains.margin * problem.cost_limit / jnp.maximum(hyper.gains.deviations, 1e-6)) ** 2
    distance = jnp.where(first, 0.0, episode_cost - state.cost)
    variance = jnp.where(first, started, SPREAD_MEMORY * state.variance + (1 - SPREAD_MEMORY) * distance**2)
    return state.replace(
        cost=jnp.where(first, episode_cost, state.cost + (1 - SPREAD_MEMORY) * distance), variance=variance
    )


def _aim(hyper: Hyper, problem: Problem, state: State) -> jax.Array:
    """The cost that the controller aims at."""
    margin = hyper.gains.margin * problem.cost_limit
    spread = hyper.gains.deviations * jnp.sqrt(state.variance)
    return problem.cost_limit - jnp.where(hyper.gains.deviations > 0, jnp.minimum(spread, margin), margin)


def _gradients(
    hyper: Hyper, pull: Callable[[], align.MultiplierAlignment], first: jax.Array
) -> align.MultiplierAlignment:
    """Pre-alignment by the current critics, where the method asks for it; NaN elsewhere."""

    def skip() -> align.MultiplierAlignment:
        return align.MultiplierAlignment(*(jnp.full((), jnp.nan) for _ in range(3)))

    if hyper.method.multiplier_alignment == "off":
        return skip()
    if hyper.method.multiplier_alignment == "initial":
        return jax.lax.cond(first, pull, skip)
    return pull()


def _remember(hyper: Hyper, state: State, gradients: align.MultiplierAlignment, first: jax.Array) -> State:
    """Moving averages of ρ and cos φ, where they are used at every iteration."""
    if hyper.method.multiplier_alignment in ("off", "initial"):
        return state
    memory = jnp.where(first, 0.0, hyper.online.alignment_smoothing)
    # Where no action changes the cost, ρ is infinite.
    ratio = jnp.clip(gradients.ratio, SMALLEST_RATIO, hyper.gains.scale_maximum)
    return state.replace(
        ratio=jnp.exp(memory * jnp.log(state.ratio) + (1 - memory) * jnp.log(ratio)),
        cosine=memory * state.cosine + (1 - memory) * gradients.cosine,
    )
