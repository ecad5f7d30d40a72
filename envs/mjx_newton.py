"""A constraint solver for MJX that suits batches: Newton's method with a fixed number of steps.

MJX's own loops until the last environment of a batch has converged, in up to 100 steps of up to 50 line searches, which
on a CPU takes ten times as long as all the rest. The problem is the same (see `marvel_envs.constraints`), and so is its
one minimum; how far a few steps are from it is what `marvel parity` measures.
"""

# pyright: reportAttributeAccessIssue=false
# MuJoCo's names come from a compiled module that pyright cannot read.

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import mujoco
from marvel_envs import constraints
from mujoco import mjx
from mujoco.mjx._src import solver, support


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


@contextlib.contextmanager
def installed(model: mujoco.MjModel) -> Iterator[None]:
    """While it is open, MJX steps traced in this process use it; models with other constraints keep MJX's solver."""
    plain = model.neq == 0 and not (model.dof_frictionloss > 0).any() and not (model.tendon_frictionloss > 0).any()
    if not plain:
        yield
        return
    with mock.patch.object(solver, "solve", solve):
        yield
