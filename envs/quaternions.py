"""Rotations as unit quaternions (x, y, z, w), Bullet's order."""

import jax
import jax.numpy as jnp


def multiply(left: jax.Array, right: jax.Array) -> jax.Array:
    """`[4]` rotation `right` followed by `left`."""
    a, b = left[:3], right[:3]
    vector = left[3] * b + right[3] * a + jnp.cross(a, b)
    return jnp.append(vector, left[3] * right[3] - a @ b)


def from_rotation_vector(vector: jax.Array) -> jax.Array:
    """`[4]` rotation by |vector| radians about `vector` `[3]`."""
    half = 0.5 * jnp.sqrt(vector @ vector + 1e-20)
    return jnp.append(0.5 * vector * jnp.sinc(half / jnp.pi), jnp.cos(half))


def matrix(q: jax.Array) -> jax.Array:
    """`[3, 3]` rotation matrix."""
    x, y, z, w = q
    return jnp.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def turned(q: jax.Array, angular_velocity: jax.Array, dt: float) -> jax.Array:
    """`q` after `dt` seconds of a constant angular velocity `[3]` in the world frame."""
    q = multiply(from_rotation_vector(dt * angular_velocity), q)
    return q / jnp.linalg.norm(q)


def roll_pitch(q: jax.Array) -> tuple[jax.Array, jax.Array]:
    """`[]` roll and `[]` pitch, rad (as Bullet's Euler angles)."""
    x, y, z, w = q
    roll = jnp.arctan2(2 * (y * z + w * x), w * w - x * x - y * y + z * z)
    return roll, jnp.arcsin(jnp.clip(-2 * (x * z - w * y), -1.0, 1.0))


def yaw(q: jax.Array) -> jax.Array:
    """`[]` rotation about the vertical, rad."""
    x, y, z, w = q
    return jnp.arctan2(2 * (x * y + w * z), w * w + x * x - y * y - z * z)


def from_yaw(angle: jax.Array) -> jax.Array:
    """`[4]` rotation about the vertical."""
    half, zero = 0.5 * angle, jnp.zeros_like(angle)
    return jnp.stack([zero, zero, jnp.sin(half), jnp.cos(half)])


def through_euler(q: jax.Array) -> jax.Array:
    """`[4]` the same rotation with the sign that Bullet gives it when it is made from roll, pitch and yaw."""
    half = 0.5 * jnp.stack([*roll_pitch(q), yaw(q)])
    (roll_c, pitch_c, yaw_c), (roll_s, pitch_s, yaw_s) = jnp.cos(half), jnp.sin(half)
    w = roll_c * pitch_c * yaw_c + roll_s * pitch_s * yaw_s
    return jnp.where(w * q[3] < 0, -q, q)


def from_matrix(rotation: jax.Array) -> jax.Array:
    """`[4]` as (w, x, y, z) of a rotation matrix `[3, 3]`, for viewers."""
    trace = jnp.trace(rotation)
    squares = jnp.append(trace, jnp.diag(rotation) * 2 - trace) + 1.0
    largest = jnp.argmax(squares)
    a, b, c = rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]
    xy, xz, yz = (rotation[i, j] + rotation[j, i] for i, j in ((0, 1), (0, 2), (1, 2)))
    _, x2, y2, z2 = squares
    rows = jnp.array([[squares[0], a, b, c], [a, x2, xy, xz], [b, xy, y2, yz], [c, xz, yz, z2]])
    return rows[largest] / jnp.linalg.norm(rows[largest])
