"""Trained policies from the folder of a run or of a sweep."""

from pathlib import Path

from marvel_jax.config.errors import UserError
from marvel_jax.runs.folder import RunFolder
from marvel_jax.runs.policies import Policy, TrainedBy, policy_of_run, trained_networks
from marvel_jax.sweeps.folder import SweepFolder
from marvel_jax.sweeps.request import expand


def load_policy(
    path: Path | str, seed: int | None = None, run: int | None = None, stage: TrainedBy = "finetune"
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
    return policy_of_run(RunFolder(Path(path)), seed, stage)


def _of_sweep(folder: SweepFolder, seed: int | None, run: int | None, stage: str) -> Policy:
    if run is None or seed is not None or stage != "finetune":
        raise UserError(f"{folder.path} is a sweep, which keeps finetuned policies by run: say run=N of runs.parquet.")
    request, _ = folder.read_plan()
    points = expand(request)
    if not 0 <= run < len(points) * request.seeds:
        raise UserError(f"{folder.path} has runs 0 to {len(points) * request.seeds - 1}, and no {run}.")
    point = points[run // request.seeds]
    return Policy(folder.policy(run), trained_networks(point.task, point.method, point.hyper, stage))
