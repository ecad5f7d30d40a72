"""Tasks without a dataset in the package: collect, load with physics, learn."""

import json

import jax
import marvel_envs
import numpy as np
import pytest
from command_line import TINY, marvel

from marvel_jax import cli
from marvel_jax.datasets.hdf5 import load_dataset
from marvel_jax.diagnosis.true_values import physics_at

COLLECT = ("--iterations", "1", "--stages", "1", "--runs", "1", "--limits", "1000", "--episodes-per-stage", "2")


def coast(physics, state, control):
    """A stand-in for a step of MuJoCo, which takes long to compile: bodies go on as they are."""
    qpos = state.qpos + 0.01 * state.qvel
    return state.replace(qpos=qpos, tracked=qpos[:2])


@pytest.fixture(params=["PointGoal1", "SwimmerVelocity"], scope="module")
def collected(request, tmp_path_factory):
    """A task and a dataset of it."""
    out = tmp_path_factory.mktemp("data") / "data.hdf5"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("marvel_envs.mujoco_physics.MujocoPhysics.advance", coast)
        with pytest.raises(SystemExit) as ended:
            cli.main(["collect", request.param, *COLLECT, "--out", str(out), "--quiet"])
    assert not ended.value.code
    return request.param, out


def test_collected_data_load_with_their_physics(collected):
    task, path = collected
    loaded = load_dataset(path, marvel_envs.task_spec(task))
    env = marvel_envs.make(task)
    observed = jax.vmap(env.observe)(physics_at(env, loaded.physics, np.arange(2)))
    np.testing.assert_allclose(observed, loaded.transitions.observation[:2], atol=1e-3)


@pytest.mark.parametrize("collected", ["PointGoal1"], indirect=True)
def test_a_policy_is_learned_from_them(collected, tmp_path, capsys):
    task, path = collected
    options = ["--dataset", str(path), "--seeds", "1", "--out", str(tmp_path / "run"), "--json"]
    code, printed, problem = marvel(capsys, "run", task, *TINY, *options)
    assert code == 0, problem
    assert json.loads(printed)["task"] == task
