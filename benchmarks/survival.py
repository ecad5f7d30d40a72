"""A sweep that is killed at random moments and resumed, against one that is left alone.

    python benchmarks/survival.py [--kills 50]

Each time the process is started, it is killed (SIGKILL) at a random moment: one time in four while it starts, else
within a second of the first chunk that it has finished. When it has been killed so often, it may finish. Every row of
results and metrics must be there once and be equal bit for bit. A quarter of an hour on two cores.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common

from marvel_jax.sweeps.folder import SweepFolder

RUNS = 512
TINY = [
    "hidden=8",
    "evaluation_episodes=2",
    "pretrain.updates=60",
    "pretrain.batch_size=16",
    "alignment.updates=60",
    "alignment.batch_size=16",
    "sac.batch_size=16",
    "online.iterations=20",
    "online.episodes=2",
    "online.updates=10",
]
ASKED = ("--tasks", "BallRun", "--seeds", str(RUNS // 2), "--product", "cost_limit=5,20", "--fixed", *TINY)
CHUNK = "4"
STARTING = 8.0  # seconds in which a process hardly does more than import and compile


def marvel(*words: str) -> subprocess.Popen:
    """`marvel sweep WORDS`, which has begun."""
    return subprocess.Popen([sys.executable, "-m", "marvel_jax", "sweep", *words, "--quiet"], stdout=subprocess.DEVNULL)


def start(out: Path) -> subprocess.Popen:
    """The sweep, anew."""
    return marvel(*ASKED, "--out", str(out), "--chunk", CHUNK)


def rows(path: Path) -> list[dict]:
    """Both tables, sorted, as bytes that compare bit for bit (NaN included)."""
    folder, found = SweepFolder(path), []
    for name, keys in (("results", ("run",)), ("metrics", ("run", "stage", "iteration"))):
        table = folder.table(name).sort_by([(key, "ascending") for key in keys])
        found.append({column: repr(table[column].to_pylist()) for column in sorted(table.column_names)})
    return found


def wait(folder: Path, process: subprocess.Popen, done: int) -> None:
    """Until a random moment, or the end of the process."""
    if random.random() < 0.25:
        time.sleep(random.uniform(0.0, STARTING))
        return
    while process.poll() is None and len(list(folder.glob("results/*.parquet"))) <= done:
        time.sleep(0.01)
    time.sleep(random.uniform(0.0, 1.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    kills = parser.parse_args().kills
    random.seed(0)
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        assert start(whole).wait() == 0
        process, moments = start(killed), []
        while len(moments) < kills:
            wait(killed, process, moments[-1] if moments else 0)
            if process.poll() is not None:
                break
            process.kill()
            process.wait()
            done = len(list(killed.glob("results/*.parquet")))
            moments.append(done)
            print(f"killed {len(moments)} times, {done} chunks done", flush=True)
            begun = (killed / "sweep.json").exists()
            process = marvel("--resume", str(killed)) if begun else start(killed)
        assert process.wait() == 0
        equal = rows(whole) == rows(killed)
    found = {"kills": len(moments), "chunks_done_at_kills": moments, "runs": RUNS, "equal_bit_for_bit": equal}
    common.write("survival", f"python benchmarks/survival.py --kills {kills}", found)
    print(found)


if __name__ == "__main__":
    main()
