"""`marvel tasks`."""

import dataclasses
import json
from dataclasses import dataclass

from marvel_envs.tasks import TASKS

from marvel_jax.commands._options import Flag
from marvel_jax.commands._shared import import_env_module


@dataclass(frozen=True)
class Options:
    """List the tasks."""

    env_module: str | None = None
    """A Python file or module of yours that registers environments."""
    json: Flag = False
    """Print one JSON object per line."""


def run(options: Options) -> int:
    """Lists the tasks; returns the exit status."""
    import_env_module(options.env_module)
    if options.json:
        for spec in TASKS.values():
            print(json.dumps(dataclasses.asdict(spec)))
        return 0
    from rich.console import Console
    from rich.table import Table

    table = Table("task", "steps", "obs", "act", "limit", "what to do", "models")
    for spec in TASKS.values():
        sizes = (str(spec.episode_length), str(spec.observation_size), str(spec.action_size))
        table.add_row(spec.name, *sizes, f"{spec.cost_limit:g}", spec.summary, spec.source)
    Console().print(table)
    return 0
