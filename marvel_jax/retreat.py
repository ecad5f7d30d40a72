"""Going back to the last policy that kept the limit, after one that did not.

Where costs are a cliff, the way back from below it can be long, and it is paid for in violations; the policy that stood
above it is known. This project's; see docs/parts.md.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from marvel_jax.hyper import Online
from marvel_jax.problem import Problem


class State(struct.PyTreeNode):
    """What can be gone back to.

    Attributes:
      actor: The latest policy whose episodes kept the limit, with its optimizer.
      known: `[]` whether there has been one.
    """

    actor: Any
    known: jax.Array


def init(actor: Any) -> State:
    """The state before the first episodes."""
    return State(actor, jnp.zeros((), bool))


def update(
    hyper: Online, problem: Problem, state: State, played: Any, improved: Any, episode_cost: jax.Array
) -> tuple[State, Any, jax.Array]:
    """After an iteration whose policy, `played`, cost `episode_cost` `[]` and has become `improved`.

    Returns:
      The state, the policy to go on with (`improved`, or the latest one that kept the limit), and `[]` whether it is
      the latter.
    """
    kept = episode_cost <= problem.cost_limit
    state = State(_choose(kept, played, state.actor), state.known | kept)
    over = (hyper.retreat > 0) & (episode_cost > hyper.retreat * problem.cost_limit) & state.known
    return state, _choose(over, state.actor, improved), over


def _choose(condition: jax.Array, one: Any, other: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), one, other)
