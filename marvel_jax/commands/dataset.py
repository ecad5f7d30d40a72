"""`marvel dataset`."""

import json
from dataclasses import dataclass
from pathlib import Path

from marvel_jax.commands._options import Flag, Task
from marvel_jax.commands._shared import check_unused, import_env_module
from marvel_jax.config.errors import UserError
from marvel_jax.config.tasks import find_task


@dataclass(frozen=True)
class Options:
    """What a dataset offers under a cost limit: returns and costs of its episodes, and the best within the limit."""

    task: Task
    """Task, as listed by `marvel tasks`."""
    dataset: Path | None = None
    """HDF5 file in DSRL's layout. Default: the one that comes with the package."""
    cost_limit: float | None = None
    """Undiscounted cost per episode. Default: the task's."""
    out: Path | None = None
    """PNG file to draw every episode's return and cost into; must not exist."""
    env_module: str | None = None
    """A Python file or module of yours that registers environments."""
    json: Flag = False
    """Print one JSON object."""


def run(options: Options) -> int:
    """Describes a dataset; returns the exit status."""
    import_env_module(options.env_module)
    spec = find_task(options.task)
    limit = spec.cost_limit if options.cost_limit is None else options.cost_limit
    if limit < 0:
        raise UserError(f"--cost-limit is {limit:g}; give 0 or more.")
    if options.out is not None:
        check_unused(options.out)
        if not options.out.suffix:  # where another file would be written
            raise UserError(f"{options.out} does not say its format; give an --out such as {options.out}.png.")
    from marvel_jax.datasets.hdf5 import load_dataset, shipped_path
    from marvel_jax.report.dataset import describe, draw, print_description

    data = load_dataset(options.dataset or shipped_path(spec.name), spec)
    found = describe(data, limit)
    if options.out is not None:
        draw(data, limit, options.out)
    if options.json:
        print(json.dumps(found))
        return 0
    print_description(found)
    if options.out is not None:
        print(options.out)
    return 0
