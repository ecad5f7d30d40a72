"""Behaviour cloning: maximum likelihood of the data's actions."""

import jax
import jax.numpy as jnp
from flax import struct

from marvel_jax.algorithms.offline.batches import uniform
from marvel_jax.config.offline import BC
from marvel_jax.core.networks import Networks
from marvel_jax.core.parameters import TrainState, minimize, train_state
from marvel_jax.core.problem import Problem
from marvel_jax.core.transitions import Transition

batches = uniform


class State(struct.PyTreeNode):
    """The policy."""

    actor: TrainState


def init(hyper: BC, problem: Problem, networks: Networks, key: jax.Array) -> State:
    """Random networks."""
    del hyper, problem
    return State(train_state(networks.init_actor(key)))


def update(
    hyper: BC, problem: Problem, networks: Networks, state: State, batch: Transition, key: jax.Array
) -> tuple[State, dict[str, jax.Array]]:
    """One gradient step on −E[log π(a|s)]. Arguments and result as in `cpq.update`."""
    del problem, key
    actor, loss = minimize(
        state.actor,
        lambda params: -jnp.mean(networks.policy(params, batch.observation).log_prob(batch.action)),
        hyper.actor_learning_rate,
    )
    return State(actor), {"actor_loss": loss}
