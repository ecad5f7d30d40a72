"""The diagnose command: what a finished run's critics, multiplier and gains were worth."""

import json
from pathlib import Path
from typing import Any

from marvel_jax.commands.options import Diagnose
from marvel_jax.commands.shared import check_unused, prepare_jax
from marvel_jax.config import run as configuration
from marvel_jax.config.errors import UserError
from marvel_jax.runs.folder import RunFolder, write_json

FIXED = [0.0, 0.03, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2]
INITIAL = [0.0, 0.1, 0.3, 1.0, 3.0, 10.0]
GAIN_FACTORS = [0.1, 0.3, 1.0, 3.0, 10.0]


def diagnose_command(options: Diagnose) -> int:
    """Diagnoses a run."""
    for name in ("states", "seeds"):
        if getattr(options, name) < 1:
            raise UserError(f"--{name} is {getattr(options, name)}; give at least 1.")
    config = configuration.read(options.run)
    configuration.check(config)
    folder = RunFolder(options.run)
    out = options.out or folder.path / "diagnosis"
    check_unused(out)
    seeds = min(options.seeds, config.seeds)
    prepare_jax(config.seeds)
    from marvel_jax.diagnosis import refinetuning
    from marvel_jax.runs import pipeline as pipelines
    from marvel_jax.runs.console import Reporter

    reporter = Reporter(quiet=options.json)
    pipeline = pipelines.of_run(config, folder, reporter)
    states = refinetuning.finished_states(pipeline)
    found: dict[str, Any] = {}
    if "critics" in options.parts:
        found["critics"] = _critics(options, config, pipeline, states)
    if "fixed" in options.parts:
        found["multiplier_before"] = refinetuning.offline_multiplier(pipeline, states)
        found["fixed"] = refinetuning.over_fixed_multipliers(pipeline, states, FIXED, seeds, reporter)
    if "initial" in options.parts:
        found["initial"] = refinetuning.over_initial_multipliers(pipeline, states, INITIAL, seeds, reporter)
    if "gains" in options.parts:
        own = config.hyper.gains
        proportional, integral = (
            [round(factor * gain, 6) for factor in GAIN_FACTORS] for gain in (own.proportional, own.integral)
        )
        found["gains"] = refinetuning.over_gains(pipeline, states, proportional, integral, seeds, reporter)
    paths = _write(config, found, out)
    if options.json:
        print(json.dumps({**short(found), "written": [str(path) for path in paths]}))
        return 0
    from marvel_jax.report.diagnosis_text import print_diagnosis

    print_diagnosis(config, found)
    for path in paths:
        print(path)
    return 0


def _critics(options: Diagnose, config: Any, pipeline: Any, states: dict[str, Any]) -> dict[str, Any]:
    import jax

    from marvel_jax.datasets import hdf5 as datasets
    from marvel_jax.diagnosis import refinetuning
    from marvel_jax.training.stages import PRETRAIN

    if PRETRAIN not in states:
        raise UserError(f"{config.method} has no offline stage, so no critics to diagnose. Leave out --parts critics.")
    path = config.dataset or datasets.shipped_path(config.task)
    data = datasets.load(path, configuration.find_task(config.task))
    if not data.physics:
        raise UserError(
            f"{path} has no physics states to restart the simulator from. Leave out --parts critics, or use a dataset "
            "of marvel collect."
        )
    return refinetuning.critics_against_truth(pipeline, states, data, options.states, jax.random.key(options.seed))


def _write(config: Any, found: dict[str, Any], out: Path) -> list[Path]:
    """`refinetuning.json` and a figure per part."""
    from marvel_jax.report import diagnosis_figures
    from marvel_jax.report.figures import save

    limit, title = config.hyper.cost_limit, f"{config.task}, {config.method}"
    figures = {}
    if found.get("critics", {}).get("data"):
        figures["critics"] = diagnosis_figures.critics(found["critics"], title)
    if "fixed" in found:
        before = found["multiplier_before"]
        figures["fixed-multipliers"] = diagnosis_figures.fixed(found["fixed"], before, limit, title)
    if "initial" in found:
        figures["initial-multipliers"] = diagnosis_figures.initial(found["initial"], limit, title)
    if "gains" in found:
        figures["gains"] = diagnosis_figures.gains(found["gains"], title)
    try:
        paths = save(figures, out)
        write_json(out / "diagnosis.json", short(found))
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror}). Give another --out.") from None
    return [out / "diagnosis.json", *paths]


def short(found: Any) -> Any:
    """Arrays as lists, and without the thousands of critics' values."""
    if isinstance(found, dict):
        return {key: short(value) for key, value in found.items() if key not in ("values", "truth")}
    return found.tolist() if hasattr(found, "tolist") else found
