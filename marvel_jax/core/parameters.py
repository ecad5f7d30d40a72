"""Parameters with their optimizer, the gradient step and the Bellman regression that every algorithm shares."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct

from marvel_jax.core.networks import Networks, Params, Twins
from marvel_jax.core.transitions import Transition

# The learning rate is applied outside, so that it can be traced.
_ADAM = optax.scale_by_adam()


class TrainState(struct.PyTreeNode):
    """Parameters and their Adam state."""

    params: Any
    optimizer: optax.OptState


class CriticTrainState(struct.PyTreeNode):
    """Twin critics, their target networks, and their Adam state."""

    params: Twins
    target: Twins
    optimizer: optax.OptState


class Critics(struct.PyTreeNode):
    """The critics that a policy starts online with.

    Attributes:
      reward_twins, cost_twins: Of state-actions.
      reward_value, cost_value: Of states, for algorithms that want those; else None.
    """

    reward_twins: Twins
    cost_twins: Twins
    reward_value: Params | None = None
    cost_value: Params | None = None


def train_state(params: Any) -> TrainState:
    """A learner with a fresh optimizer."""
    return TrainState(params, _ADAM.init(params))


def critic_train_state(params: Twins) -> CriticTrainState:
    """Critics whose targets equal them, with a fresh optimizer."""
    return CriticTrainState(params, params, _ADAM.init(params))


def update_targets(critic: CriticTrainState, rate: jax.Array | float) -> CriticTrainState:
    """Moves the targets a share `rate` towards the critics: Q̄ ← (1 − τ)·Q̄ + τ·Q."""
    return critic.replace(target=optax.incremental_update(critic.params, critic.target, rate))


def minimize(learner: Any, loss: Callable, learning_rate: jax.Array | float, has_aux: bool = False) -> tuple[Any, Any]:
    """One Adam step of a `TrainState` or `CriticTrainState` on `loss(params)`; returns it and the loss before it.

    Targets stay as they are. With `has_aux` the loss function returns a pair, as for `jax.grad`, and so does this:
    `(learner, (loss, aux))`.
    """
    value, gradient = jax.value_and_grad(loss, has_aux=has_aux)(learner.params)
    direction, optimizer = _ADAM.update(gradient, learner.optimizer)
    params = jax.tree.map(lambda p, d: p - learning_rate * d, learner.params, direction)
    return learner.replace(params=params, optimizer=optimizer), value


def regression(networks: Networks, batch: Transition, target: jax.Array) -> Callable[[Twins], jax.Array]:
    """Loss of twin critics at a batch's state-actions: sum over twins of the MSE to `target` `[B]`."""

    def loss(twins: Twins) -> jax.Array:
        values = networks.twin_values(twins, batch.observation, batch.action)
        return jnp.sum(jnp.mean((values - jax.lax.stop_gradient(target)) ** 2, axis=-1))

    return loss


def conservative(
    networks: Networks, batch: Transition, own_action: jax.Array, loss: Callable[[Twins], jax.Array], weight: float
) -> Callable[[Twins], jax.Array]:
    """`loss` plus weight·(E[max(Q(s, a_π), G)] − E[Q(s, a)]) of each twin, G the return that was seen from s.

    Q is pushed down at the policy's own actions `[B, action_size]`, not below what the data show to be possible.

    Source: Cal-QL, Nakamoto et al., NeurIPS 2023, with the policy's own actions in place of their log-sum-exp.
    """
    returns = batch.return_to_go
    assert returns is not None, "conservative critics need transitions with return_to_go"

    def whole(twins: Twins) -> jax.Array:
        own = networks.twin_values(twins, batch.observation, own_action)
        seen = networks.twin_values(twins, batch.observation, batch.action)
        gap = jnp.mean(jnp.maximum(own, returns) - seen, axis=-1)
        return loss(twins) + weight * jnp.sum(gap)

    return whole
