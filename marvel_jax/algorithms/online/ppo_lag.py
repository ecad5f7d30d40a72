"""PPO-Lag: clipped policy gradients on the latest episodes, with a multiplier on the cost's advantages.

Source: Schulman et al., 2017; the Lagrangian as in Ray, Achiam, Amodei, 2019. Advantages are in the units of scaled
reward and of cost, and only their sum A − λ·A_c is standardized, so that λ means what it does for critics.
"""

import jax
import jax.numpy as jnp
from flax import struct

from marvel_jax.config.hyper import PPOLag
from marvel_jax.core.networks import Params, init_actor, init_value, policy, state_value
from marvel_jax.core.parameters import Learner, minimize, new_learner
from marvel_jax.core.problem import Problem
from marvel_jax.core.transitions import Transition
from marvel_jax.training.align import MultiplierAlignment, multiplier_from_gradients


class State(struct.PyTreeNode):
    """All that PPO-Lag learns: the policy, and state values of scaled reward and of cost."""

    actor: Learner
    reward_value: Learner
    cost_value: Learner


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


def init(hyper: PPOLag, problem: Problem, key: jax.Array) -> State:
    """Random networks."""
    del hyper
    actor, reward, cost = jax.random.split(key, 3)
    return start(new_learner(init_actor(problem, actor)), init_value(problem, reward), init_value(problem, cost))


def start(actor: Learner, reward_value: Params, cost_value: Params) -> State:
    """The state that carries over a policy with its optimizer, and value functions whose optimizers start fresh."""
    return State(actor, new_learner(reward_value), new_learner(cost_value))


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


def judge(hyper: PPOLag, problem: Problem, state: State, steps: Transition, ended: jax.Array) -> Batch:
    """Advantages and targets of the steps `[T, E]` that the state's policy played; `ended` `[T, E]`."""
    found = {}
    ended = ended.at[-1].set(1.0)
    signals = {"reward": problem.reward_scale * steps.reward, "cost": steps.cost}
    for name, params in (("reward", state.reward_value.params), ("cost", state.cost_value.params)):
        value, following = (state_value(problem, params, o) for o in (steps.observation, steps.next_observation))
        found[name] = advantages(problem.discount, hyper.gae, signals[name], value, following, steps.discount, ended)
        found[f"{name} target"] = found[name] + value
    log_prob = policy(problem, state.actor.params, steps.observation).log_prob(steps.action)
    return Batch(
        *(steps.observation, steps.action, log_prob),
        *(found["reward"], found["cost"], found["reward target"], found["cost target"]),
    )


def update(
    hyper: PPOLag, problem: Problem, state: State, batch: Batch, multiplier: jax.Array, key: jax.Array
) -> tuple[State, dict[str, jax.Array]]:
    """One gradient step of policy and value functions.

    Policy: maximise E[min(ρ·A, clip(ρ, 1 ± ε)·A)] with ρ = π/π_old and A = A_r − λ·A_c, standardized in the batch.

    Args:
      hyper, problem, multiplier: As in `sac_lag.update`.
      state: From `init`, `start` or `update`.
      batch: `[B]` from `judge`.
      key: Not used; nothing is sampled.

    Returns:
      The next state, and scalars: `reward_loss`, `cost_loss`, `actor_loss`, `divergence`.
    """
    del key
    combined = batch.advantage - multiplier * batch.cost_advantage
    combined = (combined - jnp.mean(combined)) / (jnp.std(combined) + 1e-6)

    def loss(params: Params) -> tuple[jax.Array, jax.Array]:
        log_ratio = policy(problem, params, batch.observation).log_prob(batch.action) - batch.log_prob
        ratio = jnp.exp(log_ratio)
        clipped = jnp.clip(ratio, 1 - hyper.clip, 1 + hyper.clip)
        # An estimate of the KL that is never negative: E[ρ − 1 − log ρ].
        return -jnp.mean(jnp.minimum(ratio * combined, clipped * combined)), jnp.mean(ratio - 1 - log_ratio)

    moved, (actor_loss, divergence) = minimize(state.actor, loss, hyper.actor_learning_rate, has_aux=True)
    near = divergence <= hyper.divergence_limit
    actor = jax.tree.map(lambda new, old: jnp.where(near, new, old), moved, state.actor)

    def fit(value: Learner, target: jax.Array) -> tuple[Learner, jax.Array]:
        def error(params: Params) -> jax.Array:
            return jnp.mean((state_value(problem, params, batch.observation) - target) ** 2)

        return minimize(value, error, hyper.critic_learning_rate)

    reward_value, reward_loss = fit(state.reward_value, batch.target)
    cost_value, cost_loss = fit(state.cost_value, batch.cost_target)
    return State(actor, reward_value, cost_value), {
        "reward_loss": reward_loss,
        "cost_loss": cost_loss,
        "actor_loss": actor_loss,
        "divergence": divergence,
    }


def align_multiplier(problem: Problem, actor: Params, batch: Batch) -> MultiplierAlignment:
    """Multiplier pre-alignment from the policy gradients E[∇ log π·A] and E[∇ log π·A_c] of played steps `[...]`."""

    def surrogate(params: Params, advantage: jax.Array) -> jax.Array:
        log_prob = policy(problem, params, batch.observation).log_prob(batch.action)
        return jnp.mean(log_prob * (advantage - jnp.mean(advantage)))

    return multiplier_from_gradients(
        jax.grad(surrogate)(actor, batch.advantage), jax.grad(surrogate)(actor, batch.cost_advantage)
    )
