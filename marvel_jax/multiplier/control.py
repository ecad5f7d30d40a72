"""The multiplier of an iteration: what the critics' gradients say, corrected by a controller.

The controller works in relative units, so that its gains suit any task, limit and reward scale: costs in multiples of
the cost it aims at, multipliers in multiples of a scale,

    λ = scale · (controller(J_C / aim; feed_forward) + caution),   aim = d − min(margin·d, excursions·excursion),

the excursion being how far J_C lately rose above its mean: costs that vary little may come close to the limit.

With ρ = ‖g_r‖/‖g_c‖ and φ the angle between the policy gradients of reward and cost, multiplier pre-alignment (MPA,
λ₀ = ρ·cos φ; see `align`) enters as

    off           scale 1, feed_forward 0
    initial       scale 1, feed_forward 0; λ₀ is where the integral starts
    feed-forward  scale 1, feed_forward ρ·cos φ
    scale-free    scale ρ, feed_forward cos φ

ρ and cos φ are computed at every iteration and smoothed. Too large a multiplier costs little reward, too small a one
breaks the limit; so λ starts above what the controller asks for, by `gains.caution`, of which every iteration takes
back the share release/iterations·room: over the budget, as steps settle. Room is 1 where J_C and its excursion are a
whole margin under the limit, 0 at the limit or over it. Scale-free control, caution and excursions are this project's;
see docs/parts.md.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import struct

from marvel_jax.config.hyper import Hyper
from marvel_jax.core.problem import Problem
from marvel_jax.multiplier import controllers
from marvel_jax.training import align

SMALLEST_RATIO = 1e-3  # of ρ, whose logarithm is averaged
EXCURSION_MEMORY = 0.95  # per iteration


class State(struct.PyTreeNode):
    """Memory of the control loop.

    Attributes:
      controller: In relative units.
      ratio: `[]` moving (geometric) average of ρ.
      cosine: `[]` moving average of cos φ.
      caution: `[]` what is left of the start above the controller's multiplier.
      cost: `[]` moving average of J_C.
      excursion: `[]` how far J_C lately rose above that.
      iteration: `[]` calls so far.
    """

    controller: controllers.State
    ratio: jax.Array
    cosine: jax.Array
    caution: jax.Array
    cost: jax.Array
    excursion: jax.Array
    iteration: jax.Array


def init(hyper: Hyper) -> State:
    """The state before the first iteration."""
    # A fixed multiplier is what it is set to.
    caution = jnp.asarray(0.0 if hyper.method.multiplier == "fixed" else hyper.gains.caution, jnp.float32)
    one, zero = jnp.ones(()), jnp.zeros(())
    return State(controllers.init(hyper.gains), one, zero, caution, zero, zero, jnp.zeros((), jnp.int32))


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
        started = controllers.start_from(controller, jnp.minimum(gradients.multiplier, hyper.gains.scale_maximum))
        controller = jax.tree.map(lambda new, old: jnp.where(first, new, old), started, controller)
    elif method == "feed-forward":
        feed_forward = state.ratio * state.cosine
    elif method == "scale-free":
        scale, feed_forward = state.ratio, state.cosine

    state = _watch(hyper, problem, state, episode_cost, first)
    aim, room = _aim(hyper, problem, state, episode_cost)
    unit = jnp.maximum(aim, 1.0)  # a limit of 0 has no multiples
    relative_cost = jnp.minimum(episode_cost, aim + hyper.gains.largest_excess * unit) / unit
    step = controllers.UPDATES[hyper.method.multiplier]
    controller = step(hyper.gains, controller, relative_cost, aim / unit, feed_forward)
    metrics = {
        "aligned_multiplier": gradients.multiplier,
        "proportional_gain": controller.gains[0],
        "integral_gain": controller.gains[1],
        "derivative_gain": controller.gains[2],
    }
    released = jnp.minimum(1.0, hyper.gains.release / hyper.online.iterations * room)
    caution = state.caution * (1 - released)
    next_state = state.replace(controller=controller, caution=caution, iteration=state.iteration + 1)
    return next_state, scale * (controller.value + caution), metrics


def _watch(hyper: Hyper, problem: Problem, state: State, episode_cost: jax.Array, first: jax.Array) -> State:
    """J_C's moving average, and how far it lately rose above it: at first, as far as leaves the whole margin."""
    before = jnp.where(first, episode_cost, state.cost)
    unknown = hyper.gains.margin * problem.cost_limit / jnp.maximum(hyper.gains.excursions, 1e-6)
    excursion = jnp.where(first, unknown, EXCURSION_MEMORY * state.excursion)
    cost = hyper.gains.smoothing * before + (1 - hyper.gains.smoothing) * episode_cost
    return state.replace(cost=cost, excursion=jnp.maximum(excursion, episode_cost - before))


def _aim(hyper: Hyper, problem: Problem, state: State, episode_cost: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The cost that the controller aims at, and the room, from 0 to 1, by which caution is taken back."""
    limit, most = problem.cost_limit, hyper.gains.margin * problem.cost_limit
    excursion = hyper.gains.excursions * state.excursion
    follows = hyper.gains.excursions > 0
    aim = limit - jnp.where(follows, jnp.minimum(most, excursion), most)
    highest = jnp.maximum(state.cost, episode_cost) + excursion
    under_aim = (aim - episode_cost) / jnp.maximum(aim, 1.0)
    room = jnp.where(follows, (limit - highest) / jnp.maximum(most, 1e-6), under_aim)
    return aim, jnp.clip(room, 0.0, 1.0)


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
