"""Scenes of all kinds of bodies, animations, pages and trajectories."""

import base64
import json
import re
import zlib

import jax
import jax.numpy as jnp
import marvel_envs
import numpy as np
import pytest
from command_line import check_picture, marvel
from marvel_envs import quaternions
from marvel_envs.parity import load_recording, shipped_recording
from marvel_envs.scenes import scene
from PIL import Image
from scipy.spatial.transform import Rotation

from marvel_jax.diagnosis.episodes import Episode
from marvel_jax.report import render, trajectories
from marvel_jax.report.render import FRAMES


def test_rotation_matrices_become_the_same_rotations():
    rotations = Rotation.random(50, random_state=0)
    ours = jax.vmap(quaternions.from_matrix)(jnp.asarray(rotations.as_matrix()))
    same = np.abs(np.sum(np.asarray(ours)[:, [1, 2, 3, 0]] * rotations.as_quat(), axis=1))
    np.testing.assert_allclose(same, 1, atol=1e-5)


# Tasks with every kind of body, and the size of their trajectories' picture: runs have a panel of speeds as well.
SHOWN = {
    "BallCircle": (720, 600),
    "DroneRun": (1200, 504),
    "CarRun": (1200, 504),
    "AntCircle": (720, 600),
    "HopperVelocity": (720, 600),
    "PointGoal1": (720, 600),
    "CarCircle1": (720, 600),
}


@pytest.mark.parametrize("task", SHOWN)
def test_every_kind_of_body_can_be_shown(task, tmp_path):
    env = marvel_envs.make(task)
    shown = scene(env)
    assert shown is not None
    # Recorded states instead of drawn ones, whose programs take long to compile.
    recording = load_recording(shipped_recording(task), env)
    rows = {name: jnp.asarray(recording[name][:3], jnp.float32) for name in env.recorded_state}
    physics = jax.jit(jax.vmap(env.physics_from_recording))(rows)
    episode = Episode(jax.device_get(physics), np.array([0.0, 1.0, 0.0]), 1.0)
    gif, page = render.render(shown, episode, env.spec.control_dt, task, tmp_path)
    with Image.open(gif) as image:
        assert image.n_frames == 3
    packed = max(re.findall(r"[A-Za-z0-9+/=]{400,}", page.read_text()), key=len)
    system = json.loads(zlib.decompress(base64.b64decode(packed)))
    heights = np.array([state["pos"] for state in system["states"]["x"]])[:, -1, 2]
    assert (heights > 0).tolist() == [False, True, False]  # the beacon is up on unsafe steps only
    assert "unsafe" in system["geoms"]
    path = trajectories.draw(shown, {"offline": [episode], "finetuned": [episode]}, task, tmp_path / "t.png")
    check_picture(path, SHOWN[task])


def test_a_run_is_rendered(finished, tmp_path, capsys):
    check_picture(finished / "figures" / "trajectories.png", (1200, 504))
    code, out, _ = marvel(capsys, "evaluate", str(finished), "--episodes", "1", "--render", "--out", str(tmp_path))
    assert code == 0
    assert "episode.gif" in out.replace("\n", "")
    with Image.open(tmp_path / "episode.gif") as image:
        assert (image.size, image.n_frames) == ((480, 360), FRAMES)
    assert "<script" in (tmp_path / "episode.html").read_text()
