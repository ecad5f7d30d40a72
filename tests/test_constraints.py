"""MuJoCo's constrained accelerations against a solver of another kind."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from marvel_envs import constraints, linear_algebra
from scipy.optimize import nnls


def random_problem(seed: int, velocities: int = 8, rows: int = 24):
    """A mass matrix, forces without constraints, and rows of which about half act."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(velocities, velocities))
    jacobian, target = rng.normal(size=(rows, velocities)), rng.normal(size=rows)
    stiffness = rng.uniform(0.1, 10, rows)
    return root @ root.T + np.eye(velocities), rng.normal(size=velocities), jacobian, target, stiffness


@pytest.mark.parametrize("seed", range(10))
def test_accelerations_are_those_of_the_dual_problem(seed):
    """Forces f ≥ 0 minimize ½ fᵀ(J·M⁻¹·Jᵀ + D⁻¹)f + fᵀ(J·a₀ − a*): non-negative least squares."""
    mass, outer, jacobian, target, stiffness = random_problem(seed)
    free = np.linalg.solve(mass, outer)
    quadratic = jacobian @ np.linalg.inv(mass) @ jacobian.T + np.diag(1 / stiffness)
    root = np.linalg.cholesky(quadratic)
    force, _ = nnls(root.T, np.linalg.solve(root, target - jacobian @ free))
    expected = free + np.linalg.inv(mass) @ jacobian.T @ force
    assert 3 < np.sum(force > 0) < 21

    arrays = [jnp.asarray(x, jnp.float32) for x in (mass, outer, jacobian, target, stiffness)]
    rows = constraints.Rows(*arrays[2:])
    found = jax.jit(constraints.solve)(*arrays[:2], rows, jnp.zeros(8))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(rows.force(found), force, atol=2e-3)


@pytest.mark.parametrize("size", [1, 2, 7, 23])
def test_small_systems_are_solved(size):
    root = np.random.default_rng(size).normal(size=(size, size))
    matrix, right = jnp.asarray(root @ root.T + size * np.eye(size), jnp.float32), jnp.arange(size, dtype=jnp.float32)
    np.testing.assert_allclose(matrix @ jax.jit(linear_algebra.solve)(matrix, right), right, atol=1e-4)
    np.testing.assert_allclose(matrix @ jax.jit(linear_algebra.inverse)(matrix), np.eye(size), atol=1e-4)
