"""Does a policy finetuned on our environment do the same in the real simulator?

    uv run --extra simulators python benchmarks/transfer.py [TASK ...]

For every task: a small dataset is collected, `marvel run --preset quick` makes policies of two seeds from it, and the
same policies play 50 episodes here and in the simulator that the task is modelled on. Ball tasks use the datasets of
the package. Results are added to `results/transfer.json` task by task. Ball, Drone and CarRun take two to six minutes
each on two cores, CarCircle, Ant and velocity tasks up to an hour.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import common
from marvel_envs import TASKS

COLLECT = ("--iterations", "40", "--stages", "4", "--runs", "1", "--limits", "10", "20", "40", "1000")


def marvel(*words: str) -> str:
    """Standard output of a `marvel` command."""
    return subprocess.run(["marvel", *words], check=True, capture_output=True, text=True).stdout


def measure(task: str, folder: Path) -> dict:
    """Reward and cost of both seeds' policies on both sides."""
    data = []
    if not task.startswith("Ball"):
        data = ["--dataset", str(folder / "data.hdf5")]
        marvel("collect", task, *COLLECT, "--out", data[1], "--quiet")
    run = str(folder / "run")
    marvel("run", task, "--preset", "quick", "--seeds", "2", *data, "--out", run, "--quiet")
    result = json.loads(marvel("evaluate", run, "--episodes", "50", "--simulator", TASKS[task].simulator, "--json"))
    return {"command_dataset": " ".join(COLLECT) if data else "package", "per_seed": result["per_seed"]}


def main() -> None:
    path = common.RESULTS / "transfer.json"
    found = json.loads(path.read_text())["tasks"] if path.exists() else {}
    for task in sys.argv[1:] or TASKS:
        with tempfile.TemporaryDirectory() as folder:
            found[task] = measure(task, Path(folder))
        common.write("transfer", "python benchmarks/transfer.py", {"tasks": found})
        for row in found[task]["per_seed"]:
            there = row["simulator"]
            print(f"{task} seed {row['seed']}: reward {row['reward']:.1f} here, {there['reward']:.1f} there; ", end="")
            print(f"cost {row['cost']:.1f} here, {there['cost']:.1f} there", flush=True)


if __name__ == "__main__":
    main()
