"""Every method from the same offline policies, each with its own tuned step size and gains.

    uv run python benchmarks/comparison.py search-BallCircle search-BallRun
    uv run python benchmarks/comparison.py BallCircle-20-safe BallRun-20-safe BallCircle-20-unsafe BallRun-20-unsafe
    uv run python benchmarks/comparison.py BallCircle-20-safe-32 BallRun-20-safe-32
    uv run python benchmarks/comparison.py BallCircle-10,40-safe BallRun-10,40-safe
    uv run python benchmarks/comparison.py pairs-BallCircle release-BallCircle settling-BallRun step-DroneCircle
    uv run python benchmarks/comparison.py CarRun-20-untuned DroneRun-20-untuned DroneCircle-20-untuned
    uv run python benchmarks/comparison.py SwimmerVelocity-25-untuned HalfCheetahVelocity-25-untuned

A part is a sweep in --work; one that was interrupted goes on where it was. Its condensed results are
`results/comparison/PART.json`, of which comparison_report.py makes tables and figures.

pairs-TASK finetunes the policy of every offline algorithm with every online one, by method marvel.
STUDY-TASK[-SEEDS] varies settings of a method: the lists of studies.py. Other parts are cells, TASK-LIMIT-START:
offline policies start safe (CPQ as it is) or unsafe (CPQ that breaks the limit). Several cells can be one sweep,
TASK-LIMIT,LIMIT-START,START: accelerators do more runs at once in little more time. Of a cell TASK-LIMIT-START-SEEDS
only the methods of MANY_SEEDS are run, with that many. Of a cell TASK-LIMIT-untuned, for tasks without a search, every
method has its defaults. For a task without a dataset of its own one is made first. With --only METHODS a cell gets
these, beside those that its file has if this machine is like the one that made it.
"""

import argparse
import json
from pathlib import Path
from typing import Any, get_args

import common
import numpy as np
from comparison_cells import DEFAULT, LIKE_PAPER, OWN, REDUCED, SEEDS, TUNED, UNSAFE, cells, untuned
from comparison_sweeps import FOLDER, VALUES, Unfinished, dataset, runs, runs_of, sweep, table
from studies import ALSO_LOOSE, ALSO_UNSAFE, OF_PAPER, ON_UNSEEN_SEEDS, STUDIES, UNSEEN

from marvel_jax.config.hyper import OfflineName, OnlineName
from marvel_jax.config.run import find_task
from marvel_jax.report import comparison

PAIR_SEEDS = 4
# The search: the same number of configurations for every method, on seeds that no comparison uses, each for as long as
# in the comparison: less favours large steps.
SEARCH = {"draws": 8, "seeds": 4, "seed": 100}
RANGES = {
    "sac.actor_learning_rate": "{ low = 1e-5, high = 4e-4, log = true }",
    "gains.proportional": "{ low = 0.2, high = 5.0, log = true }",
    "gains.integral": "{ low = 1e-3, high = 1e-1, log = true }",
    "gains.margin": "{ low = 0.0, high = 0.5 }",
}
FIXED_RANGES = {
    "sac.actor_learning_rate": RANGES["sac.actor_learning_rate"],
    "gains.initial": "{ low = 0.03, high = 3.0, log = true }",
}


def search(work: Path, task: str) -> dict[str, Any]:
    """Every method's best configuration of as many for each: the defaults and those drawn."""
    found: dict[str, Any] = {}
    others = [method for method in TUNED if method != "paper-fixed-multiplier"]
    groups = {"others": (others, RANGES), "fixed": (["paper-fixed-multiplier"], FIXED_RANGES)}
    parts = groups | {f"{name}-default": (methods, {}) for name, (methods, _) in groups.items()}
    for name, (methods, ranges) in parts.items():
        text = runs(task, methods, SEARCH["seeds"]) + f"seed = {SEARCH['seed']}\ndraws = {SEARCH['draws']}\n"
        text += table(ranges, "draw")
        for run in runs_of(sweep(work, f"search-{task}-{name}", text)):
            changes = {key: run[key] for key in ranges}
            entry = found.setdefault(run["method"], {}).setdefault(
                json.dumps(changes), {"changes": changes, "runs": []}
            )
            entry["runs"].append({key: run[key] for key in ("seed", "reward", "cost", "violation")})
    settings = {}
    for method, entries in found.items():
        tried = list(entries.values())
        for entry in tried:
            entry["score"] = float(np.mean([score(find_task(task), run) for run in entry["runs"]]))
        settings[method] = {"best": max(tried, key=lambda entry: entry["score"])["changes"], "tried": tried}
    return {"search": SEARCH, "ranges": RANGES, "methods": settings}


def score(task: Any, run: dict[str, Any]) -> float:
    """Normalized reward less what costs went over the limit, in limits: while training, and at the end."""
    if not np.isfinite([run["reward"], run["cost"], run["violation"]]).all():
        return -10.0
    over = run["violation"] + max(0.0, run["cost"] - task.cost_limit)
    return float(task.normalized_reward(run["reward"])) - over / task.cost_limit


def pairs(work: Path, task: str) -> dict[str, Any]:
    """Offline × online: every policy finetuned by every algorithm."""
    algorithms = {"algorithm": list(get_args(OfflineName)), "online_algorithm": list(get_args(OnlineName))}
    text = f'tasks = ["{task}"]\npreset = "quick"\nseeds = {PAIR_SEEDS}\n'
    text += table({name: json.dumps(values) for name, values in algorithms.items()}, "product")
    found: dict[str, dict[str, Any]] = {}
    for run in runs_of(sweep(work, f"pairs-{task}", text)):
        entry = found.setdefault(f"{run['algorithm']}, {run['online_algorithm']}", {name: [] for name in VALUES})
        for name, column in VALUES.items():
            entry[name].append(run[column])
    return {"task": task, "cost_limit": find_task(task).cost_limit, "preset": "quick", "pairs": found}


def study(work: Path, name: str, part: str) -> dict[str, Any]:
    """Settings of a method side by side: a table per kind of start."""
    task, *many = part.removeprefix(f"{name}-").split("-")
    reduced = REDUCED if task.endswith("Velocity") else {}
    seeds = int(many[0]) if many else reduced.get("seeds", SEEDS)
    method = "marvel-paper" if name in OF_PAPER else DEFAULT
    text = runs(task, [method], seeds) + f"seed = {UNSEEN if name in ON_UNSEEN_SEEDS else 0}\n"
    text += "".join(table({k: json.dumps(v) for k, v in point.items()}, "[points]") for point in STUDIES[name])
    text += dataset(work, task)
    budget = {"online.iterations": reduced["iterations"], "cost_limit": 25.0} if reduced else {}
    starts = {part: budget}
    if name in ALSO_UNSAFE and task in UNSAFE:
        starts[f"{part}-unsafe"] = UNSAFE[task]
    if part in ALSO_LOOSE:
        starts[f"{part}-loose"] = {"cost_limit": 2 * find_task(task).cost_limit}
    swept = (sweep(work, where, text + table(fixed, "fixed")) for where, fixed in starts.items())
    entries = [entries for folder in swept for entries in comparison.entries_of_sweep(folder).values()]
    return {"tables": [comparison.compare(each) for each in entries]}


def kind_of(part: str) -> str | None:
    """Which study, search or pairs a part is; None for a cell."""
    return next((kind for kind in (*STUDIES, "search", "pairs") if part.startswith(f"{kind}-")), None)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "parts",
        nargs="+",
        help="search-TASK, TASK-LIMIT[,LIMIT]-START[,START][-SEEDS], pairs-TASK, or STUDY-TASK[-SEEDS] of "
        + ", ".join(STUDIES),
    )
    everyone = (*OWN, *TUNED, *LIKE_PAPER)
    parser.add_argument(
        "--only",
        nargs="+",
        default=(),
        choices=everyone,
        metavar="METHOD",
        help="methods of cells to run, beside those that they have",
    )
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of cells that do not name a number (default: 8)")
    parser.add_argument("--work", type=Path, default=Path("sweeps") / "comparison", help="folder of the sweeps")
    for name, what in (("process", "number, from 0"), ("processes", "how many")):
        parser.add_argument(f"--{name}", help=f"{what}: processes with this same command share the work of cells")
    given = parser.parse_args()
    for_cells = given.only or given.process or given.processes or given.seeds != SEEDS
    if for_cells and not all(is_cell(part) for part in given.parts):
        parser.error("--only, --seeds and --process are for cells TASK-LIMIT-safe and TASK-LIMIT-unsafe")
    return given


def is_cell(part: str) -> bool:
    return kind_of(part) is None and not part.endswith("-untuned")


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


def main() -> None:
    given = options()
    words = f" --seeds {given.seeds}" if given.seeds != SEEDS else ""
    only = " --only " + " ".join(given.only) if given.only else ""
    FOLDER.mkdir(exist_ok=True)
    for part in given.parts:
        try:
            found = results(part, given)
        except Unfinished:
            print(f"{part}: this process is done, others are not", flush=True)
            continue
        for name, result in found.items():
            # Of a file that has others too, the command that makes all of it.
            added = only and set(result["methods"]) != set(given.only)
            command = f"python benchmarks/comparison.py {part}{words}{'' if added else only}"
            common.write(f"comparison/{name}", command, result)
        print(f"{part}: done", flush=True)


if __name__ == "__main__":
    main()
