"""TensorBoard and Weights & Biases get what the Parquet file has."""

import json
import struct

import numpy as np
import pytest
from command_line import TINY, TINY_SWEEP, marvel

from marvel_jax.runs import metrics
from marvel_jax.runs.writers import Writers

pytest.importorskip("tensorboardX")
pytest.importorskip("wandb")
accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def read_tensorboard(folder):
    """Scalars of one event folder: `{tag: {step: value}}`."""
    found = accumulators.EventAccumulator(str(folder))
    found.Reload()
    return {tag: {e.step: e.value for e in found.Scalars(tag)} for tag in found.Tags()["scalars"]}


def read_records(data):
    """The records of a Weights & Biases file, which is a LevelDB log with a header of seven bytes."""
    place, record = 7, b""
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        _, size, kind = struct.unpack_from("<IHB", data, place)
        record += data[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # whole, or the last of several fragments
            yield record
            record = b""


def read_wandb(folder):
    """Rows of an offline run's history."""
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.glob("wandb/offline-run-*/*.wandb")
    for record in map(Record.FromString, read_records(path.read_bytes())):
        if record.WhichOneof("record_type") == "history":
            yield {i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in record.history.item}


def test_a_run_writes_both(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = tmp_path / "run"
    asked = ("--writers", "tensorboard", "wandb", "--write-every", "2")
    code, _, err = marvel(capsys, "run", "BallCircle", "--seeds", "2", "--out", str(run), "--quiet", *asked, *TINY)
    assert code == 0, err

    iterations, rewards = metrics.curves(metrics.read(run / "metrics.parquet").rows, "finetune", "reward")
    wanted = {int(t): value for t, value in zip(iterations, rewards.mean(axis=0), strict=True) if t % 2 == 0}
    seen = read_tensorboard(run / "tensorboard" / "marvel")
    assert seen["finetune/reward"] == pytest.approx(wanted, rel=1e-5)
    assert list(seen["pretrain/reward_loss"]) == [6]

    rows = [row for row in read_wandb(run) if "finetune/reward" in row]
    assert {row["finetune/iteration"]: row["finetune/reward"] for row in rows} == pytest.approx(wanted, rel=1e-5)


def test_a_sweep_has_a_series_per_point(capsys, tmp_path):
    out = tmp_path / "sweep"
    asked = ("--tasks", "BallCircle", "--seeds", "1", "--product", "cost_limit=10,20", "--writers", "tensorboard")
    code, _, err = marvel(capsys, "sweep", "--out", str(out), "--quiet", *asked, *TINY_SWEEP)
    assert code == 0, err
    folders = sorted(path.parent for path in out.glob("tensorboard/*/*/events*"))
    assert [folder.parent.name for folder in folders] == [f"BallCircle__marvel__cost_limit_{n}" for n in (10, 20)]
    assert all(len(read_tensorboard(folder)["finetune/cost"]) == 4 for folder in folders)


class Kept:
    def __init__(self):
        self.points = []

    def write(self, stage, iteration, scalars):
        self.points.append((stage, iteration, scalars))

    def close(self):
        pass


def test_diverged_runs_do_not_hide_the_others():
    kept = Kept()
    writers = Writers({"a": [kept]}, ["a", "a", "b"], every=1)
    writers.add(
        "finetune", 3, {"cost": np.array([[1.0, 2.0], [np.nan, 4.0], [9.0, 9.0]]), "no": np.full((3, 2), np.nan)}
    )
    assert kept.points == [("finetune", 2, {"cost": 1.0}), ("finetune", 3, {"cost": 3.0})]


def test_a_bad_interval_is_refused_at_once(capsys, tmp_path):
    asked = ("--writers", "tensorboard", "--write-every", "0", "--out", str(tmp_path / "run"))
    code, _, err = marvel(capsys, "run", "BallCircle", *asked)
    assert code == 2
    assert "--write-every is 0" in err
