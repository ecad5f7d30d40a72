"""The command line as a user runs it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from command_line import BLUE, LIMIT, ORANGE, RUN_FIGURES, TINY, check_picture, marvel
from marvel_envs.tasks import task_spec

from marvel_jax import Hyper, cli, override
from marvel_jax.config import layered
from marvel_jax.config.presets import exchange_method
from marvel_jax.config.run_config import read
from marvel_jax.datasets.hdf5 import load_dataset, shipped_path
from marvel_jax.runs import advice, metrics
from marvel_jax.training.evaluate import Evaluation


def test_run_folder_has_everything_and_the_summary_its_fields(finished):
    for name in ("config.json", "metrics.parquet", "summary.json", "checkpoints/finetune"):
        assert (finished / name).exists(), name
    for name, size in RUN_FIGURES.items():
        check_picture(finished / "figures" / f"{name}.png", size, BLUE)
    summary = json.loads((finished / "summary.json").read_text())
    assert (summary["task"], summary["method"], summary["seeds"]) == ("BallRun", "marvel", [0, 1])
    assert summary["online_episodes"] == 8
    assert summary["environment_steps"] == 800
    assert summary["gradient_steps"] == 6 + 6 + 12
    for name in ("reward", "cost", "offline_reward", "offline_cost", "violation"):
        assert len(summary["per_seed"][name]) == 2
    # Of two seeds nothing is trimmed, and resampling reaches both.
    per_seed = {name: np.asarray(summary["per_seed"][name]) for name in ("reward", "cost")}
    per_seed["normalized_reward"] = task_spec("BallRun").normalized_reward(per_seed["reward"])
    per_seed["normalized_cost"] = per_seed["cost"] / summary["cost_limit"]
    for name, values in per_seed.items():
        expected = {"iqm": np.mean(values), "low": min(values), "high": max(values)}
        assert summary["final"][name] == pytest.approx(expected), name
    assert {"compile", "pretrain", "align", "finetune"} <= set(summary["seconds"])
    assert {"versions", "device", "cost_limit", "first_gains"} <= set(summary)
    rows = metrics.read(finished / "metrics.parquet").rows
    online = [(r["seed"], r["iteration"]) for r in rows if r["stage"] == "finetune"]
    assert sorted(online) == [(seed, i) for seed in (0, 1) for i in range(1, 5)]


def test_config_repeats_the_run_exactly(finished, tmp_path, capsys):
    code, out, _ = marvel(capsys, "run", "--config", str(finished), "--out", str(tmp_path / "again"), "--json")
    assert code == 0
    first, again = json.loads((finished / "summary.json").read_text()), json.loads(out)
    assert again["per_seed"] == first["per_seed"]


def test_stages_run_apart_and_joined_give_the_same_numbers(finished, tmp_path, capsys):
    a, b, c = (str(tmp_path / name) for name in "abc")
    assert marvel(capsys, "pretrain", "BallRun", *TINY, "--seeds", "2", "--out", a, "--quiet")[0] == 0
    assert marvel(capsys, "align", "--from", a, "--out", b, "--quiet")[0] == 0
    code, out, _ = marvel(capsys, "finetune", "--from", b, "--out", c, "--json")
    assert code == 0
    assert json.loads(out)["per_seed"] == json.loads((finished / "summary.json").read_text())["per_seed"]


def test_finetuning_from_a_finished_run_takes_the_stages_before_it_alone(finished, tmp_path, capsys):
    code, _, said = marvel(capsys, "finetune", "--from", str(finished), "--out", str(tmp_path / "a"))
    assert code == 0
    assert "pretrain: taken from" in said
    assert "align: taken from" in said
    assert "finetune: taken from" not in said
    # What alignment depends on is another here: it is done again, from the same policies.
    words = ("--from", str(finished), "--alignment.target-rate", "0.5", "--out", str(tmp_path / "b"))
    code, _, said = marvel(capsys, "finetune", *words)
    assert code == 0
    assert "pretrain: taken from" in said
    assert "align: taken from" not in said
    summaries = [json.loads((run / "summary.json").read_text())["per_seed"] for run in (finished, tmp_path / "b")]
    assert summaries[0]["offline_reward"] == summaries[1]["offline_reward"]
    assert summaries[0]["reward"] != summaries[1]["reward"]
    # Another offline stage than the one that is asked for is refused.
    code, _, err = marvel(
        capsys, "finetune", "--from", str(finished), "--discount", "0.9", "--out", str(tmp_path / "c")
    )
    assert code == 2
    assert "pretrained with another discount" in err
    assert not (tmp_path / "c").exists()


def test_interrupted_run_resumes_to_the_same_numbers(tmp_path, capsys):
    out = tmp_path / "run"
    words = ["run", "BallRun", *TINY, "--online.iterations", "50", "--seeds", "2", "--method", "from-scratch"]
    command = [sys.executable, "-m", "marvel_jax", *words, "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    shown = []
    for line in process.stderr:
        shown.append(line)
        if "5/50" in line:
            process.send_signal(signal.SIGINT)
            break
    message = process.stderr.read()
    assert process.wait() == 130
    assert any(line.startswith("starting from reward") for line in shown)
    assert "marvel run --resume" in message
    assert not (out / "summary.json").exists()
    assert marvel(capsys, "run", "--resume", str(out), "--quiet")[0] == 0
    straight = tmp_path / "straight"
    assert marvel(capsys, *words, "--out", str(straight), "--quiet")[0] == 0
    resumed, whole = (json.loads((p / "summary.json").read_text())["per_seed"] for p in (out, straight))
    assert resumed == whole
    first, second = (metrics.read(p / "metrics.parquet").rows for p in (out, straight))
    key = lambda row: (row["seed"], row["iteration"])  # noqa: E731
    np.testing.assert_equal(sorted(first, key=key), sorted(second, key=key))


def test_a_start_far_over_the_limit_comes_with_advice():
    over = Evaluation(*(np.full((2, 3), value) for value in (1496.0, 92.0, 1400.0, 90.0)))
    assert "reward 1496, cost 92.0 (limit 20): far over" in advice.of_start(Hyper(), 20.0, over)
    assert advice.of_start(Hyper(), 20.0, over.replace(cost=over.cost / 4)).endswith("(limit 20)")
    # Nothing that would be refused, or is done already.
    done = [layered(method=name) for name in ("marvel-clone", "marvel-paper")]
    for hyper in (*done, override(Hyper(), algorithm="bc-safe")):
        assert "clone" not in advice.of_start(hyper, 20.0, over)
    assert advice.of_clones(done[0], np.array([1.0, 0.0])).startswith("1 of 2 policies cost more than 2 times the")


def test_evaluate_and_plot_a_finished_run(finished, tmp_path, capsys):
    code, out, _ = marvel(capsys, "evaluate", str(finished), "--episodes", "2", "--json")
    assert code == 0
    assert [row["seed"] for row in json.loads(out)["per_seed"]] == [0, 1]
    code, out, _ = marvel(capsys, "plot", str(finished), str(finished), "--out", str(tmp_path / "f"))
    assert code == 0
    paths = {Path(line).stem: Path(line) for line in out.split()}
    assert set(paths) == set(RUN_FIGURES)
    for name, path in paths.items():
        check_picture(path, RUN_FIGURES[name], BLUE, ORANGE)
    check_picture(paths["cost"], None, LIMIT)


def test_resuming_a_finished_run_shows_its_table(finished, capsys):
    code, out, _ = marvel(capsys, "run", "--resume", str(finished))
    assert code == 0
    assert "finetuned, mean action" in out


def test_parity_prints_one_object(capsys):
    code, out, _ = marvel(capsys, "parity", "BallRun", "--json")
    result = json.loads(out)
    assert code == 0
    assert {"reward_error", "observation_error", "cost_agreement", "replay", "episodes"} <= set(result)
    assert set(result["replay"]) == {"10", "25", "50", "100"}


def test_collect_makes_a_dataset_that_loads(tmp_path, capsys):
    out = tmp_path / "made.hdf5"
    options = ("--iterations", "4", "--stages", "4", "--limits", "0", "--runs", "1", "--episodes", "4")
    code, text, _ = marvel(
        capsys, "collect", "BallCircle", *options, "--episodes-per-stage", "3", "--out", str(out), "--quiet"
    )
    assert code == 0
    made = load_dataset(out, task_spec("BallCircle"))
    returns, costs = made.episode_sums()
    assert 1 <= len(returns) <= 4
    assert text == (
        f"{out}: {len(returns)} episodes, {len(made.ends)} steps, return {returns.min():.0f} to {returns.max():.0f}, "
        f"cost {costs.min():.0f} to {costs.max():.0f}\n"
    )
    with h5py.File(out) as file:
        assert file.attrs["task"] == "BallCircle"
        assert str(file.attrs["command"]).startswith("marvel collect BallCircle --episodes 4 --seed 0")


def test_tasks_are_listed(capsys):
    assert "BallCircle" in marvel(capsys, "tasks")[1]
    lines = marvel(capsys, "tasks", "--json")[1].splitlines()
    assert [json.loads(line)["name"] for line in lines][:3] == ["BallCircle", "BallRun", "CarCircle"]


# What the parser decides ----------------------------------------------------------------------------------------------


def test_the_task_is_what_the_parser_says_it_is():
    options = cli.options_of("run", ["--out", "BallRun", "BallCircle"])
    assert (options.task, options.out) == ("BallCircle", Path("BallRun"))
    assert options.hyper == layered(task="BallCircle")
    assert cli.options_of("run", ["BallRun"]).hyper == layered(task="BallRun") != options.hyper


def test_options_come_before_the_defaults_that_others_imply():
    plain = Hyper().gains.proportional
    words = ["--preset=quick", "BallRun", "--gains.proportional", str(plain), "--method", "rlpd", "--cost-limit", "7"]
    options = cli.options_of("run", words)
    implied = layered("quick", "BallRun", "rlpd")
    assert implied.gains.proportional != plain  # BallRun has its own
    assert options.hyper == override(implied, cost_limit=7.0, **{"gains.proportional": plain})
    assert options.seeds == 4


def test_an_earlier_run_gives_the_defaults(finished):
    saved = read(finished)
    options = cli.options_of("finetune", ["--config", str(finished), "--seed", "3"])
    assert (options.task, options.method, options.seeds, options.seed) == ("BallRun", "marvel", 2, 3)
    assert options.hyper == saved.hyper
    exchanged = cli.options_of("finetune", ["--from", str(finished), "--method", "marvel-paper"])
    expected = exchange_method(saved.hyper, "cpu", "BallRun", "marvel", "marvel-paper")
    assert (exchanged.method, exchanged.hyper) == ("marvel-paper", expected)


def test_a_module_can_register_the_task_that_is_asked_for(tmp_path, capsys):
    module = tmp_path / "own.py"
    module.write_text("import marvel_envs.tasks\nraise ValueError('loaded between the passes')\n")
    code, _, err = marvel(capsys, "run", "NotYetKnown", "--env-module", str(module))
    assert code == 2
    assert "loaded between the passes" in err


def test_help_shows_first_what_matters(capsys):
    code, out, _ = marvel(capsys, "run", "--help")
    assert code == 0
    # Boxes are drawn with lines or, where the encoding has none, with spaces.
    found = re.split(r"(?m)^[╭─ ]+([a-z ]+ (?:options|arguments)|options)[─╮ ]*$", out)
    headings, first_box = found[1::2], found[4]
    assert headings[:6] == [
        "positional arguments",
        "options",
        "earlier run options",
        "output options",
        "environment options",
        "problem and network options",
    ]
    assert {"method options", "pretrain options", "sac options", "gains options"} <= set(headings[6:])
    first = "preset method cost-limit algorithm online-algorithm seeds seed dataset out"
    assert re.findall(r"(?m)^(?:│ |  )--([\w-]+)", first_box) == first.split()


@pytest.mark.parametrize("name", cli.commands())
def test_every_command_says_what_it_does(name, capsys):
    code, out, _ = marvel(capsys, name, "--help")
    assert code == 0
    assert out.startswith(f"usage: marvel {name}")
    assert cli.command(name).Options.__doc__.splitlines()[0][:40] in out
    assert cli.command(name).run.__doc__


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["run", "BallCirc"],
        ["run", "BallRun", "--seeds", "0"],
        ["run", "--bogus"],
        ["tasks"],
    ],
)
def test_help_and_argument_errors_do_not_import_jax(arguments):
    program = (
        "import sys\nfrom marvel_jax import cli\n"
        "for name in cli.commands(): cli.command(name)\n"
        f"try: cli.main({arguments!r})\nexcept SystemExit: pass\n"
        "assert 'jax' not in sys.modules and 'brax' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


# Wrong requests: exit code 2, one sentence, no traceback, nothing overwritten ---------------------------------------


def spoiled_dataset(folder: Path) -> str:
    path = folder / "nan.hdf5"
    shutil.copy(shipped_path("BallRun"), path)
    with h5py.File(path, "r+") as file:
        file["rewards"][17] = np.nan  # pyright: ignore
    return str(path)


def cut_dataset(folder: Path) -> str:
    path = folder / "cut.hdf5"
    path.write_bytes(shipped_path("BallRun").read_bytes()[:100_000])
    return str(path)


def text_dataset(folder: Path) -> str:
    path = folder / "text.hdf5"
    path.write_text("not a dataset")
    return str(path)


def foreign_folder(folder: Path) -> str:
    path = folder / "foreign"
    path.mkdir()
    (path / "thesis.tex").write_text("precious")
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda d: ["run", "BalCircle"], "Did you mean BallCircle?"),
        (lambda d: ["run"], "Which task?"),
        (lambda d: ["run", "BallRun", "--cost-limit", "-1"], "--cost-limit is -1.0; give 0 or more."),
        (lambda d: ["run", "BallRun", "--cost-limit", "nan"], "give a finite number"),
        (lambda d: ["run", "BallRun", "--discount", "1"], "--discount is 1.0"),
        (lambda d: ["run", "BallRun", "--seeds", "0"], "--seeds is 0; give at least 1."),
        (lambda d: ["run", "BallRun", "--method", "marvell"], "Did you mean marvel?"),
        (
            lambda d: ["run", "BallRun", "--method", "warm-start", "--algorithm", "bc"],
            "bc has none. Offline algorithms",
        ),
        (lambda d: ["run", "BallRun", "--method", "pex", "--online-algorithm", "ppo-lag"], "sac-lag, td3-lag"),
        (lambda d: ["run", "BallRun", "--dataset", str(shipped_path("BallCircle"))], "dataset of BallCircle, not of"),
        (lambda d: ["run", "BallRun", "--dataset", str(d / "no.hdf5")], "There is no dataset at"),
        (lambda d: ["run", "BallRun", "--dataset", cut_dataset(d)], "cut short"),
        (lambda d: ["run", "BallRun", "--dataset", text_dataset(d)], "not a readable HDF5 file"),
        (lambda d: ["run", "BallRun", "--dataset", spoiled_dataset(d)], "rewards, row 17: nan is not finite"),
        (lambda d: ["run", "BallRun", "--out", foreign_folder(d)], "never overwrites anything"),
        (lambda d: ["run", "BallRun", "--out", "/proc/nowhere/run"], "cannot be written"),
        (lambda d: ["run", "--resume", foreign_folder(d)], "There is no run configuration"),
        (lambda d: ["evaluate", str(d)], "There is no run configuration"),
        (lambda d: ["evaluate", str(d), "--confidence", "1"], "a number between 0 and 1"),
        (lambda d: ["diagnose", str(d)], "There is no run configuration"),
        (lambda d: ["compare", str(d), str(d)], "not a run folder"),
        (lambda d: ["plot", str(d)], "not a run folder"),
        (lambda d: ["parity", "BallRun", "--recording", text_dataset(d)], "not a readable .npz recording"),
        (lambda d: ["collect", "BallRun", "--out", text_dataset(d)], "nothing is overwritten"),
    ],
)
def test_wrong_requests_are_refused_in_one_sentence(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    words = arguments(tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    code, out, err = marvel(capsys, *words)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1
    assert out == ""
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_unknown_option_exits_with_2(capsys):
    assert marvel(capsys, "run", "BallRun", "--cost-limt", "3")[0] == 2


def test_checkpoint_of_another_network_shape_is_refused(finished, tmp_path, capsys):
    out = tmp_path / "other"
    code, _, err = marvel(capsys, "finetune", "--from", str(finished), "--hidden", "16", "--out", str(out), "--quiet")
    assert code == 2
    assert "--hidden" in err
    assert "Traceback" not in err
    assert not out.exists()


def test_resume_with_other_options_is_refused(finished, capsys):
    code, _, err = marvel(capsys, "run", "--resume", str(finished), "--cost-limit", "3")
    assert code == 2
    assert "drop the others" in err


def test_an_unwritable_folder_is_refused(tmp_path, capsys):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    code, _, err = marvel(capsys, "run", "BallRun", "--out", str(tmp_path / "run"))
    assert code == 2
    assert "cannot be written" in err
