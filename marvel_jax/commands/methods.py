"""`marvel methods`."""

import dataclasses
import json
from dataclasses import dataclass

from marvel_jax.commands._options import Flag
from marvel_jax.commands._shared import import_env_module
from marvel_jax.config.methods import METHODS


@dataclass(frozen=True)
class Options:
    """List the methods that `marvel run --method` knows: what each does and what it changes."""

    env_module: str | None = None
    """A Python file or module of yours that adds methods (see docs/adding/method.md)."""
    json: Flag = False
    """Print one JSON object per line."""


def run(options: Options) -> int:
    """Lists the methods; returns the exit status."""
    import_env_module(options.env_module)
    if options.json:
        for name, recipe in METHODS.items():
            print(json.dumps({"method": name, **dataclasses.asdict(recipe)}))
        return 0
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if Console().is_terminal else 120)
    table = Table(show_lines=True)
    table.add_column("method", no_wrap=True)
    table.add_column("what it does")
    table.add_column("what it changes", no_wrap=True)
    for name, recipe in METHODS.items():
        changes = "\n".join(f"{path.removeprefix('method.')} {value}" for path, value in recipe.changes.items())
        table.add_row(name, f"{recipe.summary} [dim]({recipe.source})[/dim]", changes)
    console.print(table)
    return 0
