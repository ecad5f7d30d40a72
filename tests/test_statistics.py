"""What is said across seeds and of safety: closed forms, scipy's, coverage by simulation, and `marvel compare`."""

import csv
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from command_line import BLUE, RUN_FIGURES, TINY, check_picture, marvel
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from marvel_jax import cli
from marvel_jax.config.run_config import read
from marvel_jax.core.networks import Networks
from marvel_jax.core.problem import Problem
from marvel_jax.diagnosis import bounds
from marvel_jax.diagnosis.refinetuning import dual_function, finished_states
from marvel_jax.diagnosis.starting_multiplier import starting_multiplier
from marvel_jax.diagnosis.true_values import monte_carlo
from marvel_jax.report import comparison, comparison_table, statistics
from marvel_jax.report.comparison import Entry
from marvel_jax.report.diagnosis_table import print_diagnosis
from marvel_jax.runs.console import Reporter
from marvel_jax.runs.folder import RunFolder
from marvel_jax.runs.pipeline import pipeline_of_run
from marvel_jax.training.stages import Setting

GENERATOR = np.random.default_rng(3)


def entry(label: str, reward, cost, seeds=None, violation=None) -> Entry:
    count = len(reward)
    values = {"reward": np.asarray(reward, float), "cost": np.asarray(cost, float)}
    values |= {name: np.zeros(count) for name in ("violation", "settled", "start_reward", "start_cost")}
    values["violation"] = np.zeros(count) if violation is None else np.asarray(violation, float)
    return Entry(label, "BallCircle", 20.0, 500, tuple(seeds or range(count)), values, {})


def test_probability_of_improvement_is_mann_whitney_s():
    ours, theirs = GENERATOR.integers(0, 6, 9), GENERATOR.integers(0, 5, 7)
    expected = stats.mannwhitneyu(ours, theirs).statistic / (9 * 7)
    value, low, high = statistics.probability_of_improvement(ours, theirs)
    assert float(value) == pytest.approx(expected)

    def measure(x, y):
        return stats.mannwhitneyu(x, y).statistic / (len(x) * len(y))

    theirs_of = stats.bootstrap((ours, theirs), measure, vectorized=False, method="percentile", n_resamples=500, rng=1)
    assert (low, high) == pytest.approx(tuple(theirs_of.confidence_interval), abs=0.05)
    assert [float(x) for x in statistics.probability_of_improvement(ours + 9, theirs)] == [1, 1, 1]


def test_one_task_s_stratum_is_the_plain_interval_and_strata_do_not_mix():
    values = GENERATOR.normal(size=(8, 3))
    for mine, other in zip(statistics.stratified_interval([values]), statistics.interval(values), strict=True):
        np.testing.assert_array_equal(mine, other)
    # Two tasks without spread: resampled apart there is nothing to vary. Each is half of it, with more seeds as well.
    for seeds in (4, 6, 7):
        center, low, high = statistics.stratified_interval([np.zeros(4), np.ones(seeds)])
        assert low == center == high == 0.5


def test_performance_profile_counts_runs_above():
    center, low, high = statistics.performance_profile(np.array([1.0, 2, 3, 4]), np.array([0.5, 2, 9]))
    np.testing.assert_array_equal(center, [1, 0.5, 0])
    # Of four runs of which half are above, none or all are in one resample of 16 each: more than 2.5 %.
    np.testing.assert_array_equal(low, [1, 0, 0])
    np.testing.assert_array_equal(high, [1, 1, 0])


def test_a_paired_difference_sees_what_seeds_have_in_common():
    common = GENERATOR.normal(scale=50, size=8)
    ours, theirs = common + 5 + GENERATOR.normal(size=8), common
    assert statistics.difference(ours, theirs, paired=True)[1] > 0
    assert statistics.difference(ours, theirs, paired=False)[1] < 0


@pytest.mark.parametrize(
    ("costs", "expected"),
    [
        ([10] * 20, 0),  # always within
        ([90] * 20, 100),  # never
        ([90] * 5 + [0] * 15, 45),  # the window that starts at 4 has a mean of 18, the one at 3 of 36
        ([0] * 15 + [90] * 5, 100),  # not to the end
    ],
)
def test_a_run_has_settled_once_every_window_stays_within(costs, expected):
    assert comparison.settled(np.asarray([costs], float), 20.0, 100).tolist() == [expected]


def test_a_difference_is_marked_only_where_the_seeds_support_it():
    spread = GENERATOR.normal(size=8)
    reference = entry("reference", 600 + 10 * spread, 5 + spread)
    better = entry("better", 700 + 10 * spread, 5 - spread)
    worse = entry("worse", 600 + 10 * spread[::-1], 60 + spread)
    result = comparison.compare([reference, better, worse])
    marks = {
        row["label"]: {n: row["against"][n]["better"] for n in ("reward", "cost")} for row in result["entries"][1:]
    }
    assert marks == {"better": {"reward": True, "cost": None}, "worse": {"reward": None, "cost": False}}
    assert result["entries"][2]["safe_seeds"] == 0
    text = comparison_table.markdown(result)
    assert "▲" in text
    assert "▼" in text
    assert "by itself" not in text
    many = comparison_table.markdown(comparison.compare([reference, *[better] * 5]))
    assert "Each of 20 differences is judged by itself: about 1 would be marked" in many


def test_fewer_than_three_seeds_have_no_intervals_and_no_verdict():
    result = comparison.compare([entry("a", [1.0, 2.0], [0, 0]), entry("b", [8.0, 9.0], [0, 0])])
    assert result["without_intervals"] == ["a", "b"]
    assert result["entries"][1]["reward"]["low"] is None
    assert "supported" not in result["entries"][1]["against"]["reward"]
    assert "fewer than 3 seeds" in comparison_table.markdown(result)


@pytest.mark.parametrize(
    ("draw", "mean"),
    [
        (lambda n: (GENERATOR.random(n) < 0.03) * 200.0, 6.0),
        (lambda n: GENERATOR.beta(0.2, 2.0, n) * 200.0, 200 * 0.2 / 2.2),
        (lambda n: np.where(GENERATOR.random(n) < 0.5, 0.0, GENERATOR.uniform(0, 80, n)), 20.0),
        (lambda n: np.full(n, 20.0), 20.0),
    ],
)
@pytest.mark.parametrize("episodes", [20, 100])
def test_bounds_of_the_mean_miss_it_no_more_often_than_they_say(draw, mean, episodes):
    confidence, repeats = 0.9, 400
    samples = [draw(episodes) for _ in range(repeats)]
    too_low = np.mean([bounds.mean_upper_bound(x, 200.0, confidence) < mean for x in samples])
    too_high = np.mean([bounds.mean_lower_bound(x, 200.0, confidence) > mean for x in samples])
    slack = 3 * np.sqrt(0.1 * 0.9 / repeats)  # of the simulation itself
    assert too_low <= 1 - confidence + slack
    assert too_high <= 1 - confidence + slack


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.data())
def test_bounds_of_a_probability_invert_the_binomial_s_tails(episodes, data):
    count = data.draw(st.integers(0, episodes))
    lower, upper = bounds.share_bounds(count, episodes, 0.95)
    assert 0 <= lower <= count / episodes <= upper <= 1
    if count < episodes:
        assert stats.binom.cdf(count, episodes, upper) == pytest.approx(0.05, abs=1e-6)
    if count > 0:
        assert stats.binom.sf(count - 1, episodes, lower) == pytest.approx(0.05, abs=1e-6)


def test_verdicts_and_the_episodes_that_would_settle_them():
    safe, unsafe, near = np.full(100, 5.0), np.full(100, 60.0), np.tile([0.0, 30.0], 20)
    assert bounds.expected_cost(safe, 20.0, 200.0).verdict == "within"
    assert bounds.expected_cost(unsafe, 20.0, 200.0).verdict == "over"
    open_case = bounds.expected_cost(near, 20.0, 200.0)
    assert open_case.verdict == "open"
    settled = np.tile(near, 2 + int(1.3 * open_case.more_episodes) // len(near))
    assert bounds.expected_cost(np.random.default_rng(1).permutation(settled), 20.0, 200.0).verdict == "within"
    assert bounds.expected_cost(np.full(50, 20.0), 20.0, 200.0).more_episodes is None  # exactly at the limit
    assert bounds.exceedance(safe, 20.0, 0.1).verdict == "within"
    assert bounds.exceedance(unsafe, 20.0, 0.1).verdict == "over"


@pytest.fixture(scope="module")
def other(finished, tmp_path_factory):
    """A run of another method beside `finished`."""
    out = tmp_path_factory.mktemp("runs") / "other"
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", "BallRun", "--method", "from-scratch", *TINY, "--seeds", "2", "--out", str(out), "--quiet"])
    assert not ended.value.code
    return out


def test_compare_prints_a_table_and_writes_files(finished, other, tmp_path, capsys):
    out = tmp_path / "compared"
    code, text, _ = marvel(capsys, "compare", str(finished), str(other), "--out", str(out))
    assert code == 0
    assert "from-scratch" in text
    assert "fewer than 3 seeds" in text
    written = {path.name for path in out.iterdir()}
    assert {"comparison.json", "comparison.csv", "comparison.md"} <= written
    check_picture(out / "intervals.png", (1820, 265))
    for name, size in RUN_FIGURES.items():
        check_picture(out / f"{name}.png", size, BLUE)
    rows = list(csv.DictReader((out / "comparison.csv").open()))
    reward = json.loads((other / "summary.json").read_text())["per_seed"]["reward"]
    mine = next(row for row in rows if row["label"] == "from-scratch" and row["measure"] == "reward")
    assert float(mine["iqm"]) == pytest.approx(np.mean(reward))
    code, _, err = marvel(capsys, "compare", str(finished), str(other), "--out", str(out))
    assert code == 2
    assert "nothing is overwritten" in err


def test_compare_refuses_what_cannot_be_compared(finished, tmp_path, capsys):
    changed = tmp_path / "changed"
    changed.mkdir()
    for name in ("metrics.parquet", "config.json"):
        (changed / name).write_bytes((finished / name).read_bytes())
    found = json.loads((finished / "summary.json").read_text())
    for field, value, words in (
        ("task", "BallCircle", "tasks"),
        ("cost_limit", 7.0, "limits"),
        ("online_episodes", 99, "episodes"),
    ):
        (changed / "summary.json").write_text(json.dumps({**found, field: value}))
        code, _, err = marvel(capsys, "compare", str(finished), str(changed))
        assert code == 2
        assert words in err
        assert str(value) in err
        assert str(changed) in err
    assert marvel(capsys, "compare", str(finished))[0] == 2


def test_methods_are_listed(capsys):
    code, text, _ = marvel(capsys, "methods", "--json")
    assert code == 0
    listed = [json.loads(line) for line in text.splitlines()]
    assert {"marvel", "marvel-paper", "jsrl", "pex", "cal-ql"} <= {row["method"] for row in listed}
    assert all(row["summary"] and row["source"] for row in listed)
    assert "random networks" in marvel(capsys, "methods")[1]


DIAGNOSIS_FIGURES = {
    "critics": (884, 1612),
    "fixed-multipliers": (1560, 468),
    "initial-multipliers": (1560, 468),
    "gains": (1300, 546),
}


def test_diagnose_measures_critics_multipliers_and_gains(finished, tmp_path, capsys):
    out = tmp_path / "diagnosis"
    code, text, _ = marvel(
        capsys, "diagnose", str(finished), "--states", "8", "--seeds", "1", "--out", str(out), "--json"
    )
    assert code == 0
    found = json.loads(text)
    assert found == {**json.loads((out / "diagnosis.json").read_text()), "written": found["written"]}
    assert set(found["critics"]) == {"data", "random"}
    assert set(found["critics"]["data"]) == {"before", "after"}
    of_cost = found["critics"]["data"]["after"]["cost"]
    assert len(of_cost["bias"]) == 2  # seeds
    assert of_cost["rank_correlation"] == of_cost["rank_correlation_by_horizon"]["500"]
    fixed = found["fixed"]
    assert len(fixed["reward"]) == len(fixed["multipliers"])
    reward, excess = 0.1 * np.asarray(fixed["reward"]), np.asarray(fixed["cost"]) - 20
    dual = dual_function(reward, excess, np.asarray(fixed["multipliers"]))
    np.testing.assert_allclose(fixed["dual"], dual, rtol=1e-4)
    assert fixed["optimal"] == fixed["multipliers"][int(np.argmin(dual.mean(axis=1)))]
    assert np.shape(found["gains"]["violation"]) == (5, 5, 1)
    names = {path.name for path in out.iterdir()}
    assert names == {
        "diagnosis.json",
        *(f"{name}.png" for name in DIAGNOSIS_FIGURES),
    }
    for name, size in DIAGNOSIS_FIGURES.items():
        check_picture(out / f"{name}.png", size)
    code, _, err = marvel(capsys, "diagnose", str(finished), "--out", str(out))
    assert code == 2
    assert "nothing is overwritten" in err


class Count:
    """Counts upwards from a state, whatever is done, to 5; pays and costs what it has counted to."""

    def advance(self, physics, action):
        return physics + 1

    def observe(self, physics):
        return physics[None]

    def outcome(self, before, action, after):
        return after, 2 * after, jnp.float32(after >= 5)


def test_monte_carlo_sums_to_each_horizon_and_stops_at_a_termination():
    networks = Networks(observation_size=1, action_size=1, hidden=(4,))
    setting = Setting(Problem(discount=0.5, reward_scale=0.1), networks, networks)
    actor = networks.init_actor(jax.random.key(0))
    start, action = jnp.array([0.0, 3.0]), jnp.zeros((2, 1))
    found = monte_carlo(Count(), setting, actor, start, action, jax.random.key(1), horizons=(1, 2, 9))
    from_0 = [1, 1 + 2 / 2, 1 + 2 / 2 + 3 / 4 + 4 / 8 + 5 / 16]
    np.testing.assert_allclose(found.reward, 0.1 * np.array([from_0, [4, 4 + 5 / 2, 4 + 5 / 2]]), rtol=1e-6)
    np.testing.assert_allclose(found.cost, 20 * found.reward, rtol=1e-6)


def test_the_dual_function_is_that_of_a_concave_front_even_where_training_failed():
    """Reward √c at cost c: the best policy under λ has c = 1 / 4λ², and g(λ) = 1 / 4λ + λ·d is smallest at 1 / 2√d."""
    multipliers, limit = np.linspace(0.1, 0.5, 9), 4.0
    cost = 1 / (4 * multipliers**2)
    reward = np.sqrt(cost)
    expected = 1 / (4 * multipliers) + multipliers * limit
    np.testing.assert_allclose(dual_function(reward[:, None], cost[:, None] - limit, multipliers)[:, 0], expected)
    reward[0] -= 10
    dual = dual_function(reward[:, None], cost[:, None] - limit, multipliers)[:, 0]
    np.testing.assert_allclose(dual[1:], expected[1:])
    assert multipliers[np.argmin(dual)] == pytest.approx(1 / (2 * np.sqrt(limit)))


def test_an_offline_algorithm_s_own_multiplier_is_found(tmp_path, capsys):
    out = tmp_path / "bear"
    small = ("--bear-lag.vae-hidden", "8", "--bear-lag.candidates", "2")
    words = ("align", "BallRun", *TINY, *small, "--algorithm", "bear-lag", "--seeds", "1")
    assert marvel(capsys, *words, "--out", str(out), "--quiet")[0] == 0
    config = read(out)
    pipeline = pipeline_of_run(config, RunFolder(out), Reporter(quiet=True))
    found = starting_multiplier(pipeline, finished_states(pipeline))
    assert found["offline"] == [0.0]  # the first updates see no cost above the limit
    assert np.shape(found["aligned"]) == (1,)
    assert np.isfinite(found["aligned"]).all()
    over = {name: np.ones((2, 1)) for name in ("reward", "cost", "violation", "dual")}
    fixed = {"multipliers": [0.1, 0.2], **over, "optimal": 0.1, "best_safe": None}
    print_diagnosis(config, {"fixed": fixed, "multiplier_before": found})
    assert "own multiplier: 0 (median" in " ".join(capsys.readouterr().out.split())
