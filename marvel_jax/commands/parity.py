"""`marvel parity`."""

import json
from dataclasses import dataclass
from pathlib import Path

from marvel_jax.commands._options import Flag, Task
from marvel_jax.commands._shared import prepare_jax
from marvel_jax.config.errors import UserError
from marvel_jax.config.tasks import find_task


@dataclass(frozen=True)
class Options:
    """Measure a task against a recording of the simulator it models."""

    task: Task
    """Task, as listed by `marvel tasks`."""
    recording: Path | None = None
    """Recording (.npz) of the source simulator. Default: the one that comes with the package."""
    json: Flag = False
    """Print one JSON object, with errors per recorded episode too."""


def run(options: Options) -> int:
    """Measures a task against a recording; returns the exit status."""
    spec = find_task(options.task)
    prepare_jax(1)
    import marvel_envs
    from marvel_envs.parity import load_recording, parity, shipped_recording

    env = marvel_envs.make(spec.name)
    path = options.recording or shipped_recording(spec.name)
    try:
        result = parity(env, load_recording(path, env))
    except ValueError as error:
        raise UserError(str(error)) from None
    if options.json:
        print(json.dumps(result))
        return 0
    from marvel_jax.report.parity_table import print_parity

    print_parity(result)
    return 0
