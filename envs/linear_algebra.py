"""Small matrices in large batches."""

import jax
import jax.numpy as jnp


def inverse(matrix: jax.Array) -> jax.Array:
    """Of a positive definite matrix. Unrolled Gauss–Jordan runs across a batch, where LAPACK goes one by one."""
    for k in range(len(matrix)):
        pivot = 1.0 / matrix[k, k]
        row, column = matrix[k] * pivot, matrix[:, k]
        matrix = matrix - jnp.outer(column, row)
        matrix = matrix.at[k].set(row).at[:, k].set(-column * pivot).at[k, k].set(pivot)
    return matrix
