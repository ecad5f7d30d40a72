"""Replacements for parts of MJX that are slow for large batches on a CPU.

Constraints: MJX's solver loops until the last environment of a batch has converged, in up to 100 steps of up to 50 line
searches, which takes ten times as long as all the rest. `marvel_envs.constraints` solves the same problem, whose
minimum is unique.

Factorization: MJX calls LAPACK, which takes the matrices of a batch one after another. Two such calls at once can
deadlock (seen with implicit damping, 1,024 HalfCheetahs on two cores, jax 0.10.2).

Contacts: MJX has one for every possible pair of geoms. Here only the deepest are kept, and a table tells which joints
move a body, where MJX walks the tree for every contact.
"""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's names come from a compiled module that pyright cannot read.

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from marvel_envs import constraints, linear_algebra
from mujoco import mjx
from mujoco.mjx._src import collision_driver, smooth, solver, support


def solve(model: mjx.Model, data: mjx.Data) -> Any:
    """MJX's `solver.solve`, for models whose only constraints are joint limits and contacts."""
    inside: Any = data._impl
    rows = constraints.Rows(inside.efc_J, inside.efc_aref, inside.efc_D)
    mass = support.full_m(model, data)
    acceleration = constraints.solve(mass, data.qfrc_smooth, rows, data.qacc_warmstart)
    force = rows.force(acceleration)
    return data.tree_replace(
        {
            "qacc": acceleration,
            "qfrc_constraint": rows.jacobian.T @ force,
            "_impl.efc_force": force,
        }
    )


def factor_m(model: mjx.Model, data: mjx.Data) -> Any:
    """MJX's `smooth.factor_m` of a dense mass matrix, which it keeps as it is."""
    inside: Any = data._impl
    return data.tree_replace({"_impl.qLD": inside.M})


def solve_m(model: mjx.Model, data: mjx.Data, right: jax.Array) -> jax.Array:
    """MJX's `smooth.solve_m`, after this module's `factor_m`."""
    inside: Any = data._impl
    return linear_algebra.solve(inside.qLD, right)


def jac(model: mjx.Model, data: mjx.Data, point: jax.Array, body: jax.Array) -> tuple[jax.Array, jax.Array]:
    """MJX's `support.jac`: `[nv, 3]` Jacobians of a point on a body, of its motion and of its turning."""
    moved = jnp.asarray(_moved_by(model))[body][:, None]
    offset = point - data.subtree_com[jnp.asarray(model.body_rootid)[body]]
    turning, motion = data.cdof[:, :3], data.cdof[:, 3:]
    return moved * (motion + jnp.cross(turning, offset)), moved * turning


def _moved_by(model: mjx.Model) -> np.ndarray:
    """`[nbody, nv]` 1 where a coordinate moves a body, because it is that of one of the body's ancestors."""
    moved = np.zeros((model.nbody, model.nv), np.float32)
    for body in range(1, model.nbody):  # parents come before their children
        moved[body] = moved[model.body_parentid[body]] + (np.asarray(model.dof_bodyid) == body)
    return moved


@contextlib.contextmanager
def installed(model: mujoco.MjModel, contacts: int) -> Iterator[None]:
    """A context in which MJX, when traced, uses this module's functions where they fit the model.

    Args:
      model: Of the steps that are traced.
      contacts: How many contacts of each kind (with and without friction) are kept.
    """
    limits = {"max_contact_points": contacts}
    with contextlib.ExitStack() as patches:

        def replace(module: Any, name: str, new: Any) -> None:
            patches.enter_context(mock.patch.object(module, name, new))

        # MJX reads the limit from the model's custom numbers, and takes the wrong one if the model has several.
        replace(collision_driver, "_numeric", lambda _, name: limits.get(name, -1))
        replace(support, "jac", jac)
        if model.neq == 0 and not (model.dof_frictionloss > 0).any() and not (model.tendon_frictionloss > 0).any():
            replace(solver, "solve", solve)
        if not support.is_sparse(model):
            replace(smooth, "factor_m", factor_m)
            replace(smooth, "solve_m", solve_m)
        yield
