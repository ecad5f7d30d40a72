"""Offline-to-online for real: pretrained on our environment's data, finetuned in the simulator itself.

    uv run --extra simulators python benchmarks/real_finetuning.py

BallCircle at preset `quick` (four seeds, 200 online episodes), finetuned here and in Bullet-Safety-Gym from the same
offline policies, each evaluated where it was finetuned. Writes `results/real-finetuning.json`, in five minutes.
"""

import json
import tempfile
from pathlib import Path

import common
from transfer import marvel

TASK, SIMULATOR = "BallCircle", "bullet-safety-gym"
KEPT = ("offline", "final", "safe_seeds", "violation", "seconds", "per_seed")


def main() -> None:
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        here, there = Path(folder) / "here", Path(folder) / "there"
        runs = {
            "here": ("run", TASK, "--preset", "quick", "--out", str(here)),
            SIMULATOR: ("finetune", "--from", str(here), "--simulator", SIMULATOR, "--out", str(there)),
        }
        for where, words in runs.items():
            summary = json.loads(marvel(*words, "--json"))
            found[where] = {name: summary[name] for name in KEPT}
            reward, cost = summary["final"]["reward"]["iqm"], summary["final"]["cost"]["iqm"]
            print(f"{where}: reward {reward:.0f}, cost {cost:.1f}, violation {summary['violation']:.2f}", flush=True)
    common.write("real-finetuning", "python benchmarks/real_finetuning.py", {"task": TASK, "runs": found})


if __name__ == "__main__":
    main()
