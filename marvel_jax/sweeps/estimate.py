"""How long a sweep will take, before it is begun."""

import time
from collections.abc import Sequence
from typing import Any

import jax

from marvel_jax.sweeps.common import key
from marvel_jax.sweeps.plan import Group
from marvel_jax.sweeps.programs import Programs
from marvel_jax.training.stages import FINETUNE


def estimate(groups: Sequence[Group], sizes: Sequence[int], programs: Programs) -> float:
    """Seconds that the sweep will take, from one chunk of updates or iterations of every stage of every group."""
    total, known = 0.0, set()
    for index, (group, size) in enumerate(zip(groups, sizes, strict=True)):
        program, batch = programs.get(index, size), programs.batch(index, size, group.runs[:size])
        states: dict[str, Any] = {}
        for stage in program.plan:
            first = program.start(stage, batch, states)
            program.compiled(stage, batch)
            clock = time.monotonic()
            states[stage.name], measured = program.advance(stage, batch, first)
            jax.block_until_ready(measured)
            seconds = (time.monotonic() - clock) * stage.total / stage.chunk
            if stage.name == FINETUNE:
                total += seconds * -(-len(group.runs) // size)
            else:
                needed = {(stage.name, key(stage.name, run, programs.datasets)) for run in group.runs} - known
                total += seconds * len(needed) / size
                known |= needed
    return total
