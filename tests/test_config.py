"""Configuration: its layers, its file, and what it refuses."""

import dataclasses
import json
from operator import attrgetter

import marvel_envs
import pytest
from marvel_envs.tasks import TASKS

from marvel_jax.cli import options_of
from marvel_jax.config import Hyper, layered, override
from marvel_jax.config.check import check
from marvel_jax.config.errors import UserError
from marvel_jax.config.fields import all_fields, by_path
from marvel_jax.config.methods import METHODS, Recipe
from marvel_jax.config.presets import PRESETS, exchange_method
from marvel_jax.config.run_config import RunConfig, from_json, to_json
from marvel_jax.core.problem import problem_of


def config(hyper: Hyper | None = None, **changes) -> RunConfig:
    start = RunConfig("BallRun", "marvel", 0, 2, None, layered(task="BallRun") if hyper is None else hyper)
    return dataclasses.replace(start, **changes)


def test_a_method_changes_no_other_method(monkeypatch):
    before = {name: layered("paper", "BallRun", name) for name in METHODS}
    monkeypatch.setitem(METHODS, "wide", Recipe("", {"sac.batch_size": 32, "gains.proportional": 9.0}))
    assert layered("paper", "BallRun", "wide").sac.batch_size == 32
    assert {name: layered("paper", "BallRun", name) for name in METHODS if name != "wide"} == before
    assert before["marvel"].sac.batch_size == 64


def test_each_layer_is_over_those_before_it(monkeypatch):
    monkeypatch.setitem(PRESETS["quick"].changes, "gains.proportional", 1.0)
    assert layered("quick").gains.proportional == 1.0
    assert layered("quick", "BallRun").gains.proportional == 2.0  # the task's
    monkeypatch.setitem(METHODS, "mine", Recipe("", {"gains.proportional": 3.0}))
    assert layered("quick", "BallRun", "mine").gains.proportional == 3.0
    assert layered("quick", "BallRun", "mine", **{"gains.proportional": 4.0}).gains.proportional == 4.0


def test_exchanging_a_method_resets_what_the_old_one_set_and_nothing_else(monkeypatch):
    monkeypatch.setitem(METHODS, "small", Recipe("", {"sac.batch_size": 8, "gains.smoothing": 0.1}))
    saved = layered("paper", "BallRun", "small", discount=0.9)
    exchanged = exchange_method(saved, "paper", "BallRun", "small", "marvel")
    assert exchanged == layered("paper", "BallRun", "marvel", discount=0.9)
    for name in METHODS:
        there = exchange_method(saved, "paper", "BallRun", "small", name)
        assert exchange_method(there, "paper", "BallRun", name, "small") == saved


def test_a_task_has_one_cost_limit(monkeypatch):
    spec = dataclasses.replace(marvel_envs.task_spec("BallRun"), name="Strict", cost_limit=10.0)
    monkeypatch.setitem(TASKS, "Strict", spec)
    assert layered(task="Strict").cost_limit == 10.0
    assert problem_of(spec, Hyper()).cost_limit == 10.0
    assert problem_of(spec, override(Hyper(), cost_limit=5.0)).cost_limit == 5.0
    assert options_of("run", ["Strict"]).run_config().cost_limit == 10.0
    assert config(Hyper(), task="Strict").cost_limit == 10.0


def test_the_parser_decides_which_word_is_the_task():
    asked = options_of("run", ["--out", "BallRun", "BallCircle"]).run_config()
    assert (asked.task, asked.hyper) == ("BallCircle", layered(task="BallCircle"))
    assert asked.hyper.gains.proportional != layered(task="BallRun").gains.proportional


def other_value(path: str):
    """A value of a hyperparameter that is not its default."""
    field = all_fields()[path]
    if path in ("algorithm", "online_algorithm"):
        return {"algorithm": "bear-lag", "online_algorithm": "td3-lag"}[path]
    if field.choices:
        return next(choice for choice in field.choices if choice != field.default)
    if isinstance(field.default, bool):
        return not field.default
    return (3, 4) if isinstance(field.default, tuple) else 0.5 if field.default is None else field.default + 1


@pytest.mark.parametrize("path", all_fields())
def test_every_hyperparameter_comes_back_from_the_file(path, tmp_path):
    saved = config(override(Hyper(), **{path: other_value(path)}))
    found = from_json(json.loads(json.dumps(to_json(saved))), tmp_path)
    assert found == saved
    assert attrgetter(path)(found.hyper) == other_value(path)


def old_file(**changes) -> dict:
    """What an earlier version wrote, in its words."""
    saved = to_json(config())
    values = by_path(saved["hyper"])
    names = {"control.margin": "gains.margin", "control.offset": "gains.caution", "compute_dtype": "products"}
    names |= {"step_size.largest_boost": "online.recovery", "replay.offline_decay": "online.offline_fading"}
    hyper: dict = {}
    for path, value in {**{names.get(path, path): value for path, value in values.items()}, **changes}.items():
        *groups, last = path.split(".")
        place = hyper
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = value
    del saved["preset"]
    return {**saved, "hyper": hyper}


def test_a_file_with_old_names_is_read(tmp_path):
    changes = {"gains.margin": 0.3, "online.recovery": 4.0, "products": "bfloat16", "gains.saturate": False}
    found = from_json(old_file(**changes), tmp_path).hyper
    assert (found.control.margin, found.step_size.largest_boost, found.compute_dtype) == (0.3, 4.0, "bfloat16")
    assert by_path(found).keys() == all_fields().keys()


@pytest.mark.parametrize("gone", [{"gains.saturate": True}, {"sac.desaturate": True}, {"gains.nonsense": 1.0}])
def test_a_file_that_means_what_no_longer_exists_is_refused(gone, tmp_path):
    with pytest.raises(UserError, match="is not the configuration of a run of this version") as refused:
        from_json(old_file(**gone), tmp_path)
    assert next(iter(gone)) in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"algorithm": "cpw"}, "Did you mean cpq"),
        ({"online_algorithm": "sac"}, "Did you mean sac-lag"),
        ({"hidden": ()}, "--hidden is"),
        ({"discount": 1.0}, "give a number in"),
        ({"method.offline_fraction": 1.5}, "give a number in"),
        ({"gains.integral": -1.0}, "give 0 or more"),
        ({"gains.integral": float("nan")}, "give a finite number"),
        *(
            ({path: 0}, f"--{path.replace('_', '-')} is 0; give at least 1")
            for path in all_fields()
            if "updates" in path
        ),
        ({"online.episodes": 0}, "give at least 1"),
        ({"evaluation_episodes": 0}, "give at least 1"),
        ({"gains.window": 0}, "give at least 1"),
    ],
)
def test_numbers_that_cannot_be_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        check(config(layered(task="BallRun", **changes)))


def test_off_is_allowed():
    off = {
        "pretrain.clone_beyond": 0.0,
        "online.warmup_steps": 0,
        "log_std_minimum": -20.0,
        "replay.offline_decay": 0.0,
    }
    check(config(layered(task="BallRun", **off)))
