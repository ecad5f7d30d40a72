"""What an algorithm is to the stages. A module with these functions is one; `registry` has them by name.

`hyper` is always the algorithm's own section of `Hyper`. What must be known without JAX, such as whether there are
critics to start from, is in the tables of `config.offline` and `config.online`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax

from marvel_jax.core.networks import Networks, Params
from marvel_jax.core.parameters import Critics, TrainState
from marvel_jax.core.problem import Problem
from marvel_jax.core.rollouts import Rollout
from marvel_jax.core.transitions import Transition
from marvel_jax.multiplier.alignment import MultiplierAlignment

Metrics = dict[str, jax.Array]
Batches = Callable[[jax.Array], Any]  # key -> batch


class Offline(Protocol):
    """An offline algorithm: `init`/`update` over a state whose `actor` is a `TrainState`."""

    def init(self, hyper: Any, problem: Problem, networks: Networks, key: jax.Array, /) -> Any:
        """The first state. With critics, it has twins of reward and cost as `reward_critic` and `cost_critic`."""
        ...

    def update(
        self, hyper: Any, problem: Problem, networks: Networks, state: Any, batch: Any, key: jax.Array, /
    ) -> tuple[Any, Metrics]:
        """The state after one gradient step on a batch of `batches`, and scalars."""
        ...

    def batches(self, problem: Problem, dataset: Transition, size: int, /) -> Batches:
        """`key -> batch` of `size` transitions of the dataset `[N]`."""
        ...


class Experience(NamedTuple):
    """What an iteration learns from: the episodes just played, and batches of all that is kept, `key -> [B]`."""

    played: Rollout
    batch: Callable[[jax.Array], Transition]


class Online(Protocol):
    """An online algorithm that takes a policy and its critics further under a multiplier λ."""

    def start(self, hyper: Any, actor: TrainState, critics: Critics, /) -> Any:
        """The first state: a policy with its optimizer, and critics whose optimizers start fresh. It has an `actor`."""
        ...

    def train_iteration(
        self,
        hyper: Any,
        problem: Problem,
        networks: Networks,
        state: Any,
        experience: Experience,
        multiplier: jax.Array,
        key: jax.Array,
        updates: int,
        /,
    ) -> tuple[Any, Metrics]:
        """The state after an iteration's `updates` gradient steps under λ `[]`, and metrics `[updates]` each."""
        ...

    def policy_gradients(
        self, hyper: Any, problem: Problem, networks: Networks, state: Any, experience: Experience, key: jax.Array, /
    ) -> MultiplierAlignment:
        """How the policy gradients of reward and cost compare, for multiplier pre-alignment."""
        ...

    def policy_change(
        self, hyper: Any, networks: Networks, before: Params, after: Params, observation: jax.Array, /
    ) -> jax.Array:
        """`[]` how far an iteration moved the policy, in the unit of `step_size.policy_change`."""
        ...

    def exploring(self, hyper: Any, networks: Networks, /) -> Networks:
        """The networks, whose policy explores as the algorithm does."""
        ...
