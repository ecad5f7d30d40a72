"""`marvel collect`."""

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path

from marvel_jax.commands._options import Flag, Task
from marvel_jax.commands._shared import import_env_module, prepare_jax
from marvel_jax.config.errors import UserError
from marvel_jax.config.tasks import find_task

COUNTS = ("episodes", "runs", "iterations", "stages", "episodes_per_stage")


@dataclass(frozen=True)
class Options:
    """Make an offline dataset: train behaviour policies at several cost limits, record them, thin the episodes."""

    task: Task
    """Task, as listed by `marvel tasks`."""
    out: Path | None = None
    """HDF5 file to write; must not exist. Default: TASK.hdf5."""
    episodes: int = 300
    """Largest number of episodes to keep."""
    seed: int = 0
    """Seed of everything random."""
    limits: tuple[float, ...] = (5.0, 10.0, 20.0, 40.0, 80.0, 1000.0)
    """Cost limits of the behaviour policies, undiscounted cost per episode."""
    runs: int = 2
    """Training runs per cost limit."""
    iterations: int = 200
    """Training iterations of 5 episodes and 200 updates each; a multiple of --stages."""
    stages: int = 10
    """How often during training episodes are recorded."""
    episodes_per_stage: int = 10
    """Episodes recorded of each policy at each stage."""
    env_module: str | None = None
    """A Python file or module of yours that registers environments."""
    quiet: Flag = False
    """No progress."""


def run(options: Options) -> int:
    """Makes a dataset; returns the exit status."""
    import_env_module(options.env_module)
    spec = find_task(options.task)
    out = options.out or Path(f"{spec.name}.hdf5")
    _check(options, out)
    prepare_jax(options.runs * len(options.limits))
    import jax
    import marvel_envs

    from marvel_jax.datasets.collect import behaviour_hyper, collect
    from marvel_jax.datasets.hdf5 import save_dataset
    from marvel_jax.runs.console import Reporter

    with Reporter(options.quiet) as reporter:
        reporter.begin("collect", "stages", options.stages)
        made = collect(
            marvel_envs.make(spec.name),
            behaviour_hyper(options.iterations),
            jax.random.key(options.seed),
            cost_limits=options.limits,
            runs=options.runs,
            stages=options.stages,
            episodes_per_stage=options.episodes_per_stage,
            keep=options.episodes,
            report=reporter.update,
        )
    save_dataset(out, made, "marvel " + " ".join(["collect", *_changed(options)]))
    returns, costs = made.episode_sums()
    print(
        f"{out}: {len(returns)} episodes, {len(made.ends)} steps, return {returns.min():.0f} to {returns.max():.0f}, "
        f"cost {costs.min():.0f} to {costs.max():.0f}"
    )
    return 0


def _check(options: Options, out: Path) -> None:
    """Refuses what cannot work, before anything slow happens."""
    for name in COUNTS:
        if getattr(options, name) < 1:
            raise UserError(f"--{name.replace('_', '-')} is {getattr(options, name)}; give at least 1.")
    if options.iterations % options.stages:
        raise UserError(f"--iterations {options.iterations} is not a multiple of --stages {options.stages}.")
    if not options.limits or min(options.limits) < 0:
        raise UserError(f"--limits is {options.limits}; give one or more costs of 0 or more.")
    if out.exists():
        raise UserError(f"{out} exists, and nothing is overwritten. Give another --out.")
    if not out.absolute().parent.is_dir() or not os.access(out.absolute().parent, os.W_OK):
        raise UserError(f"{out} cannot be written. Give an --out in a folder that exists and is writable.")


def _changed(options: Options) -> list[str]:
    """The options that decide the data and differ from their defaults, as typed."""
    words = [options.task]
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if field.name not in ("task", "out", "quiet") and (
            value != field.default or field.name in ("episodes", "seed")
        ):
            values = value if isinstance(value, tuple) else (value,)
            words += [f"--{field.name.replace('_', '-')}", *(v if isinstance(v, str) else f"{v:g}" for v in values)]
    return words
