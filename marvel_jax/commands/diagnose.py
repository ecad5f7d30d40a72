"""`marvel diagnose`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from marvel_jax.commands._options import Flag
from marvel_jax.commands._shared import check_unused, prepare_jax, writing_to
from marvel_jax.config.check import check
from marvel_jax.config.errors import UserError
from marvel_jax.config.run_config import RunConfig, read
from marvel_jax.config.tasks import find_task
from marvel_jax.runs.folder import RunFolder, write_json

if TYPE_CHECKING:
    from marvel_jax.diagnosis.refinetuning import Refinetuning
    from marvel_jax.runs.pipeline import Pipeline

FIXED = [0.0, 0.03, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2]
INITIAL = [0.0, 0.1, 0.3, 1.0, 3.0, 10.0]
GAIN_FACTORS = [0.1, 0.3, 1.0, 3.0, 10.0]
PartName = Literal["critics", "fixed", "initial", "gains"]


@dataclass(frozen=True)
class Options:
    """What a finished run's critics, multiplier and gains were worth.

    critics: Q against Monte-Carlo values before and after value pre-alignment, at the dataset's states. fixed: the
    online stage under fixed multipliers, and the best of them. initial: from other first multipliers. gains: a map of
    K_p and K_i."""

    run: tyro.conf.Positional[Path]
    """Run folder."""
    parts: tuple[PartName, ...] = ("critics", "fixed", "initial", "gains")
    """Which parts."""
    states: int = 256
    """States at which critics are compared with the truth."""
    seeds: int = 2
    """How many of the run's seeds finetune again, at every point of a grid."""
    seed: int = 0
    """Seed of the chosen states."""
    out: Path | None = None
    """Folder to make. Default: diagnosis/ of the run."""
    json: Flag = False
    """No progress; print one JSON object."""


def run(options: Options) -> int:
    """Diagnoses a run; returns the exit status."""
    for name in ("states", "seeds"):
        if getattr(options, name) < 1:
            raise UserError(f"--{name} is {getattr(options, name)}; give at least 1.")
    config = read(options.run)
    check(config)
    folder = RunFolder(options.run)
    out = options.out or folder.path / "diagnosis"
    check_unused(out)
    prepare_jax(config.seeds)
    from marvel_jax.diagnosis.refinetuning import Refinetuning, finished_states
    from marvel_jax.runs.console import Reporter
    from marvel_jax.runs.pipeline import pipeline_of_run

    reporter = Reporter(quiet=options.json)
    pipeline = pipeline_of_run(config, folder, reporter)
    again = Refinetuning(pipeline, finished_states(pipeline), min(options.seeds, config.seeds), reporter)
    found = _diagnosis(options, config, again)
    paths = _write(config, found, out)
    if options.json:
        print(json.dumps({**short(found), "written": [str(path) for path in paths]}))
        return 0
    from marvel_jax.report.diagnosis_table import print_diagnosis

    print_diagnosis(config, found)
    for path in paths:
        print(path)
    return 0


def _diagnosis(options: Options, config: RunConfig, again: "Refinetuning") -> dict[str, Any]:
    """What the parts that are asked for find, by their names."""
    from marvel_jax.diagnosis.starting_multiplier import starting_multiplier

    found: dict[str, Any] = {}
    if "critics" in options.parts:
        found["critics"] = _critics(options, config, again.pipeline, again.states)
    if "fixed" in options.parts:
        found["multiplier_before"] = starting_multiplier(again.pipeline, again.states)
        found["fixed"] = again.over_fixed_multipliers(FIXED)
    if "initial" in options.parts:
        found["initial"] = again.over_initial_multipliers(INITIAL)
    if "gains" in options.parts:
        own = config.hyper.gains
        proportional = [round(factor * own.proportional, 6) for factor in GAIN_FACTORS]
        integral = [round(factor * own.integral, 6) for factor in GAIN_FACTORS]
        found["gains"] = again.over_gains(proportional, integral)
    return found


def _critics(options: Options, config: RunConfig, pipeline: "Pipeline", states: dict[str, Any]) -> dict[str, Any]:
    """The critics against the truth; refuses runs without critics or without physics states."""
    import jax

    from marvel_jax.datasets.hdf5 import load_dataset, shipped_path
    from marvel_jax.diagnosis.critics import critics_against_truth
    from marvel_jax.training.stages import PRETRAIN

    if PRETRAIN not in states:
        raise UserError(f"{config.method} has no offline stage, so no critics to diagnose. Leave out --parts critics.")
    path = config.dataset or shipped_path(config.task)
    data = load_dataset(path, find_task(config.task))
    if not data.physics:
        raise UserError(
            f"{path} has no physics states to restart the simulator from. Leave out --parts critics, or use a dataset "
            "of marvel collect."
        )
    return critics_against_truth(pipeline, states, data, options.states, jax.random.key(options.seed))


def _write(config: RunConfig, found: dict[str, Any], out: Path) -> list[Path]:
    """`diagnosis.json` and a figure per part; returns the paths."""
    from marvel_jax.report.diagnosis_figures import draw

    with writing_to(out):
        paths = draw(config, found, out)
        write_json(out / "diagnosis.json", short(found))
    return [out / "diagnosis.json", *paths]


def short(found: Any) -> Any:
    """Arrays as lists, and without the thousands of critics' values."""
    if isinstance(found, dict):
        return {key: short(value) for key, value in found.items() if key not in ("values", "truth")}
    return found.tolist() if hasattr(found, "tolist") else found
