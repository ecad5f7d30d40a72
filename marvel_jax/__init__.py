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
    "cpq": ("marvel_jax.algorithms.cpq", None),
    "bear_lag": ("marvel_jax.algorithms.bear_lag", None),
    "bcq_lag": ("marvel_jax.algorithms.bcq_lag", None),
    "coptidice": ("marvel_jax.algorithms.coptidice", None),
    "cloning": ("marvel_jax.algorithms.cloning", None),
    "sac_lag": ("marvel_jax.algorithms.sac_lag", None),
    "td3_lag": ("marvel_jax.algorithms.td3_lag", None),
    "ppo_lag": ("marvel_jax.algorithms.ppo_lag", None),
    "align": ("marvel_jax.align", None),
    "multipliers": ("marvel_jax.multipliers", None),
    "control": ("marvel_jax.control", None),
    "step_size": ("marvel_jax.step_size", None),
    "networks": ("marvel_jax.networks", None),
    "finetune": ("marvel_jax.finetune", None),
    "pretrain": ("marvel_jax.pretrain", None),
    "rollout": ("marvel_jax.rollout", None),
    "evaluate": ("marvel_jax.evaluate", None),
    "experiment": ("marvel_jax.experiment", None),
    "Hyper": ("marvel_jax.hyper", "Hyper"),
    "override": ("marvel_jax.hyper", "override"),
    "Problem": ("marvel_jax.problem", "Problem"),
    "Transition": ("marvel_jax.transitions", "Transition"),
    "METHODS": ("marvel_jax.methods", "METHODS"),
    "load_shipped": ("marvel_jax.datasets.dataset", "load_shipped"),
    "load_dataset": ("marvel_jax.datasets.dataset", "load"),
    "load_policy": ("marvel_jax.policies", "load"),
}

__all__ = list(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _WHERE[name]
    loaded = importlib.import_module(module)
    return loaded if attribute is None else getattr(loaded, attribute)
