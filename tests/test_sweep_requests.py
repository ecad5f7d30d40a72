"""What a sweep is asked to do: expansion, and refusal of what cannot be done."""

import math

import pytest
from command_line import marvel

from marvel_jax.config import fields
from marvel_jax.sweeps import reading, request
from marvel_jax.sweeps.request import Range, Request

FILE = """
tasks = "BallRun"
methods = ["marvel", "warm-start"]
seeds = 3
draws = 4
[fixed]
hidden = [8]
[product]
cost_limit = [10, 20.0]
[draw]
gains.integral = { low = 1e-3, high = 1e-1, log = true }
[[points]]
"online.updates" = 7
[[points]]
online.updates = 9
discount = 0.9
"""


@pytest.fixture
def points(tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_text(FILE)
    return request.expand(request.checked(Request(**reading.read_file(path))))


def test_points_are_every_combination(points):
    assert len(points) == 2 * 2 * 2 * 4
    settings = {(p.method, p.hyper.online.updates, p.hyper.cost_limit, p.hyper.gains.integral) for p in points}
    assert len(settings) == len(points)
    assert {p.hyper.discount for p in points if p.hyper.online.updates == 9} == {0.9}
    assert all(p.hyper.hidden == (8,) and isinstance(p.hyper.cost_limit, float) for p in points)


def test_sobol_draws_cover_the_range_evenly_in_its_logarithm(points):
    drawn = sorted({p.hyper.gains.integral for p in points})
    quarters = [int(4 * (math.log10(x) + 3) / 2) for x in drawn]
    assert quarters == [0, 1, 2, 3]


def test_options_and_file_ask_for_the_same(points, tmp_path):
    options = Request(
        tasks=("BallRun",),
        methods=("marvel", "warm-start"),
        seeds=3,
        fixed={"hidden": "8"},
        product=reading.lists(("cost-limit=10,20",)),
        points=({"online.updates": 7}, {"online.updates": 9, "discount": 0.9}),
        draw=reading.ranges(("gains.integral=1e-3:1e-1:log",)),
        draws=4,
    )
    assert request.expand(request.checked(options)) == points
    again = request.from_json(request.to_json(request.checked(options)))
    assert request.expand(again) == points


def test_runs_share_a_program_where_only_traced_fields_differ(points):
    static = {(p.method, p.hyper.online.updates): fields.static_part(p.hyper) for p in points}
    assert len(set(static.values())) == len(static) == 4
    assert all(fields.static_part(p.hyper) == static[p.method, p.hyper.online.updates] for p in points)


def test_a_range_ends_where_it_says():
    assert Range(1.0, 3.0).at(0.5) == 2.0
    assert Range(1e-4, 1.0, log=True).at(0.5) == pytest.approx(1e-2)


TASK = ("--tasks", "BallRun")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Which tasks?"),
        (("--tasks", "BalRun"), "Did you mean BallRun?"),
        ((*TASK, "--methods", "marvell"), "Did you mean marvel?"),
        ((*TASK, "--product", "gain.integral=1,2"), "Did you mean gains.integral (traced)?"),
        ((*TASK, "--draw", "integral=1:2"), "Did you mean gains.integral (traced)?"),
        ((*TASK, "--draw", "online.updates=10:20"), "online.updates is static"),
        ((*TASK, "--draw", "gains.integral=2:1"), "give the lower end first"),
        ((*TASK, "--draw", "gains.integral=0:1:log"), "must start above 0"),
        ((*TASK, "--draw", "gains.integral=a:b"), "give LOW:HIGH"),
        ((*TASK, "--fixed", "online.updates=2.5"), "online.updates is 2.5; give a value like 100."),
        ((*TASK, "--fixed", "cpq.ood_penalty=soft"), "give none or linear"),
        ((*TASK, "--fixed", "discount"), "give FIELD=VALUE"),
        ((*TASK, "--fixed", "discount=0.9", "--product", "discount=0.8,0.9"), "discount is given twice"),
        ((*TASK, "--product", "discount=0.9,1.5"), "discount 1.5: --discount is 1.5"),
        ((*TASK, "--seeds", "0"), "seeds is 0; give at least 1."),
        ((*TASK, "--chunk", "0"), "--chunk is 0; give at least 1."),
        ((*TASK, "--datasets", "BallCircle=x.hdf5"), "not among the tasks"),
        ((*TASK, "--datasets", "BallRun=none.hdf5"), "There is no dataset at none.hdf5"),
        (("none.toml",), "There is no sweep file"),
        (("bad.toml",), "cannot be read as TOML"),
        (("odd.toml",), "has a key 'task' that no sweep has"),
        (("--resume", "."), "There is no sweep at"),
        ((*TASK, "--processes", "2"), "together"),
        ((*TASK, "--process", "2", "--processes", "2"), "give 0 to 1"),
        ((*TASK, "--distributed"), "cannot be found"),
        ((*TASK, "--out", "bad.toml"), "is a file"),
    ],
)
def test_wrong_requests_are_refused_before_any_work(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.toml").write_text("tasks = [")
    (tmp_path / "odd.toml").write_text("task = 'BallRun'")
    code, out, err = marvel(capsys, "sweep", *words)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert out == ""
    assert {p.name for p in tmp_path.iterdir()} == {"bad.toml", "odd.toml"}
