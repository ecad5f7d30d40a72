"""Every method from the same offline policies, each with its own tuned step size and gains.

    uv run python benchmarks/comparison search-BallCircle search-BallRun
    uv run python benchmarks/comparison BallCircle-20-safe BallRun-20-safe BallCircle-20-unsafe BallRun-20-unsafe
    uv run python benchmarks/comparison BallCircle-20-safe-32 BallRun-20-safe-32
    uv run python benchmarks/comparison BallCircle-10,40-safe BallRun-10,40-safe
    uv run python benchmarks/comparison pairs-BallCircle release-BallCircle settling-BallRun step-DroneCircle
    uv run python benchmarks/comparison CarRun-20-untuned DroneRun-20-untuned DroneCircle-20-untuned
    uv run python benchmarks/comparison SwimmerVelocity-25-untuned HalfCheetahVelocity-25-untuned
    uv run python benchmarks/comparison report

A part is a sweep in --work; one that was interrupted goes on where it was. Its condensed results are
`results/comparison/PART.json`, of which `report` makes tables and figures.

pairs-TASK finetunes the policy of every offline algorithm with every online one, by method marvel.
STUDY-TASK[-SEEDS] varies settings of a method: the lists of studies.py. Other parts are cells, TASK-LIMIT-START:
offline policies start safe (CPQ as it is) or unsafe (CPQ that breaks the limit). Several cells can be one sweep,
TASK-LIMIT,LIMIT-START,START: accelerators do more runs at once in little more time. Of a cell TASK-LIMIT-START-SEEDS
only the methods of MANY_SEEDS are run, with that many. Of a cell TASK-LIMIT-untuned, for tasks without a search, every
method has its defaults. For a task without a dataset of its own one is made first. With --only METHODS a cell gets
these, beside those that its file has if this machine is like the one that made it.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # benchmarks/, where this package and `common` are

import common

from comparison.cells import cells, untuned
from comparison.design import LIKE_PAPER, OWN, SEEDS, TUNED
from comparison.pairs import pairs
from comparison.parts import FOLDER, is_cell, kind_of
from comparison.report import report
from comparison.search import search
from comparison.studies import STUDIES, study
from comparison.sweeps import Unfinished


def options() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "parts",
        nargs="+",
        metavar="PART",
        help="search-TASK, TASK-LIMIT[,LIMIT]-START[,START][-SEEDS], pairs-TASK, or STUDY-TASK[-SEEDS] of "
        f"{', '.join(STUDIES)}; or report",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        default=(),
        choices=(*OWN, *TUNED, *LIKE_PAPER),
        metavar="METHOD",
        help="methods of cells to run, beside those that they have",
    )
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of cells that do not name a number (default: 8)")
    parser.add_argument("--work", type=Path, default=Path("sweeps") / "comparison", help="folder of the sweeps")
    for name, what in (("process", "number, from 0"), ("processes", "how many")):
        parser.add_argument(f"--{name}", help=f"{what}: processes with this same command share the work of cells")
    parser.add_argument("--no-figures", action="store_true", help="with report: tables alone")
    given = parser.parse_args()
    for_cells = given.only or given.process or given.processes or given.seeds != SEEDS
    if for_cells and not all(is_cell(part) for part in given.parts):
        parser.error("--only, --seeds and --process are for cells TASK-LIMIT-safe and TASK-LIMIT-unsafe")
    return given


def results(part: str, given: argparse.Namespace) -> dict[str, Any]:
    """What a part found, by the name of its file."""
    kind = kind_of(part)
    if kind in ("search", "pairs"):
        return {part: {"search": search, "pairs": pairs}[kind](given.work, part.removeprefix(f"{kind}-"))}
    if kind:
        return {part: study(given.work, kind, part)}
    if not is_cell(part):
        return {part: untuned(given.work, part)}
    share = [(f"--{name}", getattr(given, name)) for name in ("process", "processes")]
    return cells(given.work, part, given.only, given.seeds, [word for pair in share if pair[1] for word in pair])


def run(part: str, given: argparse.Namespace) -> None:
    """Runs a part and writes its files, if no other process is to do that."""
    words = f" --seeds {given.seeds}" if given.seeds != SEEDS else ""
    only = " --only " + " ".join(given.only) if given.only else ""
    try:
        found = results(part, given)
    except Unfinished:
        print(f"{part}: this process is done, others are not", flush=True)
        return
    FOLDER.mkdir(exist_ok=True)
    for name, result in found.items():
        # Of a file that has others too, the command that makes all of it.
        added = only and set(result["methods"]) != set(given.only)
        common.write(f"comparison/{name}", f"python benchmarks/comparison {part}{words}{'' if added else only}", result)
    print(f"{part}: done", flush=True)


if __name__ == "__main__":
    given = options()
    for part in given.parts:
        if part == "report":
            report(figures=not given.no_figures)
        else:
            run(part, given)
