"""What a sweep costs beyond its runs: per seed, in overhead and in memory.

    python benchmarks/sweeps.py [memory] [many] [seeds]

memory  bytes per seed against what its state must hold, and how many seeds fit
seeds  64 seeds of preset `quick` on BallCircle in one process, against one seed alone
many   1,000 seeds of a tiny configuration in one command

Each part adds to `results/sweeps.json`. Together a quarter of an hour on two cores.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import common
import jax
import marvel_envs

from marvel_jax.config.presets import layered
from marvel_jax.datasets.hdf5 import load_shipped
from marvel_jax.runs.program import Program
from marvel_jax.sweeps.memory import program_bytes, tree_bytes

SEEDS = 64
TINY = [
    "hidden=8",
    "evaluation_episodes=2",
    "pretrain.updates=60",
    "pretrain.batch_size=16",
    "alignment.updates=60",
    "alignment.batch_size=16",
    "sac.batch_size=16",
    "online.iterations=4",
    "online.episodes=2",
    "online.updates=10",
]


def sweep(*words: str) -> dict[str, Any]:
    """The summary of `marvel sweep` in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "marvel_jax", "sweep", *words, "--out", str(Path(folder) / "s"), "--json"]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def worked(seconds: dict[str, float]) -> float:
    """Seconds of learning, playing and evaluating."""
    return sum(value for name, value in seconds.items() if name not in ("total", "compile"))


def seeds() -> dict[str, Any]:
    """Seconds per seed of 64 in one process, against one, before and after; and what is not work."""
    asked = ("--tasks", "BallCircle", "--preset", "quick", "--seeds")
    before, many, after = (sweep(*asked, number)["seconds"] for number in ("1", str(SEEDS), "1"))
    alone = min(worked(before), worked(after))  # the first may have to compile what is around the stages
    return {
        "one_seed_seconds": [worked(before), worked(after)],
        "seconds_per_seed_of_64": worked(many) / SEEDS,
        "cost_of_a_seed_of_64": worked(many) / SEEDS / alone,
        "overhead_share": 1 - (worked(many) + many["compile"]) / many["total"],
        "seconds": many,
    }


def many() -> dict[str, Any]:
    """1,000 seeds of a tiny configuration."""
    found = sweep("--tasks", "BallRun", "--seeds", "1000", "--fixed", *TINY)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    work = worked(found["seconds"]) + found["seconds"]["compile"]
    return {
        "runs": found["finished"],
        "seconds": found["seconds"],
        "overhead_share": 1 - work / found["seconds"]["total"],
        "peak_gib": peak / 2**30,
    }


def memory() -> dict[str, Any]:
    """Bytes per seed of the compiled online stage at 64 seeds, against the sum of what its state must hold.

    From the compiler's own analysis; nothing is run. What one copy of the dataset takes is left out.
    """
    jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
    env, data, found = marvel_envs.make("BallCircle"), load_shipped("BallCircle").transitions, {}
    for preset in ("quick", "cpu", "paper"):
        for kept in ("float32", "float16"):
            hyper = layered(preset, "BallCircle", "marvel", **{"replay.observation_dtype": kept})
            program = Program(env, data, hyper, SEEDS)
            batch, stage = program.batch([hyper] * SEEDS, range(SEEDS)), program.plan[-1]
            state = program.shapes(batch)[stage.name]
            used = program_bytes(program.compiled(stage, batch))
            each = (used - jax.local_device_count() * tree_bytes(program.dataset)) / SEEDS
            needed = tree_bytes(state) / SEEDS
            fitting = {f"{size} GiB": int(size * 2**30 // each) for size in (16, 24, 80)}
            found[f"{preset}, {kept}"] = {"bytes": each, "needed": needed, "ratio": each / needed, "fitting": fitting}
    return found


def main() -> None:
    for name in sys.argv[1:] or ("memory", "many", "seeds"):
        found = {"seeds": seeds, "many": many, "memory": memory}[name]()
        print(name, json.dumps(found), flush=True)
        common.add("sweeps", "python benchmarks/sweeps.py", {name: found})


if __name__ == "__main__":
    main()
