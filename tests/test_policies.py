"""Policies are loaded from folders as they were trained."""

import json

import jax
import numpy as np
import pytest

from marvel_jax import load_policy
from marvel_jax.config import run_config
from marvel_jax.config.errors import UserError
from marvel_jax.core.acting import NetworkPolicy
from marvel_jax.core.problem import Problem
from marvel_jax.training.evaluate import evaluate
from marvel_jax.training.stages import stage_keys


@pytest.fixture(scope="module")
def hyper(finished):
    return run_config.read(finished).hyper


@pytest.mark.parametrize(("stage", "found"), [("finetune", "reward"), ("pretrain", "offline_reward")])
def test_a_loaded_policy_earns_what_the_run_says(finished, env, hyper, stage, found):
    said = json.loads((finished / "summary.json").read_text())["per_seed"][found][1]
    policy, keys = load_policy(finished, seed=1, stage=stage), stage_keys(jax.random.key(1))
    key = keys.evaluation if stage == "finetune" else keys.offline_evaluation
    problem, acting, count = Problem(env.spec.episode_length), NetworkPolicy(policy.params), hyper.evaluation_episodes
    played = jax.jit(lambda acting: evaluate(env, problem, policy.networks, acting, key, count))(acting)
    assert float(np.mean(played.reward)) == pytest.approx(said, rel=1e-5)


def test_all_seeds_are_each_seed(finished):
    together, observation = load_policy(finished), np.linspace(-1, 1, 7).tolist()
    actions = jax.vmap(lambda policy: policy(observation))(together)
    for seed, action in enumerate(actions):
        np.testing.assert_allclose(load_policy(finished, seed=seed)(observation), action, atol=1e-6)


def test_what_there_is_not_is_refused(finished, tmp_path):
    for asked, error in (
        ({"seed": 2}, "seeds 0 to 1, and no 2"),
        ({"run": 1}, "is no sweep"),
        ({"stage": "align"}, "there are pretrain and finetune"),
    ):
        with pytest.raises(UserError, match=error):
            load_policy(finished, **asked)
    with pytest.raises(UserError, match="There is no run configuration"):
        load_policy(tmp_path)
    saved = json.loads((finished / "config.json").read_text())
    saved["hyper"]["method"]["guide"] = "expansion"
    (tmp_path / "config.json").write_text(json.dumps(saved))
    with pytest.raises(UserError, match="acts together with the offline policy"):
        load_policy(tmp_path)
    with pytest.raises(UserError, match="no checkpoint"):
        load_policy(tmp_path, stage="pretrain")
