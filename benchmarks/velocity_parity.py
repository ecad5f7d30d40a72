"""How closely one step of each velocity task agrees with recordings of real Safety-Gymnasium.

    uv run python benchmarks/velocity_parity.py

Prints and writes `results/velocity-parity.json`; most of its four minutes is compiling.
"""

import common
import marvel_envs
from marvel_envs import parity


def main() -> None:
    found = {}
    for task in (name for name, spec in marvel_envs.TASKS.items() if spec.family == "velocity"):
        env = marvel_envs.make(task)
        found[task] = parity.parity(env, parity.load_recording(parity.shipped_recording(task), env))
        print(found[task], flush=True)
        common.write("velocity-parity", "python benchmarks/velocity_parity.py", {"tasks": found})


if __name__ == "__main__":
    main()
