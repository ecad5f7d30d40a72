"""Offline-to-online for real: pretrained on our environment's data, finetuned in the simulator itself.

    uv run --extra simulators python benchmarks/real_finetuning.py

Preset `quick` (200 online episodes), finetuned here and in the real simulator from the same offline policies, each
evaluated where it was finetuned: BallCircle with four seeds, HalfCheetahVelocity with two and a dataset of its own.
Writes `results/real-finetuning.json`; five minutes for the ball, half an hour for the cheetah.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import common
from marvel_envs import TASKS
from transfer import dataset, marvel

SEEDS = {"BallCircle": 4, "HalfCheetahVelocity": 2}
KEPT = ("offline", "final", "safe_seeds", "violation", "seconds", "per_seed")


def measure(task: str, folder: Path) -> dict[str, Any]:
    """Summaries of both runs, by where they were finetuned."""
    here, there = str(folder / "here"), str(folder / "there")
    simulator, seeds = TASKS[task].simulator, str(SEEDS[task])
    first = marvel("run", task, "--preset", "quick", "--seeds", seeds, *dataset(task, folder), "--out", here, "--json")
    second = marvel("finetune", "--from", here, "--simulator", simulator, "--out", there, "--json")
    summaries = {"here": json.loads(first), simulator: json.loads(second)}
    return {where: {name: summary[name] for name in KEPT} for where, summary in summaries.items()}


def main() -> None:
    found = {}
    for task in SEEDS:
        with tempfile.TemporaryDirectory() as folder:
            found[task] = measure(task, Path(folder))
        for where, run in found[task].items():
            reward, cost = run["final"]["reward"]["iqm"], run["final"]["cost"]["iqm"]
            print(f"{task} {where}: reward {reward:.0f}, cost {cost:.1f}, violation {run['violation']:.2f}", flush=True)
        common.write("real-finetuning", "python benchmarks/real_finetuning.py", {"tasks": found})


if __name__ == "__main__":
    main()
