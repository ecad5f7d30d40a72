"""The guides, as they are written, and what registering an environment refuses."""

import json
import re
import shlex
from pathlib import Path

import jax
import jax.numpy as jnp
import marvel_envs
import pytest
from brax.envs.fast import Fast
from command_line import TINY, check_picture, marvel

from marvel_jax.config.methods import METHODS

DOCS = Path(__file__).parent.parent / "docs"


def blocks(language: str, guide: str = "your-own-environment.md") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / guide).read_text(), re.DOTALL)


def test_the_guide_works(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("my_envs.py").write_text(blocks("python")[0])
    listed, collected, run, evaluated = (shlex.split(line)[1:] for line in blocks("bash")[0].splitlines())
    assert "MyTask" in marvel(capsys, *listed)[1]
    assert marvel(capsys, *collected, "--quiet")[0] == 0
    assert marvel(capsys, *run, *TINY, "--quiet")[0] == 0
    code, out, _ = marvel(capsys, *evaluated, "--episodes", "2", "--json")
    assert code == 0
    assert json.loads(out)["task"] == "MyTask"
    exec(blocks("python")[1], {})
    code, out, _ = marvel(capsys, *shlex.split(blocks("bash")[1])[1:], "--json")
    assert code == 0
    assert json.loads(out)["episodes"] == 10
    check_picture(Path("recorded.png"), None)


def test_the_guide_from_data_to_deployment_works(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    commands = [line for block in blocks("bash", "guide.md") for line in block.splitlines()]
    for line in commands:
        words = shlex.split(line.replace("BallCircle", "BallRun"))[1:]
        code, out, problem = marvel(capsys, *words, *(TINY if words[0] == "pretrain" else ()))
        assert code == 0, problem
        assert words[0] != "compare" or "warm-start" in out
    assert {words.split()[1] for words in commands} == {"dataset", "pretrain", "evaluate", "finetune", "compare"}
    names = {"observation": jnp.zeros(7)}
    exec(blocks("python", "guide.md")[0], names)
    assert names["action"].shape == (2,)


def test_the_guide_to_methods_works(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("my_methods.py").write_text(blocks("python", "adding/method.md")[0])
    lines = blocks("bash", "adding/method.md")[0].splitlines()
    listed, mine, other, compared = (shlex.split(line)[1:] for line in lines)
    try:
        assert "waits" in marvel(capsys, *listed)[1]
        for words in (mine, other):
            assert marvel(capsys, *words, *TINY, "--seeds", "1", "--quiet")[0] == 0
        code, out, _ = marvel(capsys, *compared)
        assert code == 0
        assert "reserved" in out
    finally:
        METHODS.pop("reserved", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import no_such_thing", "no_such_thing"),
        ("import marvel_envs\nmarvel_envs.register(object())", "Wrap it"),
        ("import marvel_envs\nmarvel_envs.register(marvel_envs.make('BallRun'))", "a task BallRun already"),
    ],
)
def test_a_module_that_does_not_work_is_refused(text, message, tmp_path, capsys):
    module = tmp_path / f"module_{abs(hash(text))}.py"
    module.write_text(text)
    code, _, problem = marvel(capsys, "tasks", "--env-module", str(module))
    assert code == 2
    assert message in problem


def test_a_module_that_is_not_there_is_named(capsys):
    code, _, problem = marvel(capsys, "run", "X", "--env-module", "nowhere.py")
    assert code == 2
    assert "nowhere.py" in problem


def test_registering_refuses_costs_that_are_not_numbers():
    broken = marvel_envs.SafetyWrapper(Fast(), lambda *_: jnp.array(jnp.nan), cost_limit=1.0, name="Broken")
    with pytest.raises(ValueError, match="Broken: the cost is not finite"):
        marvel_envs.register(broken)
    assert "Broken" not in marvel_envs.TASKS


def test_a_playground_environment_is_a_brax_environment():
    registry = pytest.importorskip("mujoco_playground", reason="needs `playground`").registry
    env = marvel_envs.PlaygroundEnv(registry.load("CartpoleBalance"))
    wrapped = marvel_envs.SafetyWrapper(
        env, lambda before, action, after: jnp.where(after.obs[0] > 1.0, 1.0, 0.0), cost_limit=10.0, name="Cart"
    )
    wrapped.check(jax.random.key(0), steps=3)
