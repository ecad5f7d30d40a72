"""The experiment as a pure function: seeds are independent, traced fields do not compile again, stages compose."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marvel_jax.config import methods
from marvel_jax.config.hyper import override
from marvel_jax.core.problem import from_environment
from marvel_jax.core.seeds import map_seeds
from marvel_jax.training import experiment, finetune, replay, rollout, stages


@pytest.fixture(scope="module")
def run(env, dataset):
    """`experiment.run` on the tiny budget, compiled once for all tests here."""
    return jax.jit(lambda hyper, key: experiment.run(hyper, dataset, key, env))


@pytest.fixture(scope="module")
def alone(run, tiny):
    return [run(tiny, jax.random.key(seed)) for seed in range(3)]


def test_a_seed_in_a_batch_equals_the_seed_alone(env, dataset, tiny, alone):
    keys = jax.vmap(jax.random.key)(jnp.arange(3))
    vmapped = jax.jit(jax.vmap(lambda key: experiment.run(tiny, dataset, key, env)))(keys)
    for seed in range(3):
        one = jax.tree.map(lambda x, seed=seed: x[seed], vmapped)
        chex.assert_trees_all_close(one.metrics, alone[seed].metrics, rtol=2e-2, atol=2e-2)
        chex.assert_trees_all_close(one.final, alone[seed].final, rtol=2e-2, atol=2e-2)


def test_mapped_over_seeds_on_cpu_devices_is_the_same(env, dataset, tiny, alone):
    keys = jax.vmap(jax.random.key)(jnp.arange(2))
    mapped = jax.jit(map_seeds(lambda data, key: experiment.run(tiny, data, key, env)))(dataset, keys)
    for seed in range(2):
        one = jax.tree.map(lambda x, seed=seed: x[seed], mapped)
        chex.assert_trees_all_close(one.metrics, alone[seed].metrics, rtol=1e-4, atol=1e-4)


def test_one_seed_with_nan_parameters_leaves_the_others_bit_identical(env, dataset, tiny):
    hyper = methods.apply(tiny, "from-scratch")
    problem = from_environment(env, hyper)

    def start(key):
        offline = experiment.pretrain.init(hyper, problem, key)
        return experiment.start_finetuning(hyper, problem, offline, None, key)

    advance = jax.jit(jax.vmap(lambda state: finetune.advance(hyper, problem, env, dataset, state, 2)))
    healthy = jax.vmap(start)(jax.random.split(jax.random.key(0), 3))
    poisoned_actor = jax.tree.map(lambda x: x.at[1].set(jnp.nan), healthy.learner.actor.params)
    learner = healthy.learner.replace(actor=healthy.learner.actor.replace(params=poisoned_actor))
    poisoned = healthy.replace(learner=learner)
    (after, metrics), (after_poisoned, poisoned_metrics) = advance(healthy), advance(poisoned)
    for seed in (0, 2):
        chex.assert_trees_all_equal(
            *(jax.tree.map(lambda x, s=seed: x[s], m) for m in (metrics, poisoned_metrics)),
        )
        chex.assert_trees_all_equal(
            *(jax.tree.map(lambda x, s=seed: x[s], a.learner) for a in (after, after_poisoned)),
        )
    assert np.isnan(poisoned_metrics["actor_loss"][1]).all()


def test_traced_hyperparameters_compile_once(env, dataset, tiny):
    @jax.jit
    @chex.assert_max_traces(n=1)
    def run(hyper):
        return experiment.run(hyper, dataset, jax.random.key(0), env).metrics["multiplier"]

    first = run(tiny)
    changes = {"cost_limit": 5.0, "gains.integral": 0.01, "discount": 0.9, "sac.actor_learning_rate": 3e-3}
    second = run(override(tiny, **changes))
    assert not np.allclose(first, second)


def test_a_grid_of_cost_limits_is_one_vmap(env, dataset, tiny):
    limits = jnp.array([0.0, 20.0, 90.0])
    hyper = methods.apply(tiny, "warm-start")

    def final_multiplier(limit):
        limited = override(hyper, cost_limit=limit)
        return experiment.run(limited, dataset, jax.random.key(0), env).metrics["multiplier"][-1]

    values = jax.jit(jax.vmap(final_multiplier))(limits)
    assert values.shape == (3,)
    assert values[0] >= values[1] >= values[2]


def assert_goes_on_as_it_started(stage, dataset, hyper, state):
    advanced, _ = jax.eval_shape(stage.advance, dataset, hyper, state)
    chex.assert_trees_all_equal_shapes_and_dtypes(advanced, state)
    # Nor in what `jit` also looks at: a loop of one's own around a jitted step would compile twice.
    assert [x.weak_type for x in jax.tree.leaves(advanced)] == [x.weak_type for x in jax.tree.leaves(state)]


@pytest.mark.parametrize("method", methods.METHODS)
def test_every_method_plans_its_stages_and_starts(env, dataset, tiny, method):
    hyper = methods.apply(tiny, method)
    plan = stages.plan(env, hyper)
    assert plan[-1].name == stages.FINETUNE
    states = {}
    for stage in plan:  # shapes alone: nothing is compiled
        states[stage.name] = jax.eval_shape(stage.start, hyper, jax.random.key(0), states)
        assert_goes_on_as_it_started(stage, dataset, hyper, states[stage.name])


@pytest.mark.parametrize("online", ["td3-lag", "ppo-lag"])
@pytest.mark.parametrize("offline", ["bear-lag", "bc"])
def test_any_offline_policy_is_taken_on_by_any_online_algorithm(env, dataset, tiny, offline, online):
    hyper = override(tiny, algorithm=offline, online_algorithm=online)
    states = {}
    for stage in stages.plan(env, hyper):  # shapes alone: nothing is compiled
        states[stage.name] = jax.eval_shape(stage.start, hyper, jax.random.key(0), states)
        assert_goes_on_as_it_started(stage, dataset, hyper, states[stage.name])


def test_mean_action_episodes_enter_the_constraint(env, dataset, tiny):
    hyper = override(methods.apply(tiny, "from-scratch"), **{"online.mean_action_episodes": 1})
    problem = from_environment(env, hyper)
    offline = experiment.pretrain.init(hyper, problem, jax.random.key(0))
    state = experiment.start_finetuning(hyper, problem, offline, None, jax.random.key(0))
    _, metrics = jax.jit(lambda s: finetune.advance(hyper, problem, env, dataset, s, 2))(state)
    assert np.all(metrics["constraint_cost"] >= metrics["cost"])
    assert np.all(metrics["constraint_cost"] >= metrics["mean_action_cost"])


def test_replay_in_half_precision_is_smaller_and_learns_nearly_the_same(env, dataset, tiny):
    replays, losses = [], []
    for kept in ("float32", "float16"):
        hyper = override(methods.apply(tiny, "from-scratch"), **{"online.replay_observations": kept})
        problem = from_environment(env, hyper)
        offline = experiment.pretrain.init(hyper, problem, jax.random.key(0))
        state = experiment.start_finetuning(hyper, problem, offline, None, jax.random.key(0))
        state, metrics = jax.jit(lambda s, h=hyper, p=problem: finetune.advance(h, p, env, dataset, s, 2))(state)
        replays.append(sum(leaf.nbytes for leaf in jax.tree.leaves(state.replay)))
        losses.append(metrics["reward_loss"])
    assert replays[1] < 0.7 * replays[0]
    np.testing.assert_allclose(*losses, rtol=0.05)
    assert not np.array_equal(*losses)


@pytest.mark.parametrize(("fading", "offline"), [(0.0, [32, 32, 32]), (1.0, [32, 16, 0]), (2.0, [32, 0, 0])])
def test_offline_rows_of_a_batch_fade_over_the_budget(env, dataset, tiny, fading, offline):
    hyper = override(tiny, **{"online.offline_fading": fading, "online.iterations": 4, "sac.batch_size": 64})
    problem = from_environment(env, hyper)
    old, new = (dataset.replace(reward=jnp.full_like(dataset.reward, mark)) for mark in (1.0, 0.0))
    episode = jax.tree.map(lambda x: x[: problem.episode_length, None], new)
    played = rollout.Rollout(episode, jnp.zeros(1), jnp.zeros(1), None, jnp.zeros(episode.reward.shape))
    held = replay.add(hyper, problem, replay.init(hyper, problem), played)
    batches = [replay.source(hyper, problem, old, held, jnp.int32(i))(jax.random.key(0)) for i in (0, 2, 4)]
    assert [int(batch.reward.sum()) for batch in batches] == offline


def test_chunks_divide_the_total():
    assert stages.chunk_length(15_000, 1000) == 1000
    assert stages.chunk_length(100, 7) == 5
    assert stages.chunk_length(7, 100) == 7
    assert stages.chunk_length(13, 5) == 1
