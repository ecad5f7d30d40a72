"""The real simulators: they start, they agree with our environments live, and policies play in them."""

import json

import jax
import jax.numpy as jnp
import marvel_envs
import numpy as np
import pytest
from command_line import marvel
from marvel_envs.bullet.ball import BallState
from marvel_envs.host import HostVector
from marvel_envs.simulators import HostEnv

pytest.importorskip("bullet_safety_gym", reason="needs the extra `simulators`")


@pytest.mark.parametrize("name", ["SafetySwimmerVelocity-v1", "SafetyCarCircle1-v0"])
def test_mended_environments_step(name):
    env = HostEnv("safety-gymnasium", name)
    env.reset(0)
    observation, reward, cost, terminated, truncated = env.step(np.ones(env.sizes[1]))
    assert observation.shape == (env.sizes[0],)
    assert np.isfinite([reward, cost]).all()
    assert not terminated
    assert not truncated


def test_contact_margins_are_those_of_the_older_mujoco():
    # Since MuJoCo 3 margins add up, which would double this one.
    model = HostEnv("safety-gymnasium", "SafetyAntVelocity-v1").env.unwrapped.model
    assert model.geom_margin.max() == pytest.approx(0.005)


def test_host_environments_repeat_and_agree_with_ours():
    actions = np.random.default_rng(0).uniform(-1, 1, (60, 3, 2)).astype(np.float32)
    with HostVector("bullet-safety-gym", "SafetyBallRun-v0", count=3, workers=2) as hosts:
        played = []
        for _ in range(2):
            first = hosts.reset([1, 2, 3])
            played.append([first] + [hosts.step(action).observation for action in actions])
    np.testing.assert_array_equal(*played)
    theirs = np.stack(played[0])
    env = marvel_envs.make("BallRun")
    height = jnp.full((3, 1), 0.49999)
    position = jnp.concatenate([jnp.asarray(theirs[0, :, :2]) * 10, height], axis=1)
    start = BallState(position, jnp.zeros((3, 3)), jnp.zeros((3, 3)))

    def step(physics, action):
        after = jax.vmap(env.advance)(physics, action)
        return after, jax.vmap(env.observe)(after)

    _, ours = jax.jit(lambda s, a: jax.lax.scan(step, s, a))(start, actions)
    np.testing.assert_allclose(ours, theirs[1:], atol=5e-3)


def test_host_environments_start_afresh_when_an_episode_ends():
    with HostVector("bullet-safety-gym", "SafetyBallRun-v0", count=2) as hosts:
        hosts.reset([0, 1])
        for _ in range(100):
            step = hosts.step(np.ones((2, 2)))
    assert step.truncation.all()
    assert not step.termination.any()
    assert np.abs(step.observation[:, :2]).max() < 0.01  # of the new episode
    assert np.abs(step.final_observation[:, :2]).max() > 1.0  # of the one that ended


def test_a_policy_is_finetuned_and_evaluated_in_the_real_simulator(finished, tmp_path, capsys):
    out = tmp_path / "real"
    arguments = ["finetune", "--from", str(finished), "--simulator", "bullet-safety-gym", "--out", str(out), "--json"]
    code, printed, _ = marvel(capsys, *arguments)
    assert code == 0
    assert np.isfinite(json.loads(printed)["final"]["reward"]["iqm"])
    arguments = ["evaluate", str(out), "--simulator", "bullet-safety-gym", "--episodes", "2", "--json"]
    code, printed, _ = marvel(capsys, *arguments)
    assert code == 0
    rows = json.loads(printed)["per_seed"]
    assert all(np.isfinite(row["simulator"]["reward"]) for row in rows)


@pytest.mark.parametrize("command", ["evaluate", "finetune"])
def test_another_tasks_simulator_is_refused(command, finished, capsys):
    where = [str(finished)] if command == "evaluate" else ["--from", str(finished)]
    code, _, problem = marvel(capsys, command, *where, "--simulator", "safety-gymnasium")
    assert code == 2
    assert "BallRun is a task of bullet-safety-gym" in problem


def test_unknown_environments_and_simulators_are_named():
    with pytest.raises(ValueError, match="SafetyFooRun"):
        HostVector("bullet-safety-gym", "SafetyFooRun-v0", count=1)
    with pytest.raises(ValueError, match="Unknown simulator 'mujoco'"):
        HostVector("mujoco", "x", count=1)


def test_a_missing_simulator_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="uv sync --extra simulators"):
        HostVector("bullet-safety-gym", "SafetyBallRun-v0", count=1)
