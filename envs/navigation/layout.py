"""Where things lie: Safety-Gymnasium's rejection sampling, under `jit`.

Every object has a keepout radius. An object is drawn uniformly in the arena shrunk by its keepout, again and again
until it is clear of all placed before it (distance at least the sum of the keepouts).
"""

import jax
import jax.numpy as jnp

EXTENT = 1.5  # m, half the arena's side
CANDIDATES = 100  # draws per object, after which the simulator starts the whole layout afresh
LARGEST_DRAWS = 10_000  # of one more object, after which the simulator gives up
AT_ONCE = 200  # draws of it at a time: an arena has room for it in an eighth to a third of its area


def draw_layout(key: jax.Array, keepouts: jax.Array) -> jax.Array:
    """`[n, 2]` positions of objects with the given keepouts `[n]`, placed in that order, m."""

    def place(carry, inputs):
        positions, failed, count = carry
        key, keepout = inputs
        drawn = _uniform(key, keepout, CANDIDATES)
        placed = jnp.arange(len(keepouts)) < count
        clear = _clear(drawn, keepout, positions, keepouts, placed)
        positions = positions.at[count].set(drawn[jnp.argmax(clear)])
        return (positions, failed | ~jnp.any(clear), count + 1), None

    def attempt(carry):
        key, _, _ = carry
        key, *keys = jax.random.split(key, len(keepouts) + 1)
        start = jnp.zeros((len(keepouts), 2)), jnp.array(False), jnp.array(0)
        (positions, failed, _), _ = jax.lax.scan(place, start, (jnp.stack(keys), keepouts))
        return key, positions, failed

    start = key, jnp.zeros((len(keepouts), 2)), jnp.array(True)
    return jax.lax.while_loop(lambda carry: carry[2], attempt, start)[1]


def draw_clear_of(
    key: jax.Array, wanted: jax.Array, keepout: float, others: jax.Array, keepouts: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """One more position, clear of `others` `[n, 2]`.

    Args:
      key: Random key.
      wanted: `[]` False draws nothing and costs nothing, unless others of a batch want one.
      keepout: Of what is placed, m.
      others, keepouts: What it must be clear of.

    Returns:
      `[2]` position, and `[]` whether one was found: after 10,000 draws without, the simulator ends the episode.
    """

    def attempt(carry):
        key, _, _, draws = carry
        key, here = jax.random.split(key)
        drawn = _uniform(here, keepout, AT_ONCE)
        clear = _clear(drawn, keepout, others, keepouts, jnp.ones(len(others), bool))
        return key, drawn[jnp.argmax(clear)], jnp.any(clear), draws + AT_ONCE

    def searching(carry):
        _, _, found, draws = carry
        return wanted & ~found & (draws < LARGEST_DRAWS)

    start = key, jnp.zeros(2), jnp.array(False), jnp.array(0)
    _, position, found, _ = jax.lax.while_loop(searching, attempt, start)
    return position, found


def _uniform(key: jax.Array, keepout: jax.Array | float, count: int) -> jax.Array:
    return (EXTENT - keepout) * jax.random.uniform(key, (count, 2), minval=-1.0)


def _clear(drawn: jax.Array, keepout: jax.Array | float, others: jax.Array, keepouts: jax.Array, which: jax.Array):
    """`[m]` whether each of `drawn` `[m, 2]` is clear of the others `[n, 2]` among `which` `[n]`."""
    distance = jnp.linalg.norm(drawn[:, None] - others[None], axis=-1)
    return jnp.all((distance >= keepout + keepouts) | ~which, axis=1)
