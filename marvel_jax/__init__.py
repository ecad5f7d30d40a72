"""Offline-to-online safe reinforcement learning in JAX: every stage a pure function over pytrees.

Modules of `init`/`update` pairs, to be jitted and vmapped:
  cpq, bear_lag, bcq_lag, coptidice, cloning
                offline pretraining
  align         value pre-alignment and multiplier pre-alignment
  sac_lag, td3_lag, ppo_lag
                online finetuning under a Lagrange multiplier
  multipliers   fixed, dual ascent, PID and adaptive PID
  control       the loop around a multiplier: pre-alignment at every iteration, and the controller's units
  step_size     how far the policy moves in an iteration

  networks      policy and twin critics
  finetune      the online stage: rollouts, updates and one multiplier step per iteration
  pretrain      the offline stage
  rollout       episodes in vmapped environments
  evaluate      what a policy earns and costs

A whole experiment:
  experiment    `run(hyper, dataset, key, env)`, one pure function
  Hyper         every hyperparameter; `override(hyper, **{"gains.integral": 1e-3})` changes some
  Problem       sizes and objective, as the update functions see them
  Transition    the unit of experience
  METHODS       the methods by name: what each changes in the defaults
  load_shipped  the small dataset of a task that comes with the package
  load_dataset  any dataset in DSRL's HDF5 layout
  load_policy   a trained policy from the folder of a run or a sweep, to act with

Environments are in `marvel_envs`. Everything is imported on first use; Brax only by what needs environments.
"""

import importlib
from typing import Any

_WHERE = {
    "cpq": ("marvel_jax.algorithms.offline.cpq", None),
    "bear_lag": ("marvel_jax.algorithms.offline.bear_lag", None),
    "bcq_lag": ("marvel_jax.algorithms.offline.bcq_lag", None),
    "coptidice": ("marvel_jax.algorithms.offline.coptidice", None),
    "cloning": ("marvel_jax.algorithms.offline.bc", None),
    "sac_lag": ("marvel_jax.algorithms.online.sac_lag", None),
    "td3_lag": ("marvel_jax.algorithms.td3_lag", None),
    "ppo_lag": ("marvel_jax.algorithms.online.ppo_lag", None),
    "align": ("marvel_jax.training.align", None),
    "multipliers": ("marvel_jax.multiplier.controllers", None),
    "control": ("marvel_jax.multiplier.control", None),
    "step_size": ("marvel_jax.training.step_size", None),
    "networks": ("marvel_jax.core.networks", None),
    "finetune": ("marvel_jax.training.finetune", None),
    "pretrain": ("marvel_jax.training.pretrain", None),
    "rollout": ("marvel_jax.training.rollout", None),
    "evaluate": ("marvel_jax.training.evaluate", None),
    "experiment": ("marvel_jax.training.experiment", None),
    "Hyper": ("marvel_jax.config.hyper", "Hyper"),
    "override": ("marvel_jax.config.hyper", "override"),
    "Problem": ("marvel_jax.core.problem", "Problem"),
    "Transition": ("marvel_jax.core.transitions", "Transition"),
    "METHODS": ("marvel_jax.config.methods", "METHODS"),
    "load_shipped": ("marvel_jax.datasets.hdf5", "load_shipped"),
    "load_dataset": ("marvel_jax.datasets.hdf5", "load"),
    "load_policy": ("marvel_jax.runs.policies", "load"),
}

__all__ = list(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _WHERE[name]
    loaded = importlib.import_module(module)
    return loaded if attribute is None else getattr(loaded, attribute)
