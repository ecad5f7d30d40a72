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
import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import common
import jax
import numpy as np
import pyarrow as pa
from studies import ALSO_LOOSE, ALSO_UNSAFE, OF_PAPER, ON_UNSEEN_SEEDS, STUDIES, UNSEEN

from marvel_jax import cli
from marvel_jax.config import find_task
from marvel_jax.datasets.dataset import shipped_path
from marvel_jax.hyper import OfflineName, OnlineName
from marvel_jax.metrics import read_table
from marvel_jax.report import comparison
from marvel_jax.report.statistics import interval
from marvel_jax.sweeps import fields
from marvel_jax.sweeps.folder import SweepFolder
from marvel_jax.sweeps.run import online_curves

SEEDS = 8
PAIR_SEEDS = 4
CHUNK = 8 if jax.default_backend() == "cpu" else 256  # one size everywhere, so that programs compile once for all parts
# Offline policies that break the limit: one that imitates the data, most of which do; and an unfinished one.
UNSAFE = {"BallCircle": {"cpq.imitation_weight": 100.0}, "BallRun": {"pretrain.updates": 2_500}}
# This project's methods have their defaults everywhere.
OWN = (
    *("marvel", "marvel-no-settling", "marvel-no-caution", "marvel-fixed-step", "marvel-fixed-margin"),
    *("marvel-no-fading", "marvel-feed-forward", "marvel-initial", "marvel-offline-critics"),
)
TUNED = (
    *("marvel-paper", "warm-start", "from-scratch", "rlpd", "wsrl", "jsrl", "pex", "so2", "cal-ql"),
    "paper-fixed-multiplier",
)
# What differs from the paper's in one part only has its settings.
LIKE_PAPER = (
    *("paper-fresh-critics", "paper-entropy", "paper-aligned-multiplier"),
    *("paper-pid", "paper-dual-ascent", "adaptive-pid-alone"),
)
DEFAULT = "marvel"
MANY_SEEDS = (DEFAULT, "warm-start", "from-scratch")
# On tasks without a search, and how much of what is done there.
UNTUNED = (
    *(DEFAULT, "marvel-no-settling", "marvel-no-caution", "marvel-fixed-step", "marvel-fixed-margin"),
    "marvel-no-fading",
    *("marvel-paper", "warm-start", "wsrl", "from-scratch"),
)
COLLECT = ("--iterations", "100", "--runs", "1", "--limits", "10", "20", "40", "1000")
REDUCED = {"seeds": 4, "iterations": 50}  # where episodes have 1,000 steps
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
# Of a machine, what rounding depends on: after thousands of updates a seed's offline policy is another one elsewhere.
ROUNDING = ("cpu", "device", "jaxlib")
FOLDER = common.RESULTS / "comparison"
EPISODES = 500  # online, of preset cpu
VALUES = {
    **{name: name for name in ("reward", "cost", "sampled_reward", "sampled_cost", "violation")},
    **{"start_reward": "offline_reward", "start_cost": "offline_cost"},
}


def sweep(work: Path, name: str, text: str, share: Sequence[str] = ()) -> SweepFolder:
    """Runs the sweep of a TOML text, or this process's `share` of it, or goes on with it."""
    out, file = work / name, work / f"{name}.toml"
    work.mkdir(parents=True, exist_ok=True)
    if (out / "sweep.json").exists():
        words = ["sweep", "--resume", str(out)]
    else:
        file.write_text(text)
        words = ["sweep", str(file), "--out", str(out), "--chunk", str(CHUNK)]
    command(*words, *share, "--quiet")
    folder = SweepFolder(out)
    if not folder.summary.exists():
        print(f"{name}: this process is done, others are not")
        sys.exit()
    return folder


def command(*words: str) -> None:
    """`marvel WORDS`; ends this process where that one would end with an error."""
    try:
        cli.main(list(words))
    except SystemExit as ended:
        if ended.code:
            sys.exit(ended.code)


def runs(task: str, methods: Sequence[str], seeds: int) -> str:
    """The head of a sweep's TOML text."""
    return f'tasks = ["{task}"]\nmethods = {json.dumps(methods)}\nseeds = {seeds}\n'


def table(values: dict[str, Any], name: str) -> str:
    return f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())


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


def runs_of(folder: SweepFolder) -> list[dict[str, Any]]:
    """A dictionary per run: what it was and what came of it."""
    runs = {row["run"]: row for row in read_table(folder.runs).to_pylist()}
    results = {row["run"]: row for row in folder.table("results").to_pylist()}
    return [runs[number] | results[number] for number in sorted(results)]


def cells(work: Path, part: str, only: Sequence[str], seeds: int, share: Sequence[str]) -> dict[str, Any]:
    """All methods on a task, at limits, from kinds of start; or a few of them with more seeds; or `only` these."""
    task, limits, starts, *many = part.split("-")
    best = json.loads((FOLDER / f"search-{task}.json").read_text())["methods"]
    settings: dict[str, dict[str, float]] = {method: {} for method in OWN}
    settings |= {method: best[method]["best"] for method in TUNED}
    settings |= dict.fromkeys(LIKE_PAPER, best["marvel-paper"]["best"])
    if many:
        seeds, settings = int(many[0]), {method: settings[method] for method in MANY_SEEDS}
    points = {
        "-".join([task, limit, start, *many]): point(task, float(limit), start)
        for limit, start in itertools.product(limits.split(","), starts.split(","))
    }
    for file in (FOLDER / f"{name}.json" for name in points):
        if only and file.exists() and (other := other_machine(file)):
            sys.exit(f"{file.name} was made on {other}, where these seeds have other offline policies: omit --only.")
    before = {name: kept(name, settings, seeds, only or OWN) for name in points}
    methods = [method for method in only or settings if not all(method in found for found in before.values())]
    text = runs(task, methods, seeds) + "".join(table(values, "[points]") for values in points.values())
    text += "".join(table(settings[method], f"by_method.{method}") for method in methods)
    folder = sweep(work, part + "".join(f"-{method}" for method in only), text, share)
    found = {}
    for name, values in points.items():
        new = before[name] | outcomes(folder, {method: settings[method] for method in methods}, **values)
        start = ", ".join([name.split("-")[2], *(f"{count} seeds" for count in many)])
        of_cell = {"task": task, "cost_limit": values["cost_limit"], "start": start, "episodes": EPISODES}
        found[name] = of_cell | {"methods": {method: new[method] for method in settings if method in new}}
    return found


def point(task: str, cost_limit: float, start: str) -> dict[str, float]:
    """What tells a cell's runs from those of other cells of its task."""
    unsafe = UNSAFE[task]
    return {"cost_limit": cost_limit, **{name: fields.find(name).default for name in unsafe}} | (
        unsafe if start == "unsafe" else {}
    )


def kept(part: str, settings: dict[str, dict[str, float]], seeds: int, anew: Sequence[str] = OWN) -> dict[str, Any]:
    """What the committed file has of methods with these settings and as many seeds, without those that are run `anew`:
    by default this project's, since a change of ours does not touch the others'. Nothing, if another kind of machine
    made it."""
    file = FOLDER / f"{part}.json"
    if not file.exists() or other_machine(file):
        return {}
    before = json.loads(file.read_text())["methods"]
    there = {method: found for method, found in before.items() if len(found["seeds"]) + found["diverged"] == seeds}
    same = [method for method in settings if method in there and there[method]["settings"] == settings[method]]
    return {method: there[method] for method in same if method not in anew}


def other_machine(file: Path) -> str | None:
    """The machine that made a file, if numbers are rounded otherwise there than here."""
    there, here = json.loads(file.read_text())["machine"], common.machine()
    return None if all(there[name] == here[name] for name in ROUNDING) else ", ".join(there[name] for name in ROUNDING)


def untuned(work: Path, part: str) -> dict[str, Any]:
    """The default beside what it is compared with, all with their defaults."""
    task, limit, start = part.split("-")
    reduced = REDUCED if task.endswith("Velocity") else {}
    seeds, iterations = reduced.get("seeds", SEEDS), reduced.get("iterations", EPISODES // 5)
    found = kept(part, {method: {} for method in UNTUNED}, seeds)
    methods = [method for method in UNTUNED if method not in found]
    text = runs(task, methods, seeds) + table({"cost_limit": float(limit), "online.iterations": iterations}, "fixed")
    folder = sweep(work, part, text + dataset(work, task))
    new = found | outcomes(folder, {method: {} for method in methods})
    found = {method: new[method] for method in UNTUNED}
    return {"task": task, "cost_limit": float(limit), "start": start, "episodes": 5 * iterations, "methods": found}


def dataset(work: Path, task: str) -> str:
    """The part of a sweep's TOML text that names the dataset, which is made first if the package ships none."""
    if shipped_path(task).exists():
        return ""
    made = work / f"{task}.hdf5"
    work.mkdir(parents=True, exist_ok=True)
    if not made.exists():
        command("collect", task, "--out", str(made), *COLLECT, "--quiet")
    return table({task: json.dumps(str(made))}, "datasets")


def outcomes(folder: SweepFolder, settings: dict[str, dict[str, float]], **where: float) -> dict[str, Any]:
    """What came of methods with these settings, in a sweep's runs `where` hyperparameters have these values."""
    done, measured = runs_of(folder), folder.table("metrics")
    here = [run for run in done if all(run[name] == value for name, value in where.items())]
    return {
        method: outcome([run for run in here if run["method"] == method], measured, settings[method])
        for method in settings
    }


def outcome(of_method: Sequence[dict[str, Any]], measured: pa.Table, settings: dict[str, float]) -> dict[str, Any]:
    """What came of a method's runs, with their sweep's metrics."""
    rows = [run for run in of_method if not run["diverged"]]
    numbers = [row["run"] for row in rows]
    curves = {name: online_curves(measured, name, numbers) for name in ("reward", "cost", "multiplier")}
    limit, episodes = of_method[0]["cost_limit"], 5 * curves["cost"].shape[1]
    return {
        "seeds": [row["seed"] for row in rows],
        "diverged": len(of_method) - len(rows),
        "settings": settings,
        "values": {name: [row[column] for row in rows] for name, column in VALUES.items()},
        "settled": comparison.settled(curves["cost"], limit, episodes).tolist(),
        "curves": {name: condensed(curve) for name, curve in curves.items()},
    }


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


def condensed(curve: np.ndarray) -> dict[str, list[float]]:
    """Interquartile mean and 95 % band of `[runs, iterations]`, in four digits."""
    parts = zip(("iqm", "low", "high"), interval(curve), strict=True)
    return {name: [float(f"{x:.4g}") for x in values] for name, values in parts}


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
    for_cells = given.only or given.process or given.seeds != SEEDS
    if for_cells and not all(is_cell(part) for part in given.parts):
        parser.error("--only, --seeds and --process are for cells TASK-LIMIT-safe and TASK-LIMIT-unsafe")
    return given


def is_cell(part: str) -> bool:
    return kind_of(part) is None and not part.endswith("-untuned")


def main() -> None:
    given = options()
    words = f" --seeds {given.seeds}" if given.seeds != SEEDS else ""
    words += " --only " + " ".join(given.only) if given.only else ""
    share = [] if given.process is None else ["--process", given.process, "--processes", given.processes]
    for part in given.parts:
        kind = kind_of(part)
        if kind in ("search", "pairs"):
            found = {part: {"search": search, "pairs": pairs}[kind](given.work, part.removeprefix(f"{kind}-"))}
        elif kind:
            found = {part: study(given.work, kind, part)}
        elif is_cell(part):
            found = cells(given.work, part, given.only, given.seeds, share)
        else:
            found = {part: untuned(given.work, part)}
        FOLDER.mkdir(exist_ok=True)
        for name, result in found.items():
            common.write(f"comparison/{name}", f"python benchmarks/comparison.py {part}{words}", result)
        print(f"{part}: done", flush=True)


if __name__ == "__main__":
    main()
