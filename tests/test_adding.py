"""The pages on adding things: their code, as it is written, and what it makes is used."""

import re
from pathlib import Path

import jax
import marvel_envs
import numpy as np
import pytest
from command_line import FIELDS, marvel
from marvel_envs.registry import load_module
from marvel_envs.velocity_tasks import VELOCITY_TASKS

from marvel_jax.algorithms.registry import OFFLINE, ONLINE
from marvel_jax.config import offline, online
from marvel_jax.config.methods import METHODS
from marvel_jax.config.presets import layered
from marvel_jax.training import experiment

PAGES = Path(__file__).parent.parent / "docs" / "adding"


@pytest.fixture
def registered(request, tmp_path):
    """The file that a page says to write, imported; what it registers goes when the test is done."""
    tables = (OFFLINE, ONLINE, offline.OFFLINE, online.ONLINE, METHODS, marvel_envs.TASKS, VELOCITY_TASKS)
    before = [dict(table) for table in tables]
    (code,) = re.findall(r"```python\n(.*?)```", (PAGES / f"{request.param}.md").read_text(), re.DOTALL)
    module = tmp_path / f"my_{request.param.replace('-', '_')}.py"
    module.write_text(code)
    load_module(str(module))
    yield module
    for table, names in zip(tables, before, strict=True):
        for name in set(table) - set(names):
            del table[name]


@pytest.mark.parametrize(
    ("registered", "changes"),
    [
        ("offline-algorithm", {"algorithm": "bc-frugal"}),
        ("online-algorithm", {"online_algorithm": "sac-bounded"}),
    ],
    indirect=["registered"],
)
def test_an_algorithm_of_ones_own_learns(registered, changes, env, dataset):
    hyper = layered(task="BallRun", **{**FIELDS, "hidden": (8,)}, **changes)
    result = jax.jit(lambda key: experiment.run(hyper, dataset, key, env))(jax.random.key(0))
    assert np.isfinite(result.metrics["reward"]).all()
    assert result.metrics["multiplier"].shape == (FIELDS["online.iterations"],)


@pytest.mark.parametrize("registered", ["method"], indirect=True)
def test_a_method_of_ones_own_is_listed_and_changes_what_it_says(registered, capsys):
    code, out, _ = marvel(capsys, "methods", "--env-module", str(registered), "--json")
    assert code == 0
    assert '"reserved"' in out
    hyper = layered(method="reserved")
    assert (hyper.method.critics, hyper.online.warmup_steps, hyper.control.margin) == ("offline", 2000, 0.6)


@pytest.mark.parametrize("registered", ["task"], indirect=True)
def test_a_row_is_a_task(registered):
    env = marvel_envs.make("SlowSwimmerVelocity")
    assert env.spec.summary == "Run along x no faster than 0.1 m/s."
    assert (env.observation_size, env.action_size) == (8, 2)
    assert layered(task="SlowSwimmerVelocity").cost_limit == env.spec.cost_limit
