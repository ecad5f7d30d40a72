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
from command_line import marvel
from marvel_envs import parity, quaternions
from marvel_envs.scenes import scene
from matplotlib.figure import Figure
from PIL import Image
from scipy.spatial.transform import Rotation

from marvel_jax.diagnosis.episodes import Episode
from marvel_jax.report import render, trajectories


def test_rotation_matrices_become_the_same_rotations():
    rotations = Rotation.random(50, random_state=0)
    ours = jax.vmap(quaternions.from_matrix)(jnp.asarray(rotations.as_matrix()))
    same = np.abs(np.sum(np.asarray(ours)[:, [1, 2, 3, 0]] * rotations.as_quat(), axis=1))
    np.testing.assert_allclose(same, 1, atol=1e-5)


SHOWN = ["BallCircle", "DroneRun", "CarRun", "AntCircle", "HopperVelocity", "PointGoal1", "CarCircle1"]


def short_episode(env):
    """The first three states of the simulator's recording, as an episode with a cost in the second step."""
    recording = parity.load_recording(parity.shipped_recording(env.spec.name), env)
    arrays = {name: jnp.asarray(recording[name][:3], jnp.float32) for name in env.recorded_state}
    physics = jax.jit(jax.vmap(env.physics_from_recording))(arrays)
    return Episode(jax.device_get(physics), np.array([0.0, 1.0, 0.0]), 1.0)


def lines(axes):
    """Lines of more than one point, `[T, 2]` each."""
    return [line.get_xydata() for line in axes.lines if len(line.get_xydata()) > 1]


@pytest.mark.parametrize("task", SHOWN)
def test_every_kind_of_body_can_be_shown(task, tmp_path, monkeypatch):
    env = marvel_envs.make(task)
    shown = scene(env)
    assert shown is not None
    episode = short_episode(env)
    gif, page = render.render(shown, episode, env.spec.control_dt, task, tmp_path)
    with Image.open(gif) as image:
        assert image.n_frames == 3
    packed = max(re.findall(r"[A-Za-z0-9+/=]{400,}", page.read_text()), key=len)
    system = json.loads(zlib.decompress(base64.b64decode(packed)))
    heights = np.array([state["pos"] for state in system["states"]["x"]])[:, -1, 2]
    assert (heights > 0).tolist() == [False, True, False]  # the beacon is up on unsafe steps only
    assert "unsafe" in system["geoms"]
    figures, save = [], Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda figure, *to, **how: (figures.append(figure), save(figure, *to, **how))
    )
    path = trajectories.draw(shown, {"offline": [episode], "finetuned": [episode]}, task, tmp_path / "t.png")
    assert path.exists()
    panels = figures[0].axes
    if shown.from_above:
        np.testing.assert_array_equal(lines(panels[0]), [episode.physics.position[:, :2]] * 2)
    if shown.speed is not None:
        speeds = np.stack([np.arange(3), shown.speed(episode.physics)], axis=1)
        np.testing.assert_array_equal(lines(panels[-1]), [speeds] * 2)
    assert len(panels) == bool(shown.from_above) + (shown.speed is not None)
    # Unsafe are rectangles, discs or speeds above the limit.
    assert all(axes.patches for axes in panels)


def test_a_run_is_rendered(finished, tmp_path, capsys):
    assert (finished / "figures" / "trajectories.png").exists()
    code, out, _ = marvel(capsys, "evaluate", str(finished), "--episodes", "1", "--render", "--out", str(tmp_path))
    assert code == 0
    assert "episode.gif" in out.replace("\n", "")
    with Image.open(tmp_path / "episode.gif") as image:
        assert image.n_frames == render.FRAMES
    assert (tmp_path / "episode.html").exists()
