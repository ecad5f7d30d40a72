"""How offline algorithms draw batches from a dataset. All return a function `key -> batch`."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from marvel_jax.core.problem import Problem
from marvel_jax.core.transitions import Transition, sample


def uniform(problem: Problem, dataset: Transition, size: int) -> Callable[[jax.Array], Transition]:
    """Batches of `size` transitions of the whole dataset `[N]`, uniformly with replacement."""
    del problem
    return lambda key: sample(dataset, size, key)


def rows_where(mask: jax.Array, size: int) -> Callable[[jax.Array], jax.Array]:
    """Draws `size` rows where `mask` `[N]` is True."""
    chosen_first = jnp.argsort(~mask)
    return lambda key: chosen_first[jax.random.randint(key, (size,), 0, jnp.sum(mask))]
