"""Oracles of the online algorithms, of guides, and of calibrated conservative critics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from marvel_jax.algorithms.online import off_policy, ppo_lag, sac_lag
from marvel_jax.algorithms.protocol import Experience
from marvel_jax.algorithms.registry import ONLINE, exploring_networks
from marvel_jax.config import Hyper, PPOLag, SACLag, layered, online, override
from marvel_jax.config.check import conflict
from marvel_jax.config.methods import METHODS
from marvel_jax.core.networks import Networks, aggregate, networks_of
from marvel_jax.core.parameters import Critics, conservative, train_state
from marvel_jax.core.problem import Problem
from marvel_jax.core.rollouts import Rollout
from marvel_jax.core.transitions import Transition
from marvel_jax.training import guides

ROWS = 256
ONE_STEP = Problem(episode_length=1)


def critics_of(networks: Networks) -> Critics:
    keys = jax.random.split(jax.random.key(7), 4)
    twins = (networks.init_twins(key) for key in keys[:2])
    return Critics(*twins, *(networks.init_value(key) for key in keys[2:]))


@pytest.mark.parametrize("name", ONLINE)
def test_a_huge_multiplier_lowers_cost_and_none_raises_reward(name):
    """Reward and cost of one-step episodes are both the action itself."""
    networks, algorithm = Networks(observation_size=1, action_size=1, hidden=(32,)), ONLINE[name]
    hyper = override(getattr(Hyper(), online.ONLINE[name].section), actor_learning_rate=3e-3, batch_size=64)

    @jax.jit
    def trained(multiplier):
        def iteration(learner, key):
            observation = jnp.ones((1, ROWS, 1))
            action, _ = networks.policy(learner.actor.params, observation).sample(key)
            wide = jax.random.uniform(key, action.shape, minval=-1.0)
            action = action if name == "ppo-lag" else wide
            end = jnp.zeros((1, ROWS))
            steps = Transition(observation, action, action[..., 0], action[..., 0], end, observation)
            played = Rollout(steps, end[0], end[0], None, 1 - end)
            flat = jax.tree.map(lambda x: x[0], steps)
            experience = Experience(played, lambda key: flat)
            return algorithm.train_iteration(hyper, ONE_STEP, networks, learner, experience, multiplier, key, 20)

        start = algorithm.start(hyper, train_state(networks.init_actor(jax.random.key(0))), critics_of(networks))
        return jax.lax.scan(iteration, start, jax.random.split(jax.random.key(1), 40))[0]

    acts = [float(networks.policy(trained(jnp.float32(m)).actor.params, jnp.ones(1)).mode()[0]) for m in (0.0, 100.0)]
    assert acts[0] > 0.7
    assert acts[1] < -0.7


def test_advantages_are_those_of_the_definition():
    """Σ_k (γλ)^k δ_{t+k} until the episode ends."""
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
    networks, hyper = Networks(observation_size=1, action_size=1, hidden=(8,)), PPOLag()
    state = ppo_lag.init(hyper, ONE_STEP, networks, jax.random.key(0))
    steps = Transition(*(jnp.ones((1, 8, n)) * 0.2 for n in (1, 1)), *(jnp.ones((1, 8)),) * 3, jnp.ones((1, 8, 1)))
    played = ppo_lag.compute_advantages(hyper, ONE_STEP, networks, state, steps, jnp.ones((1, 8)))
    batch = jax.tree.map(lambda x: x[0], played).replace(advantage=jnp.arange(8.0))
    for shift, moves in ((0.0, True), (2.0, False)):
        shifted = batch.replace(log_prob=batch.log_prob - shift)
        after, _ = ppo_lag.update(hyper, ONE_STEP, networks, state, shifted, jnp.float32(0), jax.random.key(0))
        before, now = (jax.tree.leaves(s.actor.params) for s in (state, after))
        assert any(not np.array_equal(x, y) for x, y in zip(before, now, strict=True)) == moves


def test_ppo_s_changes_are_shares_of_the_way_to_where_it_stands_still():
    """Of two policies with the same noise σ, A·(Δ/σ)²/2 is the KL of means that are Δ apart."""
    networks = Networks(observation_size=1, action_size=3, hidden=(), log_std_minimum=-1.0, log_std_maximum=-1.0)
    before = networks.init_actor(jax.random.key(0))
    after = jax.tree.map(lambda x: x + 0.05, before)
    hyper = PPOLag(divergence_limit=3 * (0.05 * np.e) ** 2 / 2)
    change = ppo_lag.policy_change(hyper, networks, before, after, jnp.zeros((5, 1)))
    assert float(change) == pytest.approx(1.0, rel=1e-5)


def test_td3_explores_with_the_same_deviation_everywhere_and_the_others_with_the_policys_own(env):
    observation = jax.random.normal(jax.random.key(0), (16, env.observation_size))
    for name in ONLINE:
        hyper = override(Hyper(), online_algorithm=name, **{"td3.exploration_noise": 0.3})
        networks = networks_of(env.spec, hyper)
        exploring = exploring_networks(hyper, networks)
        if name != "td3-lag":
            assert exploring == networks
            continue
        found = exploring.policy(networks.init_actor(jax.random.key(1)), observation)
        np.testing.assert_allclose(jnp.exp(found.log_std), 0.3, rtol=1e-5)


def test_target_noise_is_clipped_and_stays_within_bounds():
    hyper = SACLag(target_noise=1.0, target_noise_clip=0.25)
    action = jnp.linspace(-1, 1, 1000)[:, None]
    noisy = off_policy.with_noise(hyper, action, jax.random.key(0))
    assert float(jnp.abs(noisy - action).max()) == pytest.approx(0.25, abs=1e-3)
    assert float(jnp.abs(noisy).max()) <= 1
    assert off_policy.with_noise(SACLag(), action, jax.random.key(0)) is action


def test_conservative_critics_push_down_only_what_exceeds_the_returns_seen():
    networks = Networks(observation_size=2, action_size=1, hidden=())
    twins = networks.init_twins(jax.random.key(0))
    observation, action = jax.random.normal(jax.random.key(1), (8, 2)), jnp.zeros((8, 1))
    zero = jnp.zeros(8)
    batch = Transition(observation, action, zero, zero, zero, observation)
    for seen, pushes in ((-1e6, True), (1e6, False)):
        known = batch.replace(return_to_go=jnp.full(8, seen))
        loss = conservative(networks, known, jnp.ones((8, 1)), lambda twins: jnp.zeros(()), 1.0)
        slope = jax.grad(loss)(twins)[0]["params"]["Dense_0"]["kernel"][-1, 0]  # of the action's weight
        assert float(slope) == pytest.approx(1.0 if pushes else 0.0, abs=1e-5)


LONG, NETWORKS = Problem(episode_length=100), Networks(observation_size=3, action_size=2, hidden=(8,))


def guided(kind, stage=0):
    """An acting policy of a random learner beside a random guide, and the parameters of both."""
    guide_key, learner_key = jax.random.split(jax.random.key(0))
    learner = sac_lag.init(SACLag(), LONG, NETWORKS, learner_key)
    guide = guides.init(kind, NETWORKS.init_actor(guide_key)).replace(stage=jnp.int32(stage))
    return guides.acting(guide, learner), {"guide": guide.params, "learner": learner.actor.params}


@pytest.mark.parametrize(
    ("stage", "time", "by"), [(0, 99, "guide"), (5, 49, "guide"), (5, 50, "learner"), (10, 0, "learner")]
)
def test_jump_start_hands_over_within_the_episode(stage, time, by):
    acting, params = guided("jump-start", stage)
    observation = jax.random.normal(jax.random.key(5), (6, 3))
    found = acting.act(LONG, NETWORKS, observation, jnp.int32(time), jax.random.key(6), jnp.ones(6, bool))
    np.testing.assert_allclose(found, NETWORKS.policy(params[by], observation).mode())


def test_jump_start_moves_on_only_while_the_mixture_does_not_lose():
    problem, state = Problem(reward_scale=1.0), guides.init("jump-start", {})
    stages = []
    for reward, cost in ((100, 10), (98, 10), (60, 10), (120, 60), (110, 10)):
        state = guides.update(problem, state, jnp.float32(reward), jnp.float32(cost), jnp.float32(1.0))
        stages.append(int(state.stage))
    assert stages == [1, 2, 2, 2, 3]


@pytest.mark.parametrize("multiplier", [0.0, 3.0])
def test_expansion_prefers_the_proposal_that_the_critics_prefer(multiplier):
    acting, params = guided("expansion")
    acting = acting.replace(multiplier=jnp.float32(multiplier))
    observation = jax.random.normal(jax.random.key(5), (200, 3))
    proposals = [NETWORKS.policy(params[by], observation).mode() for by in ("guide", "learner")]
    worth = [
        aggregate(NETWORKS.twin_values(acting.reward_twins, observation, a), "min")
        - multiplier * aggregate(NETWORKS.twin_values(acting.cost_twins, observation, a), "max")
        for a in proposals
    ]
    by_guide = worth[0] >= worth[1]
    assert 0 < int(jnp.sum(by_guide)) < 200
    best = jnp.where(by_guide[:, None], *proposals)
    found = acting.act(LONG, NETWORKS, observation, jnp.int32(0), jax.random.key(6), jnp.ones(200, bool))
    np.testing.assert_allclose(found, best, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "method", "words"),
    [
        ({"algorithm": "bc"}, "warm-start", ("bc has none", "cpq, bear-lag, bcq-lag", "marvel, ")),
        ({"online_algorithm": "ppo-lag"}, "pex", ("sac-lag, td3-lag",)),
        ({"online_algorithm": "ppo-lag"}, "rlpd", ("its own episodes alone",)),
        ({"online_algorithm": "ppo-lag"}, "so2", ("of sac-lag alone", "that can: sac-lag")),
        ({"online_algorithm": "td3-lag"}, "cal-ql", ("of sac-lag alone", "that can: sac-lag")),
    ],
)
def test_what_cannot_go_together_is_refused_with_what_can(changes, method, words):
    said = conflict(layered(method=method, **changes), method)
    assert said is not None
    assert all(word in said for word in words), said


def test_every_method_goes_with_the_default_algorithms():
    for name in METHODS:
        assert conflict(layered(method=name), name) is None
