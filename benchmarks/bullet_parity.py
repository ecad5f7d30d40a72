"""Distance of all eight Bullet tasks from recordings of Bullet-Safety-Gym.

    uv run python benchmarks/bullet_parity.py

Prints and writes `results/bullet-parity.json`; most of its four minutes is compiling.
"""

import common
import marvel_envs
from marvel_envs import parity

from marvel_jax.report.tables import print_parity

TASKS = [f"{agent}{task}" for agent in ("Ball", "Car", "Drone", "Ant") for task in ("Circle", "Run")]


def main() -> None:
    found = {}
    for task in TASKS:
        env = marvel_envs.make(task)
        found[task] = parity.parity(env, parity.load_recording(parity.shipped_recording(task), env))
        print_parity(found[task])
        found[task].pop("episodes")
    common.write("bullet-parity", "python benchmarks/bullet_parity.py", {"tasks": found})


if __name__ == "__main__":
    main()
