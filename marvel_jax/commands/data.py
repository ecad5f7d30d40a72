"""The commands around offline data: collect, dataset."""

import dataclasses
import json
import os
from pathlib import Path

from marvel_jax.commands.options import Collect, Dataset
from marvel_jax.commands.shared import check_unused, prepare_jax
from marvel_jax.config import run as configuration
from marvel_jax.config.errors import UserError


def collect_command(options: Collect) -> int:
    """Makes a dataset."""
    spec = configuration.find_task(options.task)
    counts = ("episodes", "runs", "iterations", "stages", "episodes_per_stage")
    for name in counts:
        if getattr(options, name) < 1:
            raise UserError(f"--{name.replace('_', '-')} is {getattr(options, name)}; give at least 1.")
    if options.iterations % options.stages:
        raise UserError(f"--iterations {options.iterations} is not a multiple of --stages {options.stages}.")
    if not options.limits or min(options.limits) < 0:
        raise UserError(f"--limits is {options.limits}; give one or more costs of 0 or more.")
    out = options.out or Path(f"{spec.name}.hdf5")
    if out.exists():
        raise UserError(f"{out} exists, and nothing is overwritten. Give another --out.")
    if not out.absolute().parent.is_dir() or not os.access(out.absolute().parent, os.W_OK):
        raise UserError(f"{out} cannot be written. Give an --out in a folder that exists and is writable.")
    prepare_jax(options.runs * len(options.limits))
    import jax
    import marvel_envs

    from marvel_jax.datasets import hdf5 as datasets
    from marvel_jax.datasets.collect import behaviour_hyper, collect
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
    datasets.save(out, made, "marvel " + " ".join(["collect", *_changed(options)]))
    returns, costs = made.episode_sums()
    print(
        f"{out}: {len(returns)} episodes, {len(made.ends)} steps, return {returns.min():.0f} to {returns.max():.0f}, "
        f"cost {costs.min():.0f} to {costs.max():.0f}"
    )
    return 0


def _changed(options: Collect) -> list[str]:
    """The options of `marvel collect` that decide the data and differ from their defaults, as typed."""
    words = [options.task]
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if field.name not in ("task", "out", "quiet") and (
            value != field.default or field.name in ("episodes", "seed")
        ):
            values = value if isinstance(value, tuple) else (value,)
            words += [f"--{field.name.replace('_', '-')}", *(v if isinstance(v, str) else f"{v:g}" for v in values)]
    return words


def dataset_command(options: Dataset) -> int:
    """Says what a dataset offers."""
    spec = configuration.find_task(options.task)
    limit = spec.cost_limit if options.cost_limit is None else options.cost_limit
    if limit < 0:
        raise UserError(f"--cost-limit is {limit:g}; give 0 or more.")
    if options.out is not None:
        check_unused(options.out)
        if not options.out.suffix:  # where another file would be written
            raise UserError(f"{options.out} does not say its format; give an --out such as {options.out}.png.")
    from marvel_jax.datasets import hdf5 as datasets
    from marvel_jax.report import dataset as report

    path = options.dataset or datasets.shipped_path(spec.name)
    data = datasets.load(path, spec)
    found = report.describe(data, limit)
    if options.out is not None:
        report.draw(data, limit, options.out)
    if options.json:
        print(json.dumps(found))
        return 0
    report.print_description(found)
    if options.out is not None:
        print(options.out)
    return 0
