"""What a sweep costs beyond its runs: per seed, in overhead and in memory.

    python benchmarks/sweeps.py [seeds] [many]

seeds  64 seeds of preset `quick` on BallCircle in one process, against one seed alone
many   1,000 seeds of a tiny configuration in one command

Each part adds to `results/sweeps.json`. Together twenty-five minutes on two cores.
"""

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import common

TINY = (
    *("hidden=8", "evaluation_episodes=2", "cpq.updates=60", "cpq.batch_size=16", "alignment.updates=60"),
    *("alignment.batch_size=16", "sac.batch_size=16", "online.iterations=4", "online.episodes=2", "online.updates=10"),
)


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
    before, many, after = (sweep(*asked, number)["seconds"] for number in ("1", "64", "1"))
    alone = (worked(before) + worked(after)) / 2
    return {
        "one_seed_seconds": [worked(before), worked(after)],
        "seconds_per_seed_of_64": worked(many) / 64,
        "cost_of_a_seed_of_64": worked(many) / 64 / alone,
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


def main() -> None:
    path = common.RESULTS / "sweeps.json"
    parts = json.loads(path.read_text())["parts"] if path.exists() else {}
    for name in sys.argv[1:] or ("many", "seeds"):
        parts[name] = {"seeds": seeds, "many": many}[name]()
        print(name, json.dumps(parts[name]), flush=True)
        common.write("sweeps", "python benchmarks/sweeps.py", {"parts": parts})


if __name__ == "__main__":
    main()
