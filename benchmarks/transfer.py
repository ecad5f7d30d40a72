"""Does a policy finetuned on our environment do the same in the real simulator?

    uv run --extra simulators python benchmarks/transfer.py [TASK ...]

For every task: a small dataset is collected, `marvel run --preset quick` makes policies of two seeds from it, and the
same policies play 50 episodes here and in the simulator that the task is modelled on. Ball tasks use the datasets of
the package. Results are added to `results/transfer.json` task by task. On two cores Ball, Drone and CarRun take two to
six minutes each, CarCircle and AntRun ten, velocity tasks ten to thirty.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import common
from marvel_envs import TASKS

EPISODES = 50
LIMITS = ("--runs", "1", "--limits", "10", "20", "40", "1000")
# How long behaviour policies train: short, but for bodies that must first learn not to fall.
ITERATIONS = {"DroneRun": 400, "DroneCircle": 100, "HopperVelocity": 24, "Walker2dVelocity": 24, "AntVelocity": 24}


def marvel(*words: str) -> str:
    """Standard output of a `marvel` command."""
    return subprocess.run(["marvel", *words], check=True, capture_output=True, text=True).stdout


def dataset(task: str, folder: Path) -> list[str]:
    """The options that give `marvel run` a dataset of the task, made for it unless the package has one."""
    if task.startswith("Ball"):
        return []
    path = folder / f"{task}.hdf5"
    iterations = str(ITERATIONS.get(task, 40))
    marvel("collect", task, "--iterations", iterations, "--stages", "4", *LIMITS, "--out", str(path), "--quiet")
    return ["--dataset", str(path)]


def measure(task: str, folder: Path) -> dict[str, Any]:
    """Reward and cost of both seeds' policies on both sides."""
    run = str(folder / "run")
    marvel("run", task, "--preset", "quick", "--seeds", "2", *dataset(task, folder), "--out", run, "--quiet")
    words = ("--episodes", str(EPISODES), "--simulator", TASKS[task].simulator, "--json")
    return {"episodes": EPISODES, "per_seed": json.loads(marvel("evaluate", run, *words))["per_seed"]}


def main() -> None:
    for task in sys.argv[1:] or TASKS:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(task, Path(folder))
        common.add("transfer", "python benchmarks/transfer.py", {task: found})
        for row in found["per_seed"]:
            there = row["simulator"]
            print(f"{task} seed {row['seed']}: reward {row['reward']:.1f} here, {there['reward']:.1f} there; ", end="")
            print(f"cost {row['cost']:.1f} here, {there['cost']:.1f} there", flush=True)


if __name__ == "__main__":
    main()
