"""The sweeps of the comparison: written as TOML, run or gone on with by the command line, and read."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from marvel_jax import cli
from marvel_jax.datasets.hdf5 import shipped_path
from marvel_jax.runs.metrics import read_table
from marvel_jax.sweeps.folder import SweepFolder

CHUNK = 8 if jax.default_backend() == "cpu" else 256  # one size everywhere, so that programs compile once for all parts
ABLATIONS = Path(__file__).resolve().with_name("ablations.py")
# How a dataset is made for a task that the package ships none of.
COLLECT = ("--iterations", "100", "--runs", "1", "--limits", "10", "20", "40", "1000")
# Of a run, the results that are kept: by their names there.
VALUES = {
    "reward": "reward",
    "cost": "cost",
    "sampled_reward": "sampled_reward",
    "sampled_cost": "sampled_cost",
    "violation": "violation",
    "start_reward": "offline_reward",
    "start_cost": "offline_cost",
}


class Unfinished(Exception):
    """Of a sweep that several processes share: this one's part is done, others' are not."""


def sweep(work: Path, name: str, text: str, share: Sequence[str] = ()) -> SweepFolder:
    """Runs the sweep of a TOML text, or this process's `share` of it, or goes on with it.

    Raises:
      Unfinished: If other processes are not done with theirs.
    """
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
        raise Unfinished
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
    head = {"tasks": [task], "methods": list(methods), "seeds": seeds, "env_module": str(ABLATIONS)}
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in head.items())


def table(values: dict[str, Any], name: str) -> str:
    """A table of a sweep's TOML text; values are TOML."""
    return f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())


def dataset(work: Path, task: str) -> str:
    """The part of a sweep's TOML text that names the dataset, which is made first if the package ships none."""
    if shipped_path(task).exists():
        return ""
    made = work / f"{task}.hdf5"
    work.mkdir(parents=True, exist_ok=True)
    if not made.exists():
        command("collect", task, "--out", str(made), *COLLECT, "--quiet")
    return table({task: json.dumps(str(made))}, "datasets")


def runs_of(folder: SweepFolder) -> list[dict[str, Any]]:
    """A dictionary per run: what it was and what came of it."""
    runs = {row["run"]: row for row in read_table(folder.runs).to_pylist()}
    results = {row["run"]: row for row in folder.table("results").to_pylist()}
    return [runs[number] | results[number] for number in sorted(results)]
