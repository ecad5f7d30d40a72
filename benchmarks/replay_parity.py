"""Distance of the Bullet and navigation tasks from recordings of their simulators.

    uv run python benchmarks/replay_parity.py [TASK ...]

Prints, and adds to `results/replay-parity.json` task by task; most of the five minutes is compiling.
"""

import sys

import common
import marvel_envs
from marvel_envs import parity

from marvel_jax.report.parity_table import print_parity

TASKS = [task for task in marvel_envs.TASKS if not task.endswith("Velocity")]


def main() -> None:
    for task in sys.argv[1:] or TASKS:
        env = marvel_envs.make(task)
        found = parity.parity(env, parity.load_recording(parity.shipped_recording(task), env))
        print_parity(found)
        found.pop("episodes")
        common.add("replay-parity", "python benchmarks/replay_parity.py", {task: found})


if __name__ == "__main__":
    main()
