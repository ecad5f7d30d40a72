"""What `--writers` costs: seconds of the online stage without any, with TensorBoard, with Weights & Biases offline.

    python benchmarks/writers.py

Preset `quick` on BallCircle, a point per iteration, in turns; writes `results/writers.json`. Three minutes.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import common
import numpy as np

ROUNDS = 5
KINDS = {"none": (), "tensorboard": ("tensorboard",), "wandb": ("wandb",)}


def online_seconds(writers: tuple[str, ...]) -> float:
    """Seconds of the online stage of a run in a process of its own."""
    asked = ("--preset", "quick", "--pretrain.updates", "500", "--alignment.updates", "500", "--json")
    more = ("--writers", *writers) if writers else ()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "marvel_jax", "run", "BallCircle", "--out", f"{folder}/run", *asked, *more]
        environment = {**os.environ, "WANDB_MODE": "offline"}
        done = subprocess.run(command, check=True, capture_output=True, env=environment)
        assert all((Path(folder) / "run" / name).exists() for name in writers)
        return json.loads(done.stdout)["seconds"]["finetune"]


def main() -> None:
    seconds: dict[str, list[float]] = {name: [] for name in KINDS}
    online_seconds(())  # fills the compile cache
    for _ in range(ROUNDS):
        for name, writers in KINDS.items():
            seconds[name].append(online_seconds(writers))
    ratios = {name: float(np.median(np.divide(s, seconds["none"]))) for name, s in seconds.items()}
    print(json.dumps({"online_seconds": seconds, "ratio_to_none": ratios}, indent=1))
    common.write("writers", "python benchmarks/writers.py", {"online_seconds": seconds, "ratio_to_none": ratios})


if __name__ == "__main__":
    main()
