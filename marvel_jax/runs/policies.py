"""Trained policies, from the folder of a run or a sweep, to act with in any code."""

from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
from flax import struct
from jax.typing import ArrayLike

from marvel_jax.config import run
from marvel_jax.config.errors import UserError
from marvel_jax.config.hyper import Hyper
from marvel_jax.core import networks
from marvel_jax.core.networks import Params
from marvel_jax.core.problem import Problem, from_spec, offline
from marvel_jax.runs import checkpoint
from marvel_jax.runs.folder import RunFolder
from marvel_jax.sweeps import request as requests
from marvel_jax.sweeps.folder import SweepFolder


class Policy(struct.PyTreeNode, eq=False):
    """A trained policy. It is a pytree, so that functions that are jitted take it as an argument, and that several are
    one with an axis in front: `jax.vmap(lambda policy: policy(observation))(policies)`.

    Attributes:
      params: Of the network, see `networks.policy`.
      problem: Sizes, and bounds of the exploration noise (static).
    """  # (Not compared by value, so that `jax.jit(policy)` works too.)

    params: Params
    problem: Problem = struct.field(pytree_node=False)

    def __call__(self, observation: ArrayLike) -> jax.Array:
        """Mean actions `[..., action_size]` in [−1, 1] at `[..., observation_size]`: what is deployed."""
        return _mode(self, jnp.asarray(observation))

    def sample(self, observation: ArrayLike, key: jax.Array) -> jax.Array:
        """Exploring actions `[..., action_size]` at `[..., observation_size]`."""
        return _sample(self, jnp.asarray(observation), key)


@jax.jit
def _mode(policy: Policy, observation: jax.Array) -> jax.Array:
    return networks.policy(policy.problem, policy.params, observation).mode()


@jax.jit
def _sample(policy: Policy, observation: jax.Array, key: jax.Array) -> jax.Array:
    return networks.policy(policy.problem, policy.params, observation).sample(key)[0]


def load(
    path: Path | str,
    seed: int | None = None,
    run: int | None = None,
    stage: Literal["pretrain", "finetune"] = "finetune",
) -> Policy:
    """The policy that a command has trained. Reads nothing else of the folder, and needs no environment.

    Args:
      path: A run's folder, or a sweep's.
      seed: Of a run: which one; None is all of them, on axis 0 of every array, from the first seed on.
      run: Of a sweep: the run's number in its `runs.parquet`.
      stage: Of a run: the stage that trained it. Of a sweep only the finetuned policies are kept.

    Raises:
      UserError: If there is no such policy, or it does not act alone (methods with a guide).

    Example:
      policy = load_policy("runs/mine", seed=0)
      action = policy(observation)
    """
    if (Path(path) / "sweep.json").exists():
        return _of_sweep(SweepFolder(Path(path)), seed, run, stage)
    if run is not None:
        raise UserError(f"{path} is no sweep: of a run say which seed, not run={run}.")
    return _of_run(RunFolder(Path(path)), seed, stage)


def _of_run(folder: RunFolder, seed: int | None, stage: str) -> Policy:
    saved = run.read(folder.path)
    seeds = range(saved.first_seed, saved.first_seed + saved.seeds)
    if seed is not None and seed not in seeds:
        raise UserError(f"{folder.path} has seeds {seeds[0]} to {seeds[-1]}, and no {seed}.")
    problem = _problem(saved.task, saved.method, saved.hyper, stage)
    params = checkpoint.read(folder.checkpoints(stage), ("learner", "actor", "params"))
    return Policy(params if seed is None else jax.tree.map(lambda x: x[seeds.index(seed)], params), problem)


def _of_sweep(folder: SweepFolder, seed: int | None, run: int | None, stage: str) -> Policy:
    if run is None or seed is not None or stage != "finetune":
        raise UserError(f"{folder.path} is a sweep, which keeps finetuned policies by run: say run=N of runs.parquet.")
    request, _ = folder.read_plan()
    points = requests.expand(request)
    if not 0 <= run < len(points) * request.seeds:
        raise UserError(f"{folder.path} has runs 0 to {len(points) * request.seeds - 1}, and no {run}.")
    point = points[run // request.seeds]
    return Policy(folder.policy(run), _problem(point.task, point.method, point.hyper, stage))


def _problem(task: str, method: str, hyper: Hyper, stage: str) -> Problem:
    """The problem of a policy, with numbers that compare, as static values must."""
    if stage not in ("pretrain", "finetune"):
        raise UserError(f"No policy is trained by a stage {stage!r}; there are pretrain and finetune.")
    if stage == "finetune" and hyper.method.guide != "none":
        raise UserError(
            f"What {method} trains acts together with the offline policy: `marvel evaluate` plays it, and "
            "stage='pretrain' has the offline policy alone."
        )
    problem = from_spec(run.find_task(task), hyper)
    return jax.tree.map(float, offline(problem, hyper) if stage == "pretrain" else problem)
