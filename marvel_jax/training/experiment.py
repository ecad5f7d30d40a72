"""A whole experiment as one pure function: pretrain → align → finetune → evaluate."""

from typing import Any

import jax
from flax import linen as nn
from flax import struct
from marvel_envs.base import SafetyEnv

from marvel_jax.config.hyper import Hyper
from marvel_jax.core.transitions import Transition
from marvel_jax.training import stages
from marvel_jax.training.evaluate import Evaluation, evaluate


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
      actor, critic: Flax modules instead of multilayer perceptrons, see `Networks`.

    Example:
      env, data = marvel_envs.make("BallCircle"), load_shipped("BallCircle").transitions
      limits = jnp.array([10.0, 20.0, 40.0])
      results = jax.jit(jax.vmap(lambda d: run(override(Hyper(), cost_limit=d), data, jax.random.key(0), env)))(limits)
    """
    problem, _, networks = stages.setting_of(env.spec, hyper, actor, critic)
    keys, states = stages.stage_keys(key), {}
    *before, finetuning = stages.plan(env, hyper, actor, critic)
    for stage in before:
        states[stage.name], _ = stage.advance(dataset, hyper, stage.start(hyper, key, states), stage.total)
    start = finetuning.start(hyper, key, states)
    offline = evaluate(env, problem, networks, start.acting, keys.offline_evaluation, hyper.evaluation_episodes)
    state, metrics = finetuning.advance(dataset, hyper, start, finetuning.total)
    final = evaluate(env, problem, networks, state.acting, keys.evaluation, hyper.evaluation_episodes)
    return Result(offline=offline, final=final, metrics=metrics, learner=state.learner)
