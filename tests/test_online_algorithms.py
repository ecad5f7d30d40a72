"""Oracles of the online algorithms, of guides, and of calibrated conservative critics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marvel_jax.algorithms.online import off_policy, ppo_lag, sac_lag, td3_lag
from marvel_jax.algorithms.registry import ONLINE, Experience
from marvel_jax.config import methods
from marvel_jax.config.hyper import Hyper, PPOLag, SACLag, TD3Lag, override
from marvel_jax.core.networks import init_actor, init_twins, init_value, policy
from marvel_jax.core.parameters import Critics, conservative, new_learner
from marvel_jax.core.problem import Problem, from_spec
from marvel_jax.core.transitions import Transition
from marvel_jax.training import finetune, guides, step_size
from marvel_jax.training.guides import Guided
from marvel_jax.training.rollout import Rollout

ROWS = 256


def critics_of(problem: Problem) -> Critics:
    keys = jax.random.split(jax.random.key(7), 4)
    return Critics(*(init_twins(problem, key) for key in keys[:2]), *(init_value(problem, key) for key in keys[2:]))


@pytest.mark.parametrize("name", ONLINE)
def test_a_huge_multiplier_lowers_cost_and_none_raises_reward(name):
    """Reward and cost of one-step episodes are both the action itself."""
    problem = Problem(observation_size=1, action_size=1, episode_length=1, hidden=(32,))
    algorithm = ONLINE[name]
    changes = {"actor_learning_rate": 3e-3, "batch_size": 64}
    hyper = override(Hyper(), **{f"{algorithm.part}.{key}": value for key, value in changes.items()})
    hyper = override(hyper, online_algorithm=name, **{"online.updates": 20})

    @jax.jit
    def trained(multiplier):
        def iteration(learner, key):
            observation = jnp.ones((1, ROWS, 1))
            action, _ = policy(problem, learner.actor.params, observation).sample(key)
            wide = jax.random.uniform(key, action.shape, minval=-1.0)
            action = action if name == "ppo-lag" else wide
            end = jnp.zeros((1, ROWS))
            steps = Transition(observation, action, action[..., 0], action[..., 0], end, observation)
            played = Rollout(steps, end[0], end[0], None, 1 - end)
            flat = jax.tree.map(lambda x: x[0], steps)
            return algorithm.improve(hyper, problem, learner, Experience(played, lambda key: flat), multiplier, key)

        start = algorithm.start(hyper, new_learner(init_actor(problem, jax.random.key(0))), critics_of(problem))
        return jax.lax.scan(iteration, start, jax.random.split(jax.random.key(1), 40))[0]

    acts = [float(policy(problem, trained(jnp.float32(m)).actor.params, jnp.ones(1)).mode()[0]) for m in (0.0, 100.0)]
    assert acts[0] > 0.7
    assert acts[1] < -0.7


def test_advantages_are_those_of_the_definition():
    """Σ_k (γλ)^k δ_{t+k} until the episode ends, by hand."""
    generator = np.random.default_rng(0)
    length, discount, gae = 7, 0.9, 0.8
    signal, value, following = generator.normal(size=(3, length, 1))
    continues, ended = np.ones((length, 1)), np.zeros((length, 1))
    continues[2], ended[2], ended[5], ended[6] = 0, 1, 1, 1  # a termination, a time limit, the end
    expected, delta = np.zeros((length, 1)), signal + discount * continues * following - value
    for start in range(length):
        for step in range(start, length):
            expected[start] += (discount * gae) ** (step - start) * delta[step]
            if ended[step]:
                break
    found = ppo_lag.advantages(discount, gae, *map(jnp.asarray, (signal, value, following, continues, ended)))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_ppo_stands_still_once_it_is_far_from_what_played():
    problem = Problem(observation_size=1, action_size=1, episode_length=1, hidden=(8,))
    state = ppo_lag.init(PPOLag(), problem, jax.random.key(0))
    steps = Transition(*(jnp.ones((1, 8, n)) * 0.2 for n in (1, 1)), *(jnp.ones((1, 8)),) * 3, jnp.ones((1, 8, 1)))
    batch = jax.tree.map(lambda x: x[0], ppo_lag.judge(PPOLag(), problem, state, steps, jnp.ones((1, 8))))
    batch = batch.replace(advantage=jnp.arange(8.0))
    for shift, moves in ((0.0, True), (2.0, False)):
        shifted = batch.replace(log_prob=batch.log_prob - shift)
        after, _ = ppo_lag.update(PPOLag(), problem, state, shifted, jnp.float32(0), jax.random.key(0))
        before, now = (jax.tree.leaves(s.actor.params) for s in (state, after))
        assert any(not np.array_equal(x, y) for x, y in zip(before, now, strict=True)) == moves


def test_ppo_s_changes_are_shares_of_the_way_to_where_it_stands_still():
    """Of two policies with the same noise σ, A·(Δ/σ)²/2 is the KL of means that are Δ apart."""
    problem = Problem(observation_size=1, action_size=3, hidden=(), log_std_minimum=-1.0, log_std_maximum=-1.0)
    before = init_actor(problem, jax.random.key(0))
    after = jax.tree.map(lambda x: x + 0.05, before)
    hyper = override(Hyper(), **{"ppo.divergence_limit": 3 * (0.05 * np.e) ** 2 / 2})
    change = ONLINE["ppo-lag"].change(hyper, problem, before, after, jnp.zeros((5, 1)))
    assert float(change) == pytest.approx(1.0, rel=1e-5)


def test_td3_explores_with_the_same_deviation_everywhere(env):
    hyper = override(Hyper(), online_algorithm="td3-lag", **{"td3.exploration_noise": 0.3})
    problem = from_spec(env.spec, hyper)
    observation = jax.random.normal(jax.random.key(0), (16, env.observation_size))
    found = policy(problem, init_actor(problem, jax.random.key(1)), observation)
    np.testing.assert_allclose(jnp.exp(found.log_std), 0.3, rtol=1e-5)


def test_target_noise_is_clipped_and_stays_within_bounds():
    hyper = SACLag(target_noise=1.0, target_noise_clip=0.25)
    action = jnp.linspace(-1, 1, 1000)[:, None]
    noisy = off_policy.with_noise(hyper, action, jax.random.key(0))
    assert float(jnp.abs(noisy - action).max()) == pytest.approx(0.25, abs=1e-3)
    assert float(jnp.abs(noisy).max()) <= 1
    assert off_policy.with_noise(SACLag(), action, jax.random.key(0)) is action


def test_means_are_penalized_only_where_actions_hardly_answer():
    mean = jnp.array([[3.0, 0.5], [-4.0, -1.9]])
    assert off_policy.saturation(SACLag(), mean) == 0.0
    assert float(off_policy.saturation(SACLag(desaturate=True, saturation_penalty=0.5), mean)) == 0.5 * (1 + 4) / 2


@pytest.mark.parametrize(("algorithm", "part"), [(sac_lag, SACLag), (td3_lag, TD3Lag)])
def test_a_saturated_policy_comes_back_to_where_its_actions_answer(algorithm, part):
    hyper = part(desaturate=True, actor_learning_rate=0.1)
    problem = Problem(observation_size=2, action_size=1, episode_length=10, hidden=())
    state = algorithm.init(hyper, problem, jax.random.key(0))
    saturated = jax.tree.map(lambda x: x + 4.0, state.actor.params)
    state = state.replace(actor=state.actor.replace(params=saturated))
    batch = Transition(*(jnp.ones((8, n)) for n in (2, 1)), *(jnp.ones(8),) * 3, jnp.ones((8, 2)))

    def one(state, key):
        return algorithm.update(hyper, problem, state, batch, jnp.float32(1.0), key)[0], None

    after, _ = jax.lax.scan(one, state, jax.random.split(jax.random.key(1), 300))
    before, now = (policy(problem, s.actor.params, batch.observation[0]).mean.item() for s in (state, after))
    assert before > 8
    assert abs(now) < 2.2


@pytest.mark.parametrize("name", ["sac-lag", "td3-lag"])
def test_saturation_counts_while_costs_stay_far_over_the_limit(name):
    part = ONLINE[name].part
    hyper = override(Hyper(), online_algorithm=name, **{f"{part}.desaturate": True})
    problem = Problem(observation_size=2, action_size=1, cost_limit=20.0)
    steps = step_size.init()
    for cost, share in ((30.0, 0.5), (10.0, 0.0), (90.0, 0.0)):  # the least of the recent costs counts
        steps = step_size.see(steps, jnp.float32(cost))
        stepping, *_ = finetune._stepping(hyper, problem, steps, jnp.int32(0))
        assert float(getattr(stepping, part).saturation_penalty) == share


def test_conservative_critics_push_down_only_what_exceeds_the_returns_seen():
    problem = Problem(observation_size=2, action_size=1, episode_length=5, hidden=())
    twins = init_twins(problem, jax.random.key(0))
    observation, action = jax.random.normal(jax.random.key(1), (8, 2)), jnp.zeros((8, 1))
    zero = jnp.zeros(8)
    batch = Transition(observation, action, zero, zero, zero, observation)
    for seen, pushes in ((-1e6, True), (1e6, False)):
        known = batch.replace(return_to_go=jnp.full(8, seen))
        loss = conservative(problem, known, jnp.ones((8, 1)), lambda twins: jnp.zeros(()), 1.0)
        slope = jax.grad(loss)(twins)[0]["params"]["Dense_0"]["kernel"][-1, 0]  # of the action's weight
        assert float(slope) == pytest.approx(1.0 if pushes else 0.0, abs=1e-5)


def guided(problem, kind, stage=0):
    keys = jax.random.split(jax.random.key(0), 4)
    guide = guides.init(kind, init_actor(problem, keys[0])).replace(stage=jnp.int32(stage))
    return Guided(init_actor(problem, keys[1]), guide, init_twins(problem, keys[2]), init_twins(problem, keys[3]))


@pytest.mark.parametrize(
    ("stage", "time", "by"), [(0, 99, "guide"), (5, 49, "guide"), (5, 50, "learner"), (10, 0, "learner")]
)
def test_jump_start_hands_over_within_the_episode(stage, time, by):
    problem = Problem(observation_size=3, action_size=2, episode_length=100, hidden=(8,))
    actor = guided(problem, "jump-start", stage)
    observation = jax.random.normal(jax.random.key(5), (6, 3))
    found = guides.act(problem, actor, observation, jnp.int32(time), jax.random.key(6), jnp.ones(6, bool))
    params = actor.guide.params if by == "guide" else actor.learner
    np.testing.assert_allclose(found, policy(problem, params, observation).mode())


def test_jump_start_moves_on_only_while_the_mixture_does_not_lose():
    problem, state = Problem(reward_scale=1.0), guides.init("jump-start", {})
    stages = []
    for reward, cost in ((100, 10), (98, 10), (60, 10), (120, 60), (110, 10)):
        state = guides.update(problem, state, jnp.float32(reward), jnp.float32(cost), jnp.float32(1.0))
        stages.append(int(state.stage))
    assert stages == [1, 2, 2, 2, 3]


def test_expansion_prefers_the_proposal_that_the_critics_prefer():
    problem = Problem(observation_size=3, action_size=2, episode_length=100, hidden=(8,))
    actor = guided(problem, "expansion")
    observation = jax.random.normal(jax.random.key(5), (200, 3))
    proposals = [policy(problem, params, observation).mode() for params in (actor.guide.params, actor.learner)]
    from marvel_jax.core.networks import aggregate, twin_values

    values = [aggregate(twin_values(problem, actor.reward_twins, observation, a), "min") for a in proposals]
    best = jnp.where((values[0] >= values[1])[:, None], *proposals)
    found = guides.act(problem, actor, observation, jnp.int32(0), jax.random.key(6), jnp.ones(200, bool))
    np.testing.assert_allclose(found, best, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "method", "words"),
    [
        ({"algorithm": "bc"}, "warm-start", ("bc has none", "cpq, bear-lag, bcq-lag", "marvel, ")),
        ({"online_algorithm": "ppo-lag"}, "pex", ("sac-lag, td3-lag",)),
        ({"online_algorithm": "ppo-lag"}, "rlpd", ("its own episodes alone",)),
        ({"online_algorithm": "ppo-lag"}, "so2", ("no Q-functions",)),
        ({"online_algorithm": "td3-lag"}, "cal-ql", ("sac-lag",)),
    ],
)
def test_what_cannot_go_together_is_refused_with_what_can(changes, method, words):
    said = methods.conflict(override(methods.apply(Hyper(), method), **changes))
    assert said is not None
    assert all(word in said for word in words), said


def test_a_method_leaves_nothing_of_the_one_before():
    for name in methods.METHODS:
        assert methods.apply(methods.apply(Hyper(), name), "marvel") == Hyper()
