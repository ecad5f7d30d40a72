"""MuJoCo's soft constraints: the accelerations that limits and contacts leave.

They minimize

    ½·(a − a₀)ᵀ·M·(a − a₀) + Σ over rows i  ½·D_i·min(0, J_i·a − a*_i)²

with a₀ the accelerations without constraints. A joint limit or a frictionless contact is one row, a contact with
friction one row per edge of its cone. The minimum is unique, and Newton's method with a line search finds it in a few
steps.
(Todorov, "Convex and analytically-invertible dynamics with contacts and constraints", 2014; MuJoCo's documentation,
chapter Computation.)
"""

import jax
import jax.numpy as jnp
from flax import struct
from marvel_envs import linear_algebra

NEWTON_STEPS = 8  # at most: for some states of some bodies; most settle in three


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


def solve(mass: jax.Array, free: jax.Array, rows: Rows, start: jax.Array) -> jax.Array:
    """`[d]` accelerations under constraints.

    Args:
      mass: `[d, d]` mass matrix.
      free: `[d]` accelerations without constraints.
      rows: The constraints.
      start: `[d]` where to start looking.
    """

    def unsettled(carry) -> jax.Array:
        *_, settled, steps = carry
        return ~settled & (steps < NEWTON_STEPS)

    def newton(carry):
        a, pull, slack, _, steps = carry  # pull = M·(a − a₀), slack = J·a − a*
        active = jnp.where(slack < 0, rows.stiffness, 0.0)
        gradient = pull + (active * slack) @ rows.jacobian
        hessian = mass + rows.jacobian.T @ (active[:, None] * rows.jacobian)
        step = -linear_algebra.solve(hessian, gradient)
        change, pull_change = rows.jacobian @ step, mass @ step
        # How far to go: from the full step, one step of Newton's method on the parabolas along it.
        further = slack + change
        touching = jnp.where(further < 0, rows.stiffness, 0.0) * change
        slope = (pull + pull_change) @ step + touching @ further
        curvature = pull_change @ step + touching @ change
        length = 1 - slope / jnp.maximum(curvature, 1e-30)
        # Between changes of the active rows the objective is a parabola, and a whole step ends in its minimum.
        settled = jnp.all((slack < 0) == (further < 0))
        return a + length * step, pull + length * pull_change, slack + length * change, settled, steps + 1

    first = start, mass @ (start - free), rows.jacobian @ start - rows.target, jnp.array(False), jnp.array(0)
    return jax.lax.while_loop(unsettled, newton, first)[0]
