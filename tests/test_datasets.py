"""Reading datasets: what is accepted, and that every fault is named with its place."""

import json

import h5py
import numpy as np
import pytest
from command_line import marvel
from hypothesis import given, settings
from hypothesis import strategies as st
from marvel_envs import TASKS

from marvel_jax.config.errors import UserError
from marvel_jax.datasets.hdf5 import load_dataset, load_shipped, save_dataset
from marvel_jax.datasets.thinning import thin

TASK = TASKS["BallRun"]


@pytest.fixture
def arrays():
    """Two episodes of five steps."""
    rng = np.random.default_rng(0)
    ends = np.tile([0, 0, 0, 0, 1.0], 2)
    return {
        "observations": rng.normal(size=(10, 7)).astype(np.float32),
        "next_observations": rng.normal(size=(10, 7)).astype(np.float32),
        "actions": rng.uniform(-1, 1, (10, 2)).astype(np.float32),
        "rewards": np.arange(10, dtype=np.float32),
        "costs": np.tile([0, 1.0], 5).astype(np.float32),
        "terminals": np.zeros(10, np.float32),
        "timeouts": ends.astype(np.float32),
    }


def write(path, arrays, **attributes):
    with h5py.File(path, "w") as file:
        file.attrs.update(attributes)
        for name, array in arrays.items():
            file[name] = array
    return path


@pytest.mark.parametrize("task", ["BallCircle", "BallRun"])
def test_shipped_datasets_load_and_have_whole_episodes(task):
    data = load_shipped(task)
    returns, costs = data.episode_sums()
    assert len(returns) * data.task.episode_length == len(data.ends)
    assert costs.max() <= data.task.max_cost
    assert {"position", "velocity", "angular_velocity"} == set(data.physics)
    assert np.all(data.transitions.discount == 1)  # Ball tasks only ever run out of time
    # Physics and observation are of the same moment.
    np.testing.assert_allclose(data.transitions.observation[:, :2], 0.1 * data.physics["position"][:, :2], atol=1e-6)


def test_dsrl_layout_without_physics_loads(tmp_path, arrays):
    data = load_dataset(write(tmp_path / "d.hdf5", arrays), TASK)
    np.testing.assert_allclose(data.episode_sums()[0], [0 + 1 + 2 + 3 + 4, 5 + 6 + 7 + 8 + 9])
    assert data.physics == {}


def test_saving_and_loading_is_lossless(tmp_path, arrays):
    data = load_dataset(write(tmp_path / "d.hdf5", arrays), TASK)
    save_dataset(tmp_path / "again.hdf5", data, "by hand")
    again = load_dataset(tmp_path / "again.hdf5", TASK)
    for name in ("observation", "action", "reward", "cost", "discount", "next_observation"):
        np.testing.assert_array_equal(getattr(again.transitions, name), getattr(data.transitions, name))
    np.testing.assert_array_equal(again.ends, data.ends)


def test_what_a_dataset_offers_is_said(tmp_path, arrays, capsys):
    unfinished = {**arrays, "timeouts": np.asarray([0, 0, 0, 0, 1.0, 0, 0, 1, 0, 0])}
    unfinished["costs"] = np.asarray([0, 1, 0, 1, 0, 1, 1, 1, 0, 0])
    asked = "dataset", "BallRun", "--dataset", str(write(tmp_path / "d.hdf5", unfinished))
    code, out, _ = marvel(capsys, *asked, "--cost-limit", "2", "--json")
    found = json.loads(out)
    assert code == 0
    assert (found["episodes"], found["steps"], found["steps_of_an_unfinished_episode"]) == (2, 10, 2)
    assert (found["cost"]["least"], found["cost"]["most"]) == (2, 3)
    assert (found["episodes_within"], found["best_return_within"]) == (1, 0 + 1 + 2 + 3 + 4)
    assert "nothing to imitate" in marvel(capsys, *asked, "--cost-limit", "1")[1].replace("\n", " ")
    assert "give 0 or more" in marvel(capsys, *asked, "--cost-limit", "-1")[2]
    assert "cannot be written" in marvel(capsys, *asked, "--out", str(tmp_path / "no" / "where.png"))[2]
    assert "nothing is overwritten" in marvel(capsys, *asked, "--out", str(tmp_path / "d.hdf5"))[2]
    assert "does not say its format" in marvel(capsys, *asked, "--out", str(tmp_path / "figure"))[2]


def spoil(arrays, name, index, value):
    array = arrays[name].copy()
    array[index] = value
    return {**arrays, name: array}


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda a: spoil(a, "rewards", 3, np.nan), "rewards, row 3: nan is not finite"),
        (lambda a: spoil(a, "observations", (7, 2), np.inf), "observations, row 7, column 2: inf is not finite"),
        (lambda a: spoil(a, "actions", (4, 1), 1.5), "actions, row 4, column 1: 1.5 lies outside"),
        (lambda a: spoil(a, "costs", 2, -1), "costs, row 2: -1.0 lies outside"),
        (lambda a: spoil(a, "timeouts", 1, 0.5), "timeouts, row 1: 0.5 is neither 0 nor 1"),
        (lambda a: {**a, "actions": a["actions"][:, :1]}, r"actions has shape \(10, 1\)"),
        (lambda a: {**a, "costs": a["costs"][:-1]}, r"costs has shape \(9,\)"),
        (lambda a: {k: v for k, v in a.items() if k != "costs"}, "no array 'costs'"),
        (lambda a: {**a, "rewards": np.array([b"x"] * 10)}, "rewards has type"),
        (lambda a: {**a, "timeouts": np.zeros(10)}, "no complete episode"),
    ],
)
def test_faults_are_named_with_array_and_row(tmp_path, arrays, fault, message):
    with pytest.raises(UserError, match=message):
        load_dataset(write(tmp_path / "d.hdf5", fault(arrays)), TASK)


def test_wrong_task_not_hdf5_and_cut_short(tmp_path, arrays):
    path = write(tmp_path / "d.hdf5", arrays, task="BallCircle")
    with pytest.raises(UserError, match="dataset of BallCircle, not of BallRun"):
        load_dataset(path, TASK)
    (tmp_path / "text.hdf5").write_text("not a dataset")
    with pytest.raises(UserError, match="not a readable HDF5 file"):
        load_dataset(tmp_path / "text.hdf5", TASK)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="cut short"):
        load_dataset(path, TASK)
    with pytest.raises(UserError, match="marvel collect"):
        load_dataset(tmp_path / "absent.hdf5", TASK)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.integers(0, 2**16))
def test_thinning_keeps_few_enough_cheap_enough_and_no_crowd(keep, seed):
    rng = np.random.default_rng(seed)
    crowd = np.concatenate([np.full(80, 5.0), rng.uniform(0, 120, 40)])
    returns = np.concatenate([np.full(80, 100.0), rng.uniform(0, 800, 40)])
    kept = thin(returns, crowd, keep, 80.0, rng)
    assert len(kept) <= keep
    assert np.all(crowd[kept] <= 80)
    assert len(np.unique(kept)) == len(kept)
    alone = np.sum(kept >= 80)
    assert np.sum(kept < 80) <= max(3, alone)  # eighty equal episodes do not outnumber the varied rest
