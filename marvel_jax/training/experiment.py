"""A whole experiment as one pure function: pretrain → align → finetune → evaluate."""

from dataclasses import replace
from typing import Any

import jax
from flax import linen as nn
from flax import struct
from marvel_envs.base import SafetyEnv

from marvel_jax.algorithms.registry import ONLINE
from marvel_jax.config.hyper import Hyper
from marvel_jax.core.networks import init_actor, init_twins, init_value
from marvel_jax.core.parameters import Critics, new_learner
from marvel_jax.core.problem import Problem, from_environment
from marvel_jax.core.transitions import Transition
from marvel_jax.training import align, finetune, pretrain
from marvel_jax.training.evaluate import Evaluation, evaluate


class StageKeys(struct.PyTreeNode):
    """One key per stage, so that a stage run alone draws the same numbers."""

    pretrain: jax.Array
    align: jax.Array
    finetune: jax.Array
    offline_evaluation: jax.Array
    evaluation: jax.Array


class Result(struct.PyTreeNode):
    """What an experiment returns.

    Attributes:
      offline: Evaluation of the policy that finetuning starts from.
      final: Evaluation of the finetuned policy.
      metrics: `finetune.iteration`'s metrics, `[iterations]` each.
      learner: The finetuned state of the online algorithm.
    """

    offline: Evaluation
    final: Evaluation
    metrics: dict[str, jax.Array]
    learner: Any


def stage_keys(key: jax.Array) -> StageKeys:
    """The keys of all stages of the experiment with this key."""
    return StageKeys(*jax.random.split(key, 5))


def uses_offline_stage(hyper: Hyper) -> bool:
    """Whether anything of the offline stage enters the online one."""
    method = hyper.method
    return method.actor == "offline" or method.critics == "offline" or method.guide != "none"


def start_alignment(hyper: Hyper, problem: Problem, offline: pretrain.State, key: jax.Array) -> align.State:
    """The alignment stage's first state: the offline policy with its own or with fresh critics."""
    actor, critics, key = _starting_networks(hyper, problem, offline, key)
    state = align.init(actor.params, critics.reward_twins, critics.cost_twins, key)
    if critics.reward_value is None:
        return state
    return align.with_values(state, critics.reward_value, critics.cost_value)


def _starting_networks(hyper: Hyper, problem: Problem, offline: pretrain.State, key: jax.Array):
    """The policy as a `Learner`, its `Critics`, and a key for the rest."""
    reward_key, cost_key, actor_key, key = jax.random.split(key, 4)
    learner = offline.learner
    if hyper.method.critics == "offline":
        twins = learner.reward_critic.params, learner.cost_critic.params
    else:
        twins = init_twins(problem, reward_key), init_twins(problem, cost_key)
    values = None, None
    if hyper.online_algorithm == "ppo-lag":
        values = init_value(problem, reward_key), init_value(problem, cost_key)
    fresh_actor = new_learner(init_actor(problem, actor_key))
    return learner.actor if hyper.method.actor == "offline" else fresh_actor, Critics(*twins, *values), key


def start_finetuning(
    hyper: Hyper, problem: Problem, offline: pretrain.State, aligned: align.State | None, key: jax.Array
) -> finetune.State:
    """The online stage's first state: what the method carries over from the stages before it."""
    actor, critics, key = _starting_networks(hyper, problem, offline, key)
    learner = ONLINE[hyper.online_algorithm].start(hyper, actor, critics if aligned is None else aligned.critics)
    return finetune.init(hyper, problem, learner, key, offline.learner.actor.params)


def run(
    hyper: Hyper,
    dataset: Transition,
    key: jax.Array,
    env: SafetyEnv,
    actor: nn.Module | None = None,
    critic: nn.Module | None = None,
) -> Result:
    """All stages for one seed. Pure: `jit` it, and `vmap` it over keys and over any traced field of `hyper`.

    Args:
      hyper: Hyperparameters; its static fields and `env` select the program, the rest is traced.
      dataset: `[N]` offline transitions, shared by all seeds.
      key: The seed's key; `jax.random.key(k)` is what the command line uses for seed k.
      env: From `marvel_envs.make`.
      actor, critic: Flax modules instead of multilayer perceptrons, see `Problem`.

    Example:
      env, data = marvel_envs.make("BallCircle"), load_shipped("BallCircle").transitions
      limits = jnp.array([10.0, 20.0, 40.0])
      results = jax.jit(jax.vmap(lambda d: run(override(Hyper(), cost_limit=d), data, jax.random.key(0), env)))(limits)
    """
    problem = replace(from_environment(env, hyper), actor=actor, critic=critic)
    keys = stage_keys(key)
    offline = pretrain.init(hyper, problem, keys.pretrain)
    if uses_offline_stage(hyper):
        offline, _ = pretrain.advance(hyper, problem, dataset, offline, hyper.pretrain.updates)
        offline, _ = pretrain.choose(hyper, problem, env, offline)
    aligned = None
    if hyper.method.value_alignment:
        aligned = start_alignment(hyper, problem, offline, keys.align)
        aligned, _ = align.advance(hyper, problem, dataset, aligned, hyper.alignment.updates)
    state = start_finetuning(hyper, problem, offline, aligned, keys.finetune)
    before = evaluate(env, problem, state.acting, keys.offline_evaluation, hyper.evaluation_episodes)
    state, metrics = finetune.advance(hyper, problem, env, dataset, state, hyper.online.iterations)
    after = evaluate(env, problem, state.acting, keys.evaluation, hyper.evaluation_episodes)
    return Result(offline=before, final=after, metrics=metrics, learner=state.learner)
