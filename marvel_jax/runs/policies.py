"""Trained policies, to act with in any code."""

from typing import Literal

import jax
import jax.numpy as jnp
from flax import struct
from jax.typing import ArrayLike

from marvel_jax.config.errors import UserError
from marvel_jax.config.hyper import Hyper
from marvel_jax.config.run_config import read
from marvel_jax.config.tasks import find_task
from marvel_jax.core.networks import Networks, Params
from marvel_jax.runs import checkpoint
from marvel_jax.runs.folder import RunFolder
from marvel_jax.training.stages import FINETUNE, PRETRAIN, setting_of

TrainedBy = Literal["pretrain", "finetune"]


class Policy(struct.PyTreeNode, eq=False):
    """A trained policy. It is a pytree, so that functions that are jitted take it as an argument, and that several are
    one with an axis in front: `jax.vmap(lambda policy: policy(observation))(policies)`.

    Attributes:
      params: Of the actor, see `Networks.policy`.
      networks: What they are of, with the bounds of the exploration noise (static).
    """  # (Not compared by value, so that `jax.jit(policy)` works too.)

    params: Params
    networks: Networks = struct.field(pytree_node=False)

    def __call__(self, observation: ArrayLike) -> jax.Array:
        """Mean actions `[..., action_size]` in [−1, 1] at `[..., observation_size]`: what is deployed."""
        return _mode(self, jnp.asarray(observation))

    def sample(self, observation: ArrayLike, key: jax.Array) -> jax.Array:
        """Exploring actions `[..., action_size]` at `[..., observation_size]`."""
        return _sample(self, jnp.asarray(observation), key)


@jax.jit
def _mode(policy: Policy, observation: jax.Array) -> jax.Array:
    return policy.networks.policy(policy.params, observation).mode()


@jax.jit
def _sample(policy: Policy, observation: jax.Array, key: jax.Array) -> jax.Array:
    return policy.networks.policy(policy.params, observation).sample(key)[0]


def policy_of_run(folder: RunFolder, seed: int | None, stage: TrainedBy = "finetune") -> Policy:
    """A run's policy of one seed, or of all (axis 0) for None, after a stage.

    Raises:
      UserError: If there is no such policy, or it does not act alone (methods with a guide).
    """
    saved = read(folder.path)
    seeds = range(saved.first_seed, saved.first_seed + saved.seeds)
    if seed is not None and seed not in seeds:
        raise UserError(f"{folder.path} has seeds {seeds[0]} to {seeds[-1]}, and no {seed}.")
    networks = trained_networks(saved.task, saved.method, saved.hyper, stage)
    params = checkpoint.read(folder.checkpoints(stage), ("learner", "actor", "params"))
    return Policy(params if seed is None else jax.tree.map(lambda x: x[seeds.index(seed)], params), networks)


def trained_networks(task: str, method: str, hyper: Hyper, stage: str) -> Networks:
    """The networks of a policy that a stage has trained, with numbers that compare, as static values must.

    Raises:
      UserError: If no policy is trained by that stage, or it does not act alone.
    """
    if stage not in (PRETRAIN, FINETUNE):
        raise UserError(f"No policy is trained by a stage {stage!r}; there are pretrain and finetune.")
    if stage == FINETUNE and hyper.method.guide != "none":
        raise UserError(
            f"What {method} trains acts together with the offline policy: `marvel evaluate` plays it, and "
            "stage='pretrain' has the offline policy alone."
        )
    _, offline, online = setting_of(find_task(task), hyper)
    return jax.tree.map(float, offline if stage == PRETRAIN else online)
