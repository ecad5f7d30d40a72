"""A sweep, run: equal to its runs alone, whatever the chunks, devices and processes; killed and resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import chex
import jax
import numpy as np
import pytest
from command_line import FIELDS, TINY_SWEEP, marvel

from marvel_jax import load_policy
from marvel_jax.config.errors import UserError
from marvel_jax.config.methods import METHODS, Recipe
from marvel_jax.core.acting import NetworkPolicy
from marvel_jax.core.problem import Problem
from marvel_jax.runs import checkpoint
from marvel_jax.runs.console import Reporter
from marvel_jax.runs.program import Program
from marvel_jax.runs.writers import WriterChoice
from marvel_jax.sweeps import memory, plan, programs
from marvel_jax.sweeps.common import CommonStages
from marvel_jax.sweeps.executor import ChunkOfSweep, Sweep
from marvel_jax.sweeps.folder import SweepFolder
from marvel_jax.sweeps.programs import Programs
from marvel_jax.sweeps.request import Request, checked, expand
from marvel_jax.training import experiment
from marvel_jax.training.evaluate import evaluate
from marvel_jax.training.stages import stage_keys

ASKED = ("sweep", "--tasks", "BallRun", "--seeds", "3", "--product", "cost_limit=5,20", *TINY_SWEEP)


def command(out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "marvel_jax", *ASKED, "--out", str(out), "--quiet", *more]


def tables(path: Path) -> list[dict]:
    """Results and metrics in a fixed order; the same run or iteration twice would show."""
    folder = SweepFolder(path)
    measured = folder.table("metrics").sort_by(
        [("run", "ascending"), ("stage", "ascending"), ("iteration", "ascending")]
    )
    return [folder.table("results").sort_by("run").to_pydict(), measured.to_pydict()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A sweep of six runs in chunks of four, through the command line."""
    out = tmp_path_factory.mktemp("sweeps") / "whole"
    subprocess.run(command(out, "--chunk", "4"), check=True)
    return out


def test_every_run_is_there_once_and_the_summary_says_what_came_out(whole):
    results, measured = tables(whole)
    assert results["run"] == list(range(6))
    assert measured["stage"].count("finetune") == 6 * 4
    summary = json.loads((whole / "summary.json").read_text())
    assert summary["runs"] == summary["finished"] == 6
    assert summary["diverged"] == []
    for point, limit in zip(summary["points"], (5.0, 20.0), strict=True):
        costs = np.asarray(results["cost"][3 * point["point"] : 3 * point["point"] + 3])
        assert point["cost_limit"] == limit
        assert point["safe_seeds"] == np.sum(costs <= limit)
    assert not list((whole / "work").iterdir())
    assert len(list((whole / "figures").glob("*.png"))) == 3


def test_a_run_of_a_sweep_equals_the_run_alone(whole, env, dataset):
    request, _ = SweepFolder(whole).read_plan()
    hyper = expand(request)[1].hyper
    alone = jax.jit(lambda hyper, key: experiment.run(hyper, dataset, key, env))(hyper, jax.random.key(2))
    results, _ = tables(whole)
    np.testing.assert_allclose(results["reward"][5], alone.final.reward.mean(), rtol=1e-3)
    np.testing.assert_allclose(results["offline_cost"][5], alone.offline.cost.mean(), rtol=1e-3)


def test_methods_share_what_they_have_in_common_and_each_still_equals_itself_alone(tmp_path, capsys, monkeypatch):
    done, pipeline_of = [], ChunkOfSweep._pipeline
    taken, take, read, restore = [], CommonStages.take, [], checkpoint.restore

    def watched(self, runs, size, part):
        if part != "all":
            done.append((part, len(runs)))
        return pipeline_of(self, runs, size, part)

    def watched_take(self, *rest):
        found = take(self, *rest)
        if found is not None:
            taken.append(self.path)
        return found

    def watched_restore(folder, *rest):
        if folder.parent.name == "common":
            read.append(folder)
        return restore(folder, *rest)

    monkeypatch.setitem(METHODS, "initial", Recipe("", {"method.multiplier_alignment": "initial"}))
    monkeypatch.setattr(ChunkOfSweep, "_pipeline", watched)
    monkeypatch.setattr(CommonStages, "take", watched_take)
    monkeypatch.setattr(checkpoint, "restore", watched_restore)
    monkeypatch.setattr(programs, "KEPT_GROUPS", 1)  # every program is let go, and comes back
    methods = ("marvel", "initial", "warm-start")
    asked = ("sweep", "--tasks", "BallRun", "--seeds", "2", *TINY_SWEEP, "--methods")
    out = tmp_path / "together"
    assert marvel(capsys, *asked, *methods, "--out", str(out), "--quiet")[0] == 0
    assert done == [("pretrain", 2), ("align", 2)]
    assert len(read) == len(taken) > 0  # both runs' states are in one checkpoint, which is read once
    assert not (out / "common").exists()
    results, measured = tables(out)
    monkeypatch.undo()
    alone = tmp_path / "alone"
    assert marvel(capsys, *asked, "warm-start", "--out", str(alone), "--quiet")[0] == 0
    chex.assert_trees_all_equal(tables(alone)[0]["reward"], results["reward"][4:])
    of_last = [loss for number, loss in zip(measured["run"], measured["reward_loss"], strict=True) if number >= 4]
    chex.assert_trees_all_equal(tables(alone)[1]["reward_loss"], of_last)


def test_the_next_groups_programs_are_compiled_ahead(tmp_path, monkeypatch):
    begun = []
    monkeypatch.setattr(Program, "compile_ahead", lambda self, batch, names: begun.append((self.hyper, names)))
    monkeypatch.setitem(METHODS, "no-offset", Recipe("", {"control.offset": 0.0}))
    request = checked(Request(("BallRun",), ("marvel", "no-offset", "warm-start"), seeds=2))
    groups = plan.group_runs(request, expand(request))  # the first two in one
    folder, first, second, last = SweepFolder(tmp_path), *plan.chunks(groups, [2, 2])
    own = first.runs[0].point.hyper, ["pretrain", "align", "finetune"]  # nothing is there yet that runs have in common
    sweep = Sweep(folder, Programs(request, groups), Reporter(quiet=True), WriterChoice())
    sweep._compile_ahead(first, [second, last])
    assert begun == [own, (last.runs[0].point.hyper, ["finetune"])]
    (tmp_path / "results").mkdir()
    folder._part("results", last.number).touch()  # done: there is nothing ahead
    sweep._compile_ahead(first, [second, last])
    assert begun[2:] == [own]


def test_points_are_compared_limit_by_limit(whole, capsys):
    assert "none of these: marvel" in marvel(capsys, "compare", str(whole), "--reference", "pid")[2]
    code, out, _ = marvel(capsys, "compare", str(whole), "--json")
    assert code == 0
    found = json.loads(out)["tables"]
    assert [table["cost_limit"] for table in found] == [5.0, 20.0]
    results, _ = tables(whole)
    for number, table in enumerate(found):
        assert table["entries"][0]["seeds"] == [0, 1, 2]
        assert table["entries"][0]["violation"]["iqm"] == pytest.approx(
            np.mean(results["violation"][3 * number : 3 * number + 3])
        )


def test_a_loaded_policy_earns_what_its_run_did(whole, env):
    policy, (results, _) = load_policy(whole, run=4), tables(whole)  # the second seed at the second limit
    key, count = stage_keys(jax.random.key(1)).evaluation, FIELDS["evaluation_episodes"]
    problem, acting = Problem(env.spec.episode_length), NetworkPolicy(policy.params)
    played = jax.jit(lambda acting: evaluate(env, problem, policy.networks, acting, key, count))(acting)
    assert float(np.mean(played.reward)) == pytest.approx(results["reward"][4], rel=1e-5)
    for asked, error in (({"run": 6}, "runs 0 to 5, and no 6"), ({"seed": 1}, "by run"), ({"run": -1}, "and no -1")):
        with pytest.raises(UserError, match=error):
            load_policy(whole, **asked)
    with pytest.raises(UserError, match="not finished"):
        SweepFolder(whole).policy(6)


def test_a_sweep_is_not_taken_for_a_run(whole, capsys):
    for words in (("evaluate", str(whole)), ("run", "--resume", str(whole)), ("finetune", "--from", str(whole))):
        code, _, problem = marvel(capsys, *words)
        assert code == 2
        assert "is a sweep, not a run" in problem


def test_eight_devices_give_the_same_as_one(whole, tmp_path):
    out = tmp_path / "eight"
    subprocess.run(command(out), check=True, env={**os.environ, "JAX_NUM_CPU_DEVICES": "8"})
    for mine, theirs in zip(tables(out), tables(whole), strict=True):
        chex.assert_trees_all_equal(mine, theirs)


def test_killed_at_any_moment_a_sweep_resumes_to_the_same_numbers(whole, tmp_path):
    killed = tmp_path / "killed"
    process = subprocess.Popen(command(killed, "--chunk", "1"))
    for moment in range(2):
        wait_for(lambda moment=moment: len(list(killed.glob("results/*.parquet"))) > moment, process)
        time.sleep(0.05 + 0.2 * moment)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process = subprocess.Popen([sys.executable, "-m", "marvel_jax", "sweep", "--resume", str(killed), "--quiet"])
    assert process.wait(timeout=120) == 0
    for mine, theirs in zip(tables(killed), tables(whole), strict=True):
        chex.assert_trees_all_equal(mine, theirs)


def test_ctrl_c_before_anything_is_worth_saving_ends_without_a_traceback(tmp_path):
    arguments = [*ASKED, "--product", "online_algorithm=sac-lag,td3-lag", "--out", str(tmp_path / "sweep")]
    process = subprocess.Popen(
        [sys.executable, "-m", "marvel_jax", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "JAX_COMPILATION_CACHE_DIR": str(tmp_path)},
    )
    assert process.stderr is not None
    assert "to compile" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    message = process.stderr.read()
    assert process.wait() == 130
    assert message.strip().endswith("marvel: interrupted")
    assert "Traceback" not in message


def wait_for(condition, process: subprocess.Popen, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None or condition(), "the sweep ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)


def finish_in_two(out: Path, arguments: list[tuple[str, ...]], environments: list[dict[str, str]]) -> None:
    """Starts two processes, kills both once the second has results, and lets two others go on."""
    both = list(zip(arguments, environments, strict=True))
    pair = [subprocess.Popen(command(out, "--chunk", "1", *a), env={**os.environ, **e}) for a, e in both]
    wait_for(lambda: list(out.glob("results/*[13579].parquet")), pair[1])
    for process in pair:
        process.kill()
        process.wait()
    again = [sys.executable, "-m", "marvel_jax", "sweep", "--resume", str(out), "--quiet"]
    pair = [subprocess.Popen([*again, *a], env={**os.environ, **e}) for a, e in both]
    assert [process.wait(timeout=120) for process in pair] == [0, 0]


def test_two_processes_that_slurm_starts_find_each_other_through_jax_distributed(whole, tmp_path):
    slurm = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": "2"}
    environments = [{**slurm, "SLURM_PROCID": str(k), "SLURM_LOCALID": str(k)} for k in range(2)]
    finish_in_two(tmp_path / "shared", [("--distributed",)] * 2, environments)
    for mine, theirs in zip(tables(tmp_path / "shared"), tables(whole), strict=True):
        chex.assert_trees_all_equal(mine, theirs)
    assert (tmp_path / "shared" / "summary.json").exists()


def test_ray_places_the_processes(whole, tmp_path):
    pytest.importorskip("ray", reason="needs the extra `ray`")
    script = Path(__file__).parent.parent / "docs" / "launch" / "ray_sweep.py"
    out = tmp_path / "ray"
    words = ("--processes", "2", "--out", str(out), "--chunk", "2", *ASKED[1:])
    subprocess.run([sys.executable, str(script), *words], check=True)
    for mine, theirs in zip(tables(out), tables(whole), strict=True):
        chex.assert_trees_all_equal(mine, theirs)


def test_a_run_that_diverges_is_marked_and_left_out_and_others_are_untouched(tmp_path, capsys):
    out = tmp_path / "diverged"
    words = ("--tasks", "BallRun", "--seeds", "2", "--product", "sac.actor_learning_rate=1e-4,1e38", *TINY_SWEEP)
    code, text, _ = marvel(capsys, "sweep", *words, "--out", str(out))
    assert code == 0
    assert "Diverged, and left out of all statistics: runs 2, 3." in text
    results, _ = tables(out)
    assert results["diverged"] == [False, False, True, True]
    assert np.isfinite(results["reward"][:2]).all()
    points = json.loads((out / "summary.json").read_text())["points"]
    assert [point["diverged"] for point in points] == [0, 2]
    assert "final" not in points[1]


def test_a_damaged_chunk_is_named_and_made_again(whole, tmp_path, capsys):
    out = tmp_path / "damaged"
    assert marvel(capsys, *ASKED, "--chunk", "4", "--out", str(out), "--quiet")[0] == 0
    before = tables(out)
    part = out / "results" / "00001.parquet"
    part.write_bytes(part.read_bytes()[:50])
    code, _, err = marvel(capsys, "plot", str(out))
    assert code == 2
    assert f"{part} is damaged" in err
    part.unlink()
    assert marvel(capsys, "sweep", "--resume", str(out), "--quiet")[0] == 0
    chex.assert_trees_all_equal(tables(out), before)


def test_a_full_disk_is_said_and_what_was_finished_stays(whole, tmp_path, capsys, monkeypatch):
    out, commit = tmp_path / "full", SweepFolder.commit

    def commit_and_fill(*words) -> None:
        commit(*words)
        monkeypatch.setattr(checkpoint, "MARGIN", 2**62)  # the disk has not so much room left

    monkeypatch.setattr(SweepFolder, "commit", commit_and_fill)
    code, _, err = marvel(capsys, *ASKED, "--chunk", "4", "--out", str(out), "--quiet")
    assert code == 2
    assert "No space left on device" in err
    assert "in chunk 1. Finished chunks are intact: 0." in err
    monkeypatch.undo()
    assert marvel(capsys, "sweep", "--resume", str(out), "--quiet")[0] == 0
    for mine, theirs in zip(tables(out), tables(whole), strict=True):
        chex.assert_trees_all_equal(mine, theirs)


def test_a_dry_run_plans_and_leaves_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = marvel(capsys, *ASKED, "--chunk", "4", "--dry-run", "--json")
    plan = json.loads(out)
    assert code == 0
    assert (plan["runs"], plan["programs"]) == (6, 3)
    assert plan["estimated_seconds"] > 0
    assert 0 < plan["groups"][0]["bytes_per_run"] < plan["groups"][0]["bytes"] < plan["available_bytes"]
    assert not list(tmp_path.iterdir())


def test_a_sweep_that_fits_no_memory_says_what_one_run_needs(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(memory, "available", lambda: 1000)
    code, _, err = marvel(capsys, *ASKED, "--out", str(tmp_path / "no"))
    assert code == 2
    assert "one run needs" in err
    assert not (tmp_path / "no").exists()


def test_resume_with_other_options_or_of_another_version_is_refused(whole, tmp_path, capsys):
    code, _, err = marvel(capsys, "sweep", "--resume", str(whole), "--chunk", "2")
    assert code == 2
    assert "drop --chunk" in err
    older = json.loads((whole / "sweep.json").read_text()) | {"version": "0.0.1"}
    (tmp_path / "sweep.json").write_text(json.dumps(older))
    code, _, err = marvel(capsys, "sweep", "--resume", str(tmp_path))
    assert code == 2
    assert "version 0.0.1" in err
