"""MuJoCo's soft constraints: the accelerations that limits and contacts leave.

They minimize

    ½·aᵀ·M·a − aᵀ·f + Σ over rows i  ½·D_i·min(0, J_i·a − a*_i)²

with f the forces without constraints. A joint limit or a frictionless contact is one row, a contact with
friction one row per edge of its cone. The minimum is unique, and Newton's method with a line search finds it in a few
steps.
(Todorov, "Convex and analytically-invertible dynamics with contacts and constraints", 2014; MuJoCo's documentation,
chapter Computation.)
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jax.custom_batching import custom_vmap
from marvel_envs import linear_algebra

NEWTON_STEPS = 8  # at most; three are enough for most states


class Rows(struct.PyTreeNode):
    """n constraints on d accelerations.

    Attributes:
      jacobian: `[n, d]`.
      target: `[n]` accelerations a* that the constraint drives at.
      stiffness: `[n]` D; 0 or a row of zeros where there is nothing to constrain.
    """

    jacobian: jax.Array
    target: jax.Array
    stiffness: jax.Array

    def force(self, acceleration: jax.Array) -> jax.Array:
        """`[n]` forces at given accelerations `[d]`."""
        return -self.stiffness * jnp.minimum(0.0, self.jacobian @ acceleration - self.target)


class _Problem(struct.PyTreeNode):
    """The arguments of `solve` except for the start."""

    mass: jax.Array
    force: jax.Array
    rows: Rows


class _Iterate(struct.PyTreeNode):
    """An iterate of Newton's method: accelerations a, M·a − f, J·a − a*, whether it is the last, and its number."""

    acceleration: jax.Array
    residual: jax.Array
    slack: jax.Array
    finished: jax.Array
    steps: jax.Array


def solve(mass: jax.Array, force: jax.Array, rows: Rows, start: jax.Array) -> jax.Array:
    """`[d]` accelerations under constraints.

    Args:
      mass: `[d, d]` mass matrix.
      force: `[d]` generalized forces without those of the constraints.
      rows: The constraints.
      start: `[d]` first guess.
    """
    problem = _Problem(mass, force, rows)
    slack = rows.jacobian @ start - rows.target
    first = _Iterate(start, mass @ start - force, slack, jnp.array(False), jnp.array(0))
    return _remaining_steps(problem, _newton(problem, first)).acceleration


def _until_finished(problem: _Problem, iterate: _Iterate) -> _Iterate:
    return jax.lax.while_loop(lambda at: ~at.finished, lambda at: _newton(problem, at), iterate)


_remaining_steps = custom_vmap(_until_finished)


@_remaining_steps.def_vmap
def _remaining_steps_of_batch(size: int, batched: Any, problem: _Problem, iterate: _Iterate) -> tuple[_Iterate, Any]:
    """Iterates only what is unfinished, a quarter of the batch at a time: most finish in the first step."""
    problem, iterate = jax.tree.map(
        lambda x, has: x if has else jnp.broadcast_to(x, (size, *x.shape)), (problem, iterate), tuple(batched)
    )
    share = -(-size // 4)

    def some(iterate: _Iterate) -> _Iterate:
        (which,) = jnp.nonzero(~iterate.finished, size=share, fill_value=size)
        taken = jax.tree.map(lambda x: x.at[which].get(mode="clip"), (problem, iterate))
        done = jax.vmap(_until_finished)(*taken)
        return jax.tree.map(lambda old, new: old.at[which].set(new, mode="drop"), iterate, done)

    result = jax.lax.while_loop(lambda at: ~jnp.all(at.finished), some, iterate)
    return result, jax.tree.map(lambda _: True, result)


def _newton(problem: _Problem, at: _Iterate) -> _Iterate:
    """One step, with a line search."""
    rows = problem.rows
    active = jnp.where(at.slack < 0, rows.stiffness, 0.0)
    gradient = at.residual + (active * at.slack) @ rows.jacobian
    hessian = problem.mass + rows.jacobian.T @ (active[:, None] * rows.jacobian)
    step = -linear_algebra.solve(hessian, gradient)
    change, residual_change = rows.jacobian @ step, problem.mass @ step
    # Step length: one step of Newton's method on the objective along the line, starting at length 1.
    next_slack = at.slack + change
    touching = jnp.where(next_slack < 0, rows.stiffness, 0.0) * change
    slope = (at.residual + residual_change) @ step + touching @ next_slack
    curvature = residual_change @ step + touching @ change
    length = 1 - slope / jnp.maximum(curvature, 1e-30)
    # With the same active rows at both ends the objective is a parabola, whose minimum a full step reaches.
    finished = jnp.all((at.slack < 0) == (next_slack < 0)) | (at.steps + 1 >= NEWTON_STEPS)
    moved = at.acceleration + length * step, at.residual + length * residual_change, at.slack + length * change
    return _Iterate(*moved, finished, at.steps + 1)
