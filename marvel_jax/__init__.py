"""Offline-to-online safe reinforcement learning in JAX: every stage a pure function over pytrees.

Modules of `init`/`update` pairs, to be jitted and vmapped:
  cpq, bear_lag, bcq_lag, coptidice, bc
                offline algorithms
  align         value pre-alignment
  sac_lag, td3_lag, ppo_lag
                online algorithms under a Lagrange multiplier
  controllers   of the multiplier: fixed, dual ascent, PID and adaptive PID
  multiplier_alignment
                the multiplier at which reward and cost balance at the policy
  control       the loop around a controller: its setpoint and its units
  step_size     how far the policy moves in an iteration

  pretrain      the offline stage
  finetune      the online stage: rollouts, updates and one multiplier step per iteration
  rollout       episodes in vmapped environments
  evaluate      what a policy earns and costs

A whole experiment:
  experiment    `run(hyper, dataset, key, env)`, one pure function
  Hyper         every hyperparameter; `override(hyper, **{"gains.integral": 1e-3})` changes some
  layered       hyperparameters from preset, task, method and options
  Problem       the constrained MDP, as the update functions see it
  Networks      what actors and critics are built of
  NetworkPolicy a policy's parameters as what plays episodes
  Transition    the unit of experience
  METHODS       the methods by name: what each changes in the defaults
  load_shipped  the small dataset of a task that comes with the package
  load_dataset  any dataset in DSRL's HDF5 layout
  load_policy   a trained policy from the folder of a run or a sweep, to act with

Environments are in `marvel_envs`. Everything is imported on first use; Brax only by what needs environments.
"""

import importlib
from typing import Any

_MODULES = {
    "cpq": "marvel_jax.algorithms.offline.cpq",
    "bear_lag": "marvel_jax.algorithms.offline.bear_lag",
    "bcq_lag": "marvel_jax.algorithms.offline.bcq_lag",
    "coptidice": "marvel_jax.algorithms.offline.coptidice",
    "bc": "marvel_jax.algorithms.offline.bc",
    "sac_lag": "marvel_jax.algorithms.online.sac_lag",
    "td3_lag": "marvel_jax.algorithms.online.td3_lag",
    "ppo_lag": "marvel_jax.algorithms.online.ppo_lag",
    "align": "marvel_jax.training.align",
    "controllers": "marvel_jax.multiplier.controllers",
    "multiplier_alignment": "marvel_jax.multiplier.alignment",
    "control": "marvel_jax.multiplier.control",
    "step_size": "marvel_jax.training.step_size",
    "pretrain": "marvel_jax.training.pretrain",
    "finetune": "marvel_jax.training.finetune",
    "rollout": "marvel_jax.training.rollout",
    "evaluate": "marvel_jax.training.evaluate",
    "experiment": "marvel_jax.training.experiment",
}
_NAMES = {
    "Hyper": "marvel_jax.config.hyper",
    "override": "marvel_jax.config.hyper",
    "layered": "marvel_jax.config.presets",
    "Problem": "marvel_jax.core.problem",
    "Networks": "marvel_jax.core.networks",
    "NetworkPolicy": "marvel_jax.core.acting",
    "Transition": "marvel_jax.core.transitions",
    "METHODS": "marvel_jax.config.methods",
    "load_shipped": "marvel_jax.datasets.hdf5",
    "load_dataset": "marvel_jax.datasets.hdf5",
    "load_policy": "marvel_jax.sweeps.policies",
}

__all__ = [*_MODULES, *_NAMES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
