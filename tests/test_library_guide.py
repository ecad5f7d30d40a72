"""The examples of docs/library.md, as they are written, one after another in one program."""

import contextlib
import re
from pathlib import Path

import jax
import jax.export
import numpy as np
import pytest

GUIDE = Path(__file__).parent.parent / "docs" / "library.md"


@pytest.fixture(scope="module")
def after(finished, tmp_path_factory):
    """The program's names after each example, run where there is a run."""
    names, found = {}, []
    folder = tmp_path_factory.mktemp("user")
    (folder / "runs").mkdir()
    (folder / "runs" / "mine").symlink_to(finished)
    with contextlib.chdir(folder):
        for block in re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL):
            exec(block, names)
            found.append(dict(names))
    return found


def test_a_trained_policy_acts_alike_everywhere(after):
    names = after[0]
    assert names["explored"].shape == names["action"].shape == (2,)
    np.testing.assert_allclose(names["on_any_machine"](np.asarray(names["state"].obs)), names["action"], atol=1e-5)
    np.testing.assert_allclose(names["actions"][0], names["action"], atol=1e-6)
    observation = names["state"].obs
    exported = jax.export.export(jax.jit(names["policy"]))(observation)
    np.testing.assert_allclose(exported.call(observation), names["action"], atol=1e-6)


def test_the_loop_controls_its_multiplier(after):
    assert after[1]["multiplier"].shape == after[1]["cost"].shape == (2, 3)
    assert np.isfinite(after[1]["reward"]).all()


def test_the_users_critic_is_aligned(after):
    assert after[2]["aligned"].shape == (2, 5)
    assert {"Dense_0", "Dense_1"} == set(after[2]["state"].reward_critic.params[0]["params"])


def test_a_grid_of_limits_with_the_users_networks(after):
    assert after[3]["costs"].shape == (3,)
    assert np.isfinite(after[3]["rewards"]).all()


def test_the_population_goes_on_from_the_best_with_other_gains(after):
    gains = after[4]["gains"]["integral"]
    assert gains.shape == (4,)
    assert len(np.unique(gains)) > 1
    assert np.all(after[4]["states"].iteration == 4)
