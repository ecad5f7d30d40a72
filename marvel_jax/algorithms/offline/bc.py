"""Behaviour cloning: maximum likelihood of the data's actions. Which data makes it `bc` or `bc-safe`."""

import jax
import jax.numpy as jnp
from flax import struct

from marvel_jax.config.hyper import BehaviourCloning
from marvel_jax.core.networks import init_actor, policy
from marvel_jax.core.parameters import Learner, minimize, new_learner
from marvel_jax.core.problem import Problem
from marvel_jax.core.transitions import Transition


class State(struct.PyTreeNode):
    """The policy."""

    actor: Learner


def init(hyper: BehaviourCloning, problem: Problem, key: jax.Array) -> State:
    """Random networks."""
    del hyper
    return State(new_learner(init_actor(problem, key)))


def update(
    hyper: BehaviourCloning, problem: Problem, state: State, batch: Transition, key: jax.Array
) -> tuple[State, dict[str, jax.Array]]:
    """One gradient step on −E[log π(a|s)]. Arguments and result as in `cpq.update`."""
    del key
    actor, loss = minimize(
        state.actor,
        lambda params: -jnp.mean(policy(problem, params, batch.observation).log_prob(batch.action)),
        hyper.actor_learning_rate,
    )
    return State(actor), {"actor_loss": loss}
