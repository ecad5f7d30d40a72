"""A sweep that is killed at random moments and resumed, against one that is left alone.

    python benchmarks/survival.py [--kills 50]

Each time the process is started, it is killed (SIGKILL) after a random time, until it has been killed so often; then it
may finish. Every row of results and metrics must be there once and be equal bit for bit. Twenty minutes on two cores.
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
TINY = (
    *("hidden=8", "evaluation_episodes=2", "cpq.updates=60", "cpq.batch_size=16", "alignment.updates=60"),
    *("alignment.batch_size=16", "sac.batch_size=16", "online.iterations=20", "online.episodes=2", "online.updates=10"),
)
ASKED = ("--tasks", "BallRun", "--seeds", str(RUNS // 2), "--product", "cost_limit=5,20", "--fixed", *TINY)
START = 12.0  # seconds in which a process only imports and compiles


def marvel(*words: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "marvel_jax", "sweep", *words, "--quiet"], stdout=subprocess.DEVNULL)


def rows(path: Path) -> list[dict]:
    """Both tables, sorted, as bytes that compare bit for bit (NaN included)."""
    folder, found = SweepFolder(path), []
    for name, keys in (("results", ("run",)), ("metrics", ("run", "stage", "iteration"))):
        table = folder.table(name).sort_by([(key, "ascending") for key in keys])
        found.append({column: repr(table[column].to_pylist()) for column in sorted(table.column_names)})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    kills = parser.parse_args().kills
    random.seed(0)
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        clock = time.monotonic()
        assert marvel(*ASKED, "--out", str(whole), "--chunk", "8").wait() == 0
        seconds = time.monotonic() - clock
        process, moments = marvel(*ASKED, "--out", str(killed), "--chunk", "8"), []
        while len(moments) < kills:
            # Within what one start has left to do, if the rest of the sweep were divided among the kills.
            time.sleep(random.uniform(0.3, 1.7) * (START + seconds / (kills + 1)))
            if process.poll() is not None:
                break
            process.kill()
            process.wait()
            done = len(list(killed.glob("results/*.parquet")))
            moments.append(done)
            print(f"killed {len(moments)} times, {done} chunks done", flush=True)
            begun = (killed / "sweep.json").exists()
            process = marvel(*(("--resume", str(killed)) if begun else (*ASKED, "--out", str(killed), "--chunk", "8")))
        assert process.wait() == 0
        equal = rows(whole) == rows(killed)
    found = {"kills": len(moments), "chunks_done_at_kills": moments, "runs": RUNS, "equal_bit_for_bit": equal}
    common.write("survival", f"python benchmarks/survival.py --kills {kills}", found)
    print(found)


if __name__ == "__main__":
    main()
