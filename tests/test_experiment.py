"""The experiment as a pure function: seeds are independent, traced fields do not compile again, stages compose."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marvel_jax.config import layered, methods, override
from marvel_jax.config.fields import all_fields
from marvel_jax.core.rollouts import Rollout
from marvel_jax.core.seeds import map_seeds
from marvel_jax.training import experiment, finetune, handover, pretrain, replay, stages


def first_online_state(env, hyper, key):
    """Setting and first state of finetuning from random networks."""
    setting = stages.setting_of(env.spec, hyper)
    before = pretrain.init(hyper, setting.problem, setting.offline, key)
    return setting, handover.start_finetuning(hyper, setting.problem, setting.online, before, None, key)


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


def test_one_seed_with_nan_parameters_leaves_the_others_bit_identical(env, dataset, tiny_of):
    hyper = tiny_of("from-scratch")
    problem, _, networks = stages.setting_of(env.spec, hyper)

    @jax.jit
    @jax.vmap
    def advance(state):
        return finetune.advance(hyper, problem, networks, env, dataset, state, 2)

    healthy = jax.vmap(lambda key: first_online_state(env, hyper, key)[1])(jax.random.split(jax.random.key(0), 3))
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


def test_traced_hyperparameters_compile_once(run, alone, tiny):
    """All runs so far were one trace, and further values of traced fields do not add another."""
    changes = {"cost_limit": 5.0, "gains.integral": 0.01, "discount": 0.9, "sac.actor_learning_rate": 3e-3}
    other = run(override(tiny, **changes), jax.random.key(0))
    assert not np.allclose(alone[0].metrics["multiplier"], other.metrics["multiplier"])


def test_a_grid_of_cost_limits_is_one_vmap(env, dataset, tiny_of):
    """Costs here are between 0 and 1: under no limit they count, under 20 they do not."""
    hyper, limits = tiny_of("warm-start", **{"control.margin": 0.0}), jnp.array([0.0, 20.0, 90.0])

    def metrics(limit):
        return experiment.run(override(hyper, cost_limit=limit), dataset, jax.random.key(0), env).metrics

    found = jax.jit(jax.vmap(metrics))(limits)
    print(found["multiplier"], found["cost"])
    multiplier = found["multiplier"][:, -1]
    assert multiplier[0] >= multiplier[1] >= multiplier[2]


def assert_goes_on_as_it_started(stage, dataset, hyper, state):
    advanced, _ = jax.eval_shape(lambda hyper, state: stage.advance(dataset, hyper, state, stage.total), hyper, state)
    chex.assert_trees_all_equal_shapes_and_dtypes(advanced, state)
    # Nor in what `jit` also looks at: a loop of one's own around a jitted step would compile twice.
    assert [x.weak_type for x in jax.tree.leaves(advanced)] == [x.weak_type for x in jax.tree.leaves(state)]


def assert_stages_fit_together(env, dataset, hyper):
    """From the shapes alone: nothing is compiled."""
    states = {}
    for stage in stages.plan(env, hyper):
        states[stage.name] = jax.eval_shape(stage.start, hyper, jax.random.key(0), states)
        assert_goes_on_as_it_started(stage, dataset, hyper, states[stage.name])
    assert list(states)[-1] == stages.FINETUNE


@pytest.mark.parametrize("method", methods.METHODS)
def test_every_method_plans_its_stages_and_starts(env, dataset, tiny_of, method):
    assert_stages_fit_together(env, dataset, tiny_of(method))


@pytest.mark.parametrize("online", ["td3-lag", "ppo-lag"])
@pytest.mark.parametrize("offline", ["bear-lag", "bc"])
def test_any_offline_policy_is_taken_on_by_any_online_algorithm(env, dataset, tiny_of, offline, online):
    assert_stages_fit_together(env, dataset, tiny_of(algorithm=offline, online_algorithm=online))


def test_replay_in_half_precision_is_smaller_and_learns_nearly_the_same(env, dataset, tiny_of):
    replays, losses = [], []
    for kept in ("float32", "float16"):
        hyper = tiny_of("from-scratch", **{"replay.observation_dtype": kept})
        (problem, _, networks), state = first_online_state(env, hyper, jax.random.key(0))
        advance = jax.jit(lambda s, h=hyper, p=problem, n=networks: finetune.advance(h, p, n, env, dataset, s, 2))
        state, metrics = advance(state)
        replays.append(sum(leaf.nbytes for leaf in jax.tree.leaves(state.replay)))
        losses.append(metrics["reward_loss"])
    assert replays[1] < 0.7 * replays[0]
    np.testing.assert_allclose(*losses, rtol=0.05)
    assert not np.array_equal(*losses)


@pytest.mark.parametrize(("decay", "left"), [(0.0, [32, 32, 32]), (1.0, [32, 16, 0]), (2.0, [32, 0, 0])])
def test_offline_rows_of_a_batch_go_over_the_budget(env, dataset, tiny_of, decay, left):
    hyper = tiny_of(**{"replay.offline_decay": decay, "online.iterations": 4, "sac.batch_size": 64})
    problem, _, networks = stages.setting_of(env.spec, hyper)
    old, new = (dataset.replace(reward=jnp.full_like(dataset.reward, mark)) for mark in (1.0, 0.0))
    episode = jax.tree.map(lambda x: x[: problem.episode_length, None], new)
    played = Rollout(episode, jnp.zeros(1), jnp.zeros(1), None, jnp.zeros(episode.reward.shape))
    held = replay.add(hyper, problem, replay.init(hyper, problem, networks), played)

    @jax.jit
    def offline_rows(iteration):
        return replay.batches(hyper, problem, old, held, iteration)(jax.random.key(0)).reward.sum()

    assert [int(offline_rows(i)) for i in (0, 2, 4)] == left


def other_value(field):
    """A value that a field may have and that is not its default."""
    if field.choices:
        return next(choice for choice in field.choices if choice != field.default)
    if isinstance(field.default, bool):
        return not field.default
    if isinstance(field.default, tuple):
        return (*field.default, 3)
    return 7.0 if field.default is None else field.default + 1


def variants():
    """`path -> Hyper` that differs from the defaults in that alone; algorithms change with their sections."""
    start = layered()
    for path, field in all_fields().items():
        if path not in ("algorithm", "online_algorithm"):
            yield path, override(start, **{path: other_value(field)})
    yield "algorithm", override(start, algorithm="bear-lag")
    yield "online_algorithm", override(start, online_algorithm="td3-lag")


# What a stage's result does not depend on: what only later stages read, and the sections of other algorithms.
LATER = {
    *("gains", "control", "online", "step_size", "replay", "evaluation_episodes"),
    *("bear_lag", "bcq_lag", "coptidice", "bc", "sac", "td3", "ppo"),
}
NOT_COUNTING = {
    stages.PRETRAIN: {*LATER, "method", "alignment", "online_algorithm"},
    stages.ALIGN: {*LATER, *(f"method.{name}" for name in ("multiplier", "multiplier_alignment", "offline_fraction"))}
    | {"method.guide", "method.value_alignment"},
}


@pytest.mark.parametrize("stage", NOT_COUNTING)
def test_everything_counts_for_what_runs_share_except_what_is_named(stage):
    known = stages.what_counts(stage, layered())
    for path, hyper in variants():
        named = path in NOT_COUNTING[stage] or path.partition(".")[0] in NOT_COUNTING[stage]
        assert (stages.what_counts(stage, hyper) == known) == named, path


def test_a_clone_and_an_own_exploration_noise_count_where_they_are_used():
    cloning, td3 = layered(method="marvel-clone"), layered(online_algorithm="td3-lag")
    for stage, start, changes, counts in (
        (stages.PRETRAIN, cloning, {"bc.actor_learning_rate": 0.1}, True),
        (stages.ALIGN, td3, {"td3.exploration_noise": 0.5}, True),
        (stages.PRETRAIN, td3, {"td3.exploration_noise": 0.5}, False),
    ):
        same = stages.what_counts(stage, override(start, **changes)) == stages.what_counts(stage, start)
        assert same != counts


def test_chunks_divide_the_total():
    assert stages.chunk_length(15_000, 1000) == 1000
    assert stages.chunk_length(100, 7) == 5
    assert stages.chunk_length(7, 100) == 7
    assert stages.chunk_length(13, 5) == 1
