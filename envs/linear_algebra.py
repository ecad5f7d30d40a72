"""Small positive definite matrices in large batches: unrolled, since LAPACK would take one after another."""

import jax
import jax.numpy as jnp


def inverse(matrix: jax.Array) -> jax.Array:
    """`[n, n]`, by Gauss–Jordan elimination."""
    for k in range(len(matrix)):
        pivot = 1.0 / matrix[k, k]
        row, column = matrix[k] * pivot, matrix[:, k]
        matrix = matrix - jnp.outer(column, row)
        matrix = matrix.at[k].set(row).at[:, k].set(-column * pivot).at[k, k].set(pivot)
    return matrix


def solve(matrix: jax.Array, right: jax.Array) -> jax.Array:
    """`[n]` x with matrix · x = right, by elimination from the first unknown to the last and back."""
    rows = []
    while len(matrix) > 1:
        scaled, first = matrix[0, 1:] / matrix[0, 0], right[0] / matrix[0, 0]
        rows.append((scaled, first))
        column = matrix[1:, 0]
        matrix, right = matrix[1:, 1:] - jnp.outer(column, scaled), right[1:] - column * first
    solution = right / matrix[0]
    for scaled, first in reversed(rows):
        solution = jnp.concatenate([first[None] - jnp.sum(scaled * solution, keepdims=True), solution])
    return solution
