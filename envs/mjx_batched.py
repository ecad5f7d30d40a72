"""The parts of MJX that do not suit large batches on a CPU, as they suit them.

Constraints: MJX's solver loops until the last environment of a batch has converged, in up to 100 steps of up to 50 line
searches, which takes ten times as long as all the rest. The problem here is the same (see `marvel_envs.constraints`),
and so is its one minimum.

Factorization: MJX calls LAPACK, which takes the matrices of a batch one after another, and two such calls at once can
wait for each other for ever (those of implicit damping, of 1,024 HalfCheetahs on two cores with jax 0.10.2).
"""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's names come from a compiled module that pyright cannot read.

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import jax
import mujoco
from marvel_envs import constraints, linear_algebra
from mujoco import mjx
from mujoco.mjx._src import smooth, solver, support


def solve(model: mjx.Model, data: mjx.Data) -> Any:
    """MJX's `solver.solve`, for models whose only constraints are joint limits and contacts."""
    inside: Any = data._impl
    rows = constraints.Rows(inside.efc_J, inside.efc_aref, inside.efc_D)
    mass = support.full_m(model, data)
    acceleration = constraints.solve(mass, data.qacc_smooth, rows, data.qacc_warmstart)
    force = rows.force(acceleration)
    return data.tree_replace(
        {
            "qacc": acceleration,
            "qfrc_constraint": rows.jacobian.T @ force,
            "_impl.efc_force": force,
        }
    )


def factor_m(model: mjx.Model, data: mjx.Data) -> Any:
    """MJX's `smooth.factor_m` of a dense mass matrix; what it keeps is the inverse."""
    inside: Any = data._impl
    return data.tree_replace({"_impl.qLD": linear_algebra.inverse(inside.M)})


def solve_m(model: mjx.Model, data: mjx.Data, right: jax.Array) -> jax.Array:
    """MJX's `smooth.solve_m`, after this module's `factor_m`."""
    inside: Any = data._impl
    return inside.qLD @ right


@contextlib.contextmanager
def installed(model: mujoco.MjModel) -> Iterator[None]:
    """While it is open, MJX steps traced in this process use what this module has, where it fits the model."""
    with contextlib.ExitStack() as patches:
        if model.neq == 0 and not (model.dof_frictionloss > 0).any() and not (model.tendon_frictionloss > 0).any():
            patches.enter_context(mock.patch.object(solver, "solve", solve))
        if not support.is_sparse(model):
            patches.enter_context(mock.patch.object(smooth, "factor_m", factor_m))
            patches.enter_context(mock.patch.object(smooth, "solve_m", solve_m))
        yield
