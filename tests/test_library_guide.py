"""The examples of docs/library.md, as they are written, one after another in one program."""

import re
from pathlib import Path

import numpy as np
import pytest

GUIDE = Path(__file__).parent.parent / "docs" / "library.md"


@pytest.fixture(scope="module")
def after():
    """The program's names after each example."""
    names, found = {}, []
    for block in re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL):
        exec(block, names)
        found.append(dict(names))
    return found


def test_the_loop_controls_its_multiplier(after):
    assert after[0]["multiplier"].shape == after[0]["cost"].shape == (2, 3)
    assert np.isfinite(after[0]["reward"]).all()


def test_the_users_critic_is_aligned(after):
    assert after[1]["aligned"].shape == (2, 5)
    assert {"Dense_0", "Dense_1"} == set(after[1]["state"].reward_critic.params[0]["params"])


def test_a_grid_of_limits_with_the_users_networks(after):
    assert after[2]["costs"].shape == (3,)
    assert np.isfinite(after[2]["rewards"]).all()


def test_the_population_goes_on_from_the_best_with_other_gains(after):
    gains = after[3]["gains"]["integral"]
    assert gains.shape == (4,)
    assert len(np.unique(gains)) > 1
    assert np.all(after[3]["states"].iteration == 4)
