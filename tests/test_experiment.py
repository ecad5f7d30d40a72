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
    """The first state of finetuning from random networks."""
    problem, offline, online = stages.setting_of(env.spec, hyper)
    before = pretrain.init(hyper, problem, offline, key)
    return handover.start_finetuning(hyper, problem, online, before, None, key)


@pytest.fixture(scope="module")
def run(env, dataset):
    """`experiment.run` on the tiny budget; that it is traced twice is an error."""

    @jax.jit
    @chex.assert_max_traces(n=1)
    def run(hyper, key):
        return experiment.run(hyper, dataset, key, env)

    return run


@pytest.fixture(scope="module")
def alone(run, tiny):
    return [run(tiny, jax.random.key(seed)) for seed in range(3)]


@pytest.fixture(scope="module")
def batch(env, dataset, tiny):
    """Three runs as one program, `(cost_limit, gains.initial, key) [3] -> Result [3]`."""

    @jax.jit
    @jax.vmap
    @chex.assert_max_traces(n=1)
    def run(limit, initial, key):
        hyper = override(tiny, cost_limit=limit, **{"gains.initial": initial})
        return experiment.run(hyper, dataset, key, env)

    return run


def test_a_seed_in_a_batch_equals_the_seed_alone(batch, tiny, alone):
    vmapped = batch(20 * jnp.ones(3), jnp.zeros(3), jax.vmap(jax.random.key)(jnp.arange(3)))
    for seed in range(3):
        one = jax.tree.map(lambda x, seed=seed: x[seed], vmapped)
        chex.assert_trees_all_close(one.metrics, alone[seed].metrics, rtol=2e-2, atol=2e-2)
        chex.assert_trees_all_close(one.final, alone[seed].final, rtol=2e-2, atol=2e-2)


def test_a_grid_of_cost_limits_is_one_vmap(batch):
    """The same seed under limits below, among and above its costs: the lower the limit, the larger the multiplier."""
    limits = jnp.array([0.0, 20.0, 90.0])
    found = batch(limits, 2 * jnp.ones(3), jax.vmap(jax.random.key)(jnp.zeros(3, int))).metrics
    assert jnp.all((found["cost"] > 0) & (found["cost"] < 90))
    assert jnp.all(found["multiplier"][0] > found["multiplier"][1])
    assert jnp.all(found["multiplier"][1] > found["multiplier"][2])


def test_mapped_over_seeds_on_cpu_devices_is_the_same(env, dataset, tiny, alone):
    keys = jax.vmap(jax.random.key)(jnp.arange(2))
    mapped = jax.jit(map_seeds(lambda data, key: experiment.run(tiny, data, key, env)))(dataset, keys)
    for seed in range(2):
        one = jax.tree.map(lambda x, seed=seed: x[seed], mapped)
        chex.assert_trees_all_close(one.metrics, alone[seed].metrics, rtol=1e-4, atol=1e-4)


def advancing(env, dataset, hyper):
    """Two iterations of several runs from their states."""
    problem, _, networks = stages.setting_of(env.spec, hyper)
    return jax.jit(jax.vmap(lambda state: finetune.advance(hyper, problem, networks, env, dataset, state, 2)))


@pytest.fixture(scope="module")
def from_scratch(env, dataset, tiny_of):
    """First states of three runs, and what advances them."""
    hyper = tiny_of("from-scratch")
    states = jax.vmap(lambda key: first_online_state(env, hyper, key))(jax.random.split(jax.random.key(0), 3))
    return states, advancing(env, dataset, hyper)


def test_one_seed_with_nan_parameters_leaves_the_others_bit_identical(from_scratch):
    healthy, advance = from_scratch
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


def test_replay_in_half_precision_is_smaller_and_learns_nearly_the_same(from_scratch, env, dataset, tiny_of):
    states, advance = from_scratch
    half = tiny_of("from-scratch", **{"replay.observation_dtype": "float16"})
    problem, _, networks = stages.setting_of(env.spec, half)
    empty = jax.tree.map(lambda x: jnp.stack([x] * 3), replay.init(half, problem, networks))
    after = [advance(states), advancing(env, dataset, half)(states.replace(replay=empty))]
    sizes = [sum(leaf.nbytes for leaf in jax.tree.leaves(state.replay)) for state, _ in after]
    losses = [metrics["reward_loss"] for _, metrics in after]
    assert sizes[1] < 0.7 * sizes[0]
    np.testing.assert_allclose(*losses, rtol=0.05)
    assert not np.array_equal(*losses)


def test_traced_hyperparameters_compile_once(run, alone, tiny):
    changes = {"cost_limit": 5.0, "gains.integral": 0.01, "discount": 0.9, "sac.actor_learning_rate": 3e-3}
    other = run(override(tiny, **changes), jax.random.key(0))
    assert not np.allclose(alone[0].metrics["multiplier"], other.metrics["multiplier"])


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
