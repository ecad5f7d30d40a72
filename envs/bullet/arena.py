"""Where the tasks take place: a plane, or a square of ground with an octagonal wall."""

import jax
import jax.numpy as jnp

WALL_DISTANCE, WALL_THICKNESS, WALL_HEIGHT = 11.9, 0.2, 2.0  # m; of the inner faces from the centre
GROUND_EXTENT = 15.0  # m, half the side of the walled square: who gets over the wall falls off
GROUND_FRICTION, WALL_FRICTION = 0.8, 0.5  # to be multiplied by the body's
DEEPEST = 0.3  # m below the ground, where nothing holds any more


def over_ground(points: jax.Array, walled: bool) -> jax.Array:
    """`[n]` booleans: points `[n, 3]` that the ground can hold."""
    held = points[:, 2] > -DEEPEST
    return held & (jnp.abs(points[:, :2]) < GROUND_EXTENT).all(axis=1) if walled else held


def nearest_wall(position: jax.Array) -> jax.Array:
    """`[3]` outward normal of the wall nearest to a position `[3]`."""
    eighth = jnp.pi / 4
    angle = jnp.round(jnp.arctan2(position[1], position[0]) / eighth) * eighth
    return jnp.stack([jnp.cos(angle), jnp.sin(angle), jnp.zeros(())])


def wall_distance(points: jax.Array, outwards: jax.Array) -> tuple[jax.Array, jax.Array]:
    """`[n]` distances of points `[n, 3]` from the wall with that normal, and booleans: those that it can hold."""
    distance = WALL_DISTANCE - points @ outwards
    beside = (points[:, 2] > 0) & (points[:, 2] < WALL_HEIGHT)
    return distance, beside & (distance > -WALL_THICKNESS)
