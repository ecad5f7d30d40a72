"""What a method carries over from one stage to the next: policy, critics, guide."""

import jax

from marvel_jax.algorithms.registry import ONLINE
from marvel_jax.config import online
from marvel_jax.config.hyper import Hyper, online_section
from marvel_jax.core.networks import Networks
from marvel_jax.core.parameters import Critics, TrainState, train_state
from marvel_jax.core.problem import Problem
from marvel_jax.training import align, finetune, pretrain


def uses_offline_stage(hyper: Hyper) -> bool:
    """Whether anything of the offline stage enters the online one."""
    method = hyper.method
    return method.actor == "offline" or method.critics == "offline" or method.guide != "none"


def start_alignment(hyper: Hyper, networks: Networks, offline: pretrain.State, key: jax.Array) -> align.State:
    """The alignment stage's first state: the offline policy with its own or with fresh critics."""
    actor, critics, key = _starting_networks(hyper, networks, offline, key)
    state = align.init(actor.params, critics.reward_twins, critics.cost_twins, key)
    if critics.reward_value is None:
        return state
    return align.with_values(state, critics.reward_value, critics.cost_value)


def start_finetuning(
    hyper: Hyper,
    problem: Problem,
    networks: Networks,
    offline: pretrain.State,
    aligned: align.State | None,
    key: jax.Array,
) -> finetune.State:
    """The online stage's first state: what the method carries over from the stages before it."""
    actor, critics, key = _starting_networks(hyper, networks, offline, key)
    critics = critics if aligned is None else aligned.critics
    learner = ONLINE[hyper.online_algorithm].start(online_section(hyper), actor, critics)
    return finetune.init(hyper, problem, networks, learner, key, offline.learner.actor.params)


def _starting_networks(
    hyper: Hyper, networks: Networks, offline: pretrain.State, key: jax.Array
) -> tuple[TrainState, Critics, jax.Array]:
    """The policy, the critics that the online algorithm needs, and a key for the rest."""
    reward_key, cost_key, actor_key, key = jax.random.split(key, 4)
    learner = offline.learner
    if hyper.method.critics == "offline":
        twins = learner.reward_critic.params, learner.cost_critic.params
    else:
        twins = networks.init_twins(reward_key), networks.init_twins(cost_key)
    values = None, None
    if not online.ONLINE[hyper.online_algorithm].q_functions:
        values = networks.init_value(reward_key), networks.init_value(cost_key)
    fresh_actor = train_state(networks.init_actor(actor_key))
    return learner.actor if hyper.method.actor == "offline" else fresh_actor, Critics(*twins, *values), key
