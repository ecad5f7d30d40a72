"""PPO-Lag: clipped policy gradients on the latest episodes, with a multiplier on the cost's advantages.

Source: Schulman et al., 2017; the Lagrangian as in Ray, Achiam, Amodei, 2019. Advantages are in the units of scaled
reward and of cost, and only their sum A − λ·A_c is standardized, so that λ means what it does for critics.
"""

import jax
import jax.numpy as jnp
from flax import struct

from marvel_jax.algorithms.online.policy_change import in_trust_region
from marvel_jax.algorithms.protocol import Experience, Metrics
from marvel_jax.config.online import PPOLag
from marvel_jax.core.networks import Networks, Params
from marvel_jax.core.parameters import Critics, TrainState, minimize, train_state
from marvel_jax.core.problem import Problem
from marvel_jax.core.transitions import Transition
from marvel_jax.multiplier.alignment import MultiplierAlignment, multiplier_from_gradients


class State(struct.PyTreeNode):
    """All that PPO-Lag learns: the policy, and state values of scaled reward and of cost."""

    actor: TrainState
    reward_value: TrainState
    cost_value: TrainState


class Batch(struct.PyTreeNode):
    """Steps `[...]` that were played, with what they were worth.

    Attributes:
      observation, action: `[..., observation_size]`, `[..., action_size]`.
      log_prob: Of the action, under the policy that played.
      advantage, cost_advantage: Of scaled reward and of cost.
      target, cost_target: For the value functions.
    """

    observation: jax.Array
    action: jax.Array
    log_prob: jax.Array
    advantage: jax.Array
    cost_advantage: jax.Array
    target: jax.Array
    cost_target: jax.Array


def init(hyper: PPOLag, problem: Problem, networks: Networks, key: jax.Array) -> State:
    """Random networks."""
    del hyper, problem
    actor, reward, cost = jax.random.split(key, 3)
    values = train_state(networks.init_value(reward)), train_state(networks.init_value(cost))
    return State(train_state(networks.init_actor(actor)), *values)


def start(hyper: PPOLag, actor: TrainState, critics: Critics) -> State:
    """The state that carries over a policy with its optimizer, and value functions whose optimizers start fresh."""
    del hyper
    return State(actor, train_state(critics.reward_value), train_state(critics.cost_value))


def advantages(discount, gae, signal, value, next_value, continues, ended) -> jax.Array:
    """Generalized advantage estimates `[T, E]`: A_t = δ_t + γ·λ·A_{t+1} within an episode.

    Args:
      discount, gae: γ and λ.
      signal: `[T, E]` rewards or costs.
      value, next_value: `[T, E]` V(s), V(s').
      continues: `[T, E]` 0 at a true termination, after which nothing is worth anything.
      ended: `[T, E]` 1 at an episode's last step.

    Source: Schulman et al., ICLR 2016.
    """
    difference = signal + discount * continues * next_value - value

    def backwards(following, row):
        delta, end = row
        now = delta + discount * gae * (1 - end) * following
        return now, now

    return jax.lax.scan(backwards, jnp.zeros(signal.shape[1]), (difference, ended), reverse=True)[1]


def compute_advantages(
    hyper: PPOLag, problem: Problem, networks: Networks, state: State, steps: Transition, ended: jax.Array
) -> Batch:
    """Advantages and targets of the steps `[T, E]` that the state's policy played; `ended` `[T, E]`."""
    found = {}
    ended = ended.at[-1].set(1.0)
    signals = {"reward": problem.reward_scale * steps.reward, "cost": steps.cost}
    for name, params in (("reward", state.reward_value.params), ("cost", state.cost_value.params)):
        value, following = (networks.state_value(params, o) for o in (steps.observation, steps.next_observation))
        found[name] = advantages(problem.discount, hyper.gae, signals[name], value, following, steps.discount, ended)
        found[f"{name} target"] = found[name] + value
    log_prob = networks.policy(state.actor.params, steps.observation).log_prob(steps.action)
    return Batch(
        observation=steps.observation,
        action=steps.action,
        log_prob=log_prob,
        advantage=found["reward"],
        cost_advantage=found["cost"],
        target=found["reward target"],
        cost_target=found["cost target"],
    )


def update(
    hyper: PPOLag,
    problem: Problem,
    networks: Networks,
    state: State,
    batch: Batch,
    multiplier: jax.Array,
    key: jax.Array,
) -> tuple[State, dict[str, jax.Array]]:
    """One gradient step of policy and value functions.

    With ρ = π(a|s)/π_old(a|s), A = A_r − λ·A_c standardized in the batch, and targets V̂ = A_r + V, V̂_c = A_c + V_c:

        policy: maximise E[min(ρ·A, clip(ρ, 1 ± ε)·A)], unless E[ρ − 1 − log ρ], an estimate of the KL, exceeds
                `divergence_limit`; then the policy stands still,
        values: minimise E[(V(s) − V̂)²] and E[(V_c(s) − V̂_c)²].

    Args:
      hyper, problem, networks, multiplier: As in `sac_lag.update`.
      state: From `init`, `start` or `update`.
      batch: `[B]` of `compute_advantages`.
      key: Not used; nothing is sampled.

    Returns:
      The next state, and scalars: `reward_loss`, `cost_loss`, `actor_loss`, `divergence`.
    """
    del problem, key
    combined = batch.advantage - multiplier * batch.cost_advantage
    combined = (combined - jnp.mean(combined)) / (jnp.std(combined) + 1e-6)

    def loss(params: Params) -> tuple[jax.Array, jax.Array]:
        log_ratio = networks.policy(params, batch.observation).log_prob(batch.action) - batch.log_prob
        ratio = jnp.exp(log_ratio)
        clipped = jnp.clip(ratio, 1 - hyper.clip, 1 + hyper.clip)
        # An estimate of the KL that is never negative: E[ρ − 1 − log ρ].
        return -jnp.mean(jnp.minimum(ratio * combined, clipped * combined)), jnp.mean(ratio - 1 - log_ratio)

    moved, (actor_loss, divergence) = minimize(state.actor, loss, hyper.actor_learning_rate, has_aux=True)
    near = divergence <= hyper.divergence_limit
    actor = jax.tree.map(lambda new, old: jnp.where(near, new, old), moved, state.actor)

    def fit(value: TrainState, target: jax.Array) -> tuple[TrainState, jax.Array]:
        def error(params: Params) -> jax.Array:
            return jnp.mean((networks.state_value(params, batch.observation) - target) ** 2)

        return minimize(value, error, hyper.critic_learning_rate)

    reward_value, reward_loss = fit(state.reward_value, batch.target)
    cost_value, cost_loss = fit(state.cost_value, batch.cost_target)
    return State(actor, reward_value, cost_value), {
        "reward_loss": reward_loss,
        "cost_loss": cost_loss,
        "actor_loss": actor_loss,
        "divergence": divergence,
    }


def align_multiplier(networks: Networks, actor: Params, batch: Batch) -> MultiplierAlignment:
    """Multiplier pre-alignment from the policy gradients E[∇ log π·A] and E[∇ log π·A_c] of played steps `[...]`."""

    def surrogate(params: Params, advantage: jax.Array) -> jax.Array:
        log_prob = networks.policy(params, batch.observation).log_prob(batch.action)
        return jnp.mean(log_prob * (advantage - jnp.mean(advantage)))

    return multiplier_from_gradients(
        jax.grad(surrogate)(actor, batch.advantage), jax.grad(surrogate)(actor, batch.cost_advantage)
    )


def _advantages_of(hyper: PPOLag, problem: Problem, networks: Networks, state: State, experience: Experience) -> Batch:
    played = experience.played
    return compute_advantages(hyper, problem, networks, state, played.transitions, played.ended)


def train_iteration(
    hyper: PPOLag,
    problem: Problem,
    networks: Networks,
    state: State,
    experience: Experience,
    multiplier: jax.Array,
    key: jax.Array,
    updates: int,
) -> tuple[State, Metrics]:
    """An iteration of updates on minibatches of the episodes just played (`protocol.Online`)."""
    steps = _advantages_of(hyper, problem, networks, state, experience)
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), steps)

    def step(state: State, key: jax.Array) -> tuple[State, Metrics]:
        rows = jax.random.randint(key, (hyper.batch_size,), 0, len(flat.log_prob))
        return update(hyper, problem, networks, state, jax.tree.map(lambda x: x[rows], flat), multiplier, key)

    return jax.lax.scan(step, state, jax.random.split(key, updates))


def policy_gradients(
    hyper: PPOLag, problem: Problem, networks: Networks, state: State, experience: Experience, key: jax.Array
) -> MultiplierAlignment:
    """Those of the advantages of the episodes just played (`protocol.Online`)."""
    del key
    steps = _advantages_of(hyper, problem, networks, state, experience)
    return align_multiplier(networks, state.actor.params, steps)


def policy_change(
    hyper: PPOLag, networks: Networks, before: Params, after: Params, observation: jax.Array
) -> jax.Array:
    """As a share of the way to `divergence_limit` (`protocol.Online`)."""
    return in_trust_region(networks, before, after, observation, hyper.divergence_limit)


def exploring(hyper: PPOLag, networks: Networks) -> Networks:
    """As they are: the policy's own noise explores (`protocol.Online`)."""
    del hyper
    return networks
