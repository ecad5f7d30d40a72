"""Safety-Gymnasium's pseudo-lidar: how close the nearest object is in each of 16 directions around the agent."""

import jax
import jax.numpy as jnp

BINS = 16


def lidar(objects: jax.Array, position: jax.Array, rotation: jax.Array, reach: float) -> jax.Array:
    """`[16]` readings in [0, 1]: 1 at the agent, falling linearly to 0 at `reach`.

    An object is seen in the bin that it lies in, and dimmer in the neighbours, the nearer it lies to them.

    Args:
      objects: `[n, 2]` positions, m. They count as lying on the floor: a tilted agent sees their projection.
      position: `[3]` of the agent.
      rotation: `[3, 3]` of the agent to the world.
      reach: m.
    """
    flat = jnp.pad(objects, ((0, 0), (0, 1)))
    x, y = ((flat - position) @ rotation[:, :2]).T
    closeness = jnp.maximum(0.0, reach - jnp.hypot(x, y)) / reach
    place = jnp.mod(jnp.arctan2(y, x), 2 * jnp.pi) * (BINS / (2 * jnp.pi))
    # float32: an angle just below 0 becomes 2π, which is bin 0 again
    bin_index = jnp.floor(place).astype(int) % BINS
    share = place - jnp.floor(place)
    bins = jnp.arange(BINS)[:, None]
    seen = jnp.where(bins == bin_index, closeness, 0.0)
    after = jnp.where(bins == (bin_index + 1) % BINS, share * closeness, 0.0)
    before = jnp.where(bins == (bin_index - 1) % BINS, (1 - share) * closeness, 0.0)
    return jnp.max(jnp.maximum(seen, jnp.maximum(after, before)), axis=1)
