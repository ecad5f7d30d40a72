"""A box that is pushed along the floor and stops where it is left: Safety-Gymnasium's vase.

Its mass is so small that it hardly slows the agent (here not at all), and friction soon stops it. So it moves as in
quasi-static pushing: out of the way by the smallest motion, with turns weighed against shifts by an ellipsoidal limit
surface (Goyal, Ruina and Papadopoulos, 1991), and not at all otherwise. It cannot tip or hop.
"""

import jax
import jax.numpy as jnp
import numpy as np
from marvel_envs.navigation.agent import Footprint

HALF = 0.1  # m, half the side
# Largest frictional torque over largest frictional force of a square pressed evenly on the floor, m.
TURNING_RADIUS = 0.3826 * 2 * HALF
ROUNDS = 6  # of pushing by the part that reaches deepest into the vase
CORNERS = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0], [-1.0, 1.0]])


def pushed(vase: jax.Array, parts: tuple[Footprint, ...], position: jax.Array, yaw: jax.Array) -> jax.Array:
    """`[3]` where the vase (x, y, yaw) is once it is out of an agent's way.

    Args:
      vase: `[3]` m, m, rad.
      parts: Of the agent.
      position: `[2]` of the agent, m.
      yaw: `[]` of the agent, rad.
    """

    def once(_, vase: jax.Array) -> jax.Array:
        depth, way, point = deepest_overlap(vase, parts, position, yaw)
        return _moved(vase, jnp.maximum(depth, 0.0), way, point)

    return jax.lax.fori_loop(0, ROUNDS, once, vase)


def deepest_overlap(
    vase: jax.Array, parts: tuple[Footprint, ...], position: jax.Array, yaw: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """How deep the agent reaches into the vase (`[]`, negative: not), the way out and where it touches (`[2]` each)."""
    centers = position + jnp.array([part.center for part in parts]) @ turn(yaw).T
    halves, roundings = jnp.array([part.half_size for part in parts]), jnp.array([part.rounding for part in parts])
    overlaps = jax.vmap(lambda center, half, rounding: _overlap(vase, center, yaw, half, rounding))
    depth, way, point = overlaps(centers, halves, roundings)
    deepest = jnp.argmax(depth)
    return depth[deepest], way[deepest], point[deepest]


def turn(angle: jax.Array) -> jax.Array:
    """`[2, 2]` rotation by an angle."""
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return jnp.stack([jnp.stack([cos, -sin]), jnp.stack([sin, cos])])


def _moved(vase: jax.Array, depth: jax.Array, normal: jax.Array, point: jax.Array) -> jax.Array:
    """The vase after its `point` went `depth` along `normal`, with the least friction."""
    arm = point - vase[:2]
    lever = arm[0] * normal[1] - arm[1] * normal[0]
    mobility = jnp.array([1.0, 1.0, 1 / TURNING_RADIUS**2])
    direction = mobility * jnp.append(normal, lever)
    return vase + depth * direction / (1 + lever**2 / TURNING_RADIUS**2)


def _overlap(vase, center, yaw, half, rounding) -> tuple[jax.Array, jax.Array, jax.Array]:
    """How deep a part of an agent reaches into the vase (negative: not), the way out, and where it touches.

    Both are rectangles, the part's with rounded corners. Candidates for the way out are the four sides of each; the
    one of least depth counts. For a part without extent (a disc) the way out is from the nearest point of the vase.
    """
    ours, theirs = turn(vase[2]), turn(yaw)
    vase_corners, part_corners = vase[:2] + (HALF * CORNERS) @ ours.T, center + (CORNERS * half) @ theirs.T
    into_vase, out_of_vase, touch_vase = _furthest(part_corners, vase[:2], ours, jnp.full(2, HALF), rounding)
    into_part, out_of_part, touch_part = _furthest(vase_corners, center, theirs, half, rounding)
    depths = jnp.concatenate([into_vase, into_part])
    ways = jnp.concatenate([-out_of_vase, out_of_part])
    touches = jnp.concatenate([touch_vase, touch_part])
    least = jnp.argmin(depths)

    nearest = vase[:2] + ours @ jnp.clip(ours.T @ (center - vase[:2]), -HALF, HALF)
    gap = center - nearest
    distance = jnp.linalg.norm(gap)
    disc = (jnp.max(half) == 0.0) & (distance > 1e-6)  # whose centre is outside of the vase
    depth = jnp.where(disc, rounding - distance, depths[least])
    way = jnp.where(disc, -gap / jnp.maximum(distance, 1e-6), ways[least])
    return depth, way, jnp.where(disc, nearest, touches[least])


def _furthest(points, center, rotation, half, rounding) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Per side of a rectangle the deepest of `points` `[4, 2]`: `[4]` depths, `[4, 2]` normals and points."""
    sides = jnp.concatenate([rotation.T, -rotation.T])
    depth = jnp.tile(half, 2) + rounding - (points - center) @ sides.T
    deepest = jnp.argmax(depth, axis=0)
    return jnp.max(depth, axis=0), sides, points[deepest]
