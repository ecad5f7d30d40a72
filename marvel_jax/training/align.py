"""Value pre-alignment (VPA) and multiplier pre-alignment (MPA): what happens between offline and online.

VPA re-evaluates the frozen offline policy under the *online* objective on the offline data, because the offline
critics answer another question. MPA then reads off the critics the multiplier at which reward and cost pull equally.

Sources: VPA: Marvel, arXiv 2412.04426. MPA is this project's.
"""

import jax
import jax.numpy as jnp
from flax import struct

from marvel_jax.config.hyper import Aggregation, Hyper, ValueAlignment
from marvel_jax.core.networks import Params, Twins, aggregate, policy, state_value, twin_values
from marvel_jax.core.parameters import (
    CriticLearner,
    Critics,
    Learner,
    conservative,
    follow,
    minimize,
    new_critic,
    new_learner,
    regression,
)
from marvel_jax.core.problem import Problem
from marvel_jax.core.trajectories import dataset_with_returns
from marvel_jax.core.transitions import Transition, sample


class State(struct.PyTreeNode):
    """Critics under alignment, and everything a bit-exact continuation needs.

    `reward_value` and `cost_value` are None unless the online algorithm wants values of states.
    """

    actor: Params
    reward_critic: CriticLearner
    cost_critic: CriticLearner
    step: jax.Array
    key: jax.Array
    reward_value: Learner | None = None
    cost_value: Learner | None = None

    @property
    def critics(self) -> Critics:
        """What has been aligned."""
        values = (None if v is None else v.params for v in (self.reward_value, self.cost_value))
        return Critics(self.reward_critic.params, self.cost_critic.params, *values)


def init(actor: Params, reward_twins: Twins, cost_twins: Twins, key: jax.Array) -> State:
    """The state that starts from given critics (offline or fresh) of the frozen policy `actor`."""
    return State(actor, new_critic(reward_twins), new_critic(cost_twins), jnp.zeros((), jnp.int32), key)


def with_values(state: State, reward_value: Params, cost_value: Params) -> State:
    """The same, with values of states to be aligned as well."""
    return state.replace(reward_value=new_learner(reward_value), cost_value=new_learner(cost_value))


def update(
    hyper: ValueAlignment, problem: Problem, state: State, batch: Transition, key: jax.Array
) -> tuple[State, dict[str, jax.Array]]:
    """One step of policy evaluation towards the online objective.

    y = r + γ·(Q̄(s', a') − α_V·log π₀(a'|s')), y_c = c + γ·(Q̄_c(s', a') − α_{V,c}·log π₀(a'|s')), a' ~ π₀.
    Values of states, if there are any, follow Q(s, a), a ~ π₀: the data's own actions would say nothing of π₀'s.

    Args:
      hyper: Step sizes and entropy coefficients; its numbers may be traced.
      problem: Sizes, γ and reward scale.
      state: From `init` or `update`.
      batch: `[B]` offline transitions.
      key: For the sampled actions.

    Returns:
      The next state, and scalars `reward_loss`, `cost_loss`.
    """
    next_action, log_prob = policy(problem, state.actor, batch.next_observation).sample(key)
    reward_next, cost_next = (
        twin_values(problem, critic.target, batch.next_observation, next_action)
        for critic in (state.reward_critic, state.cost_critic)
    )
    bootstrap = problem.discount * batch.discount
    reward_target = problem.reward_scale * batch.reward + bootstrap * (
        aggregate(reward_next, hyper.reward_aggregation) - hyper.reward_entropy * log_prob
    )
    cost_target = batch.cost + bootstrap * (
        aggregate(cost_next, hyper.cost_aggregation) - hyper.cost_entropy * log_prob
    )
    # Costs lie in [0, 1] per step, so a cost value beyond [0, 1/(1 − γ)] is an error of extrapolation.
    cost_target = jnp.clip(cost_target, 0.0, 1.0 / (1.0 - problem.discount))
    reward_regression = regression(problem, batch, reward_target)
    if hyper.conservatism > 0:
        own_action, _ = policy(problem, state.actor, batch.observation).sample(jax.random.fold_in(key, 1))
        reward_regression = conservative(problem, batch, own_action, reward_regression, hyper.conservatism)
    reward_critic, reward_loss = minimize(state.reward_critic, reward_regression, hyper.critic_learning_rate)
    cost_critic, cost_loss = minimize(
        state.cost_critic, regression(problem, batch, cost_target), hyper.critic_learning_rate
    )
    next_state = state.replace(
        reward_critic=follow(reward_critic, hyper.target_rate),
        cost_critic=follow(cost_critic, hyper.target_rate),
        step=state.step + 1,
    )
    if state.reward_value is not None:
        next_state = _align_values(hyper, problem, next_state, batch, jax.random.fold_in(key, 0))
    return next_state, {"reward_loss": reward_loss, "cost_loss": cost_loss}


def _align_values(hyper: ValueAlignment, problem: Problem, state: State, batch: Transition, key: jax.Array) -> State:
    """One step of V(s) towards Q(s, a), a ~ π₀, for reward and cost."""
    action, _ = policy(problem, state.actor, batch.observation).sample(key)

    def fit(value: Learner, critic: CriticLearner, how: Aggregation) -> Learner:
        target = aggregate(twin_values(problem, critic.params, batch.observation, action), how)

        def error(params: Params) -> jax.Array:
            return jnp.mean((state_value(problem, params, batch.observation) - target) ** 2)

        return minimize(value, error, hyper.critic_learning_rate)[0]

    assert state.reward_value is not None
    assert state.cost_value is not None
    return state.replace(
        reward_value=fit(state.reward_value, state.reward_critic, hyper.reward_aggregation),
        cost_value=fit(state.cost_value, state.cost_critic, hyper.cost_aggregation),
    )


def advance(
    hyper: Hyper, problem: Problem, dataset: Transition, state: State, steps: int
) -> tuple[State, dict[str, jax.Array]]:
    """`steps` further updates on `dataset` `[N]`; returns the state and each metric's mean over them."""
    if hyper.alignment.conservatism > 0:
        dataset = dataset_with_returns(problem, dataset)

    def one(state: State, _) -> tuple[State, dict[str, jax.Array]]:
        batch_key, update_key = jax.random.split(jax.random.fold_in(state.key, state.step))
        batch = sample(dataset, hyper.alignment.batch_size, batch_key)
        return update(hyper.alignment, problem, state, batch, update_key)

    state, metrics = jax.lax.scan(one, state, None, length=steps)
    return state, jax.tree.map(jnp.mean, metrics)


class MultiplierAlignment(struct.PyTreeNode):
    """What the critics say about the multiplier.

    Attributes:
      multiplier: `[]` λ₀ = max(0, ⟨g_r, g_c⟩/⟨g_c, g_c⟩): there the actor's step leaves the predicted cost unchanged.
      ratio: `[]` ‖g_r‖/‖g_c‖.
      cosine: `[]` of the angle between g_r and g_c.
    """

    multiplier: jax.Array
    ratio: jax.Array
    cosine: jax.Array


def align_multiplier(
    problem: Problem,
    actor: Params,
    reward_twins: Twins,
    cost_twins: Twins,
    observation: jax.Array,
    key: jax.Array,
    cost_aggregation: Aggregation = "max",
) -> MultiplierAlignment:
    """Multiplier pre-alignment on states `[..., observation_size]`, best those that the policy is trained on.

    g_r = ∇_θ E[min Q(s, π_θ(s))] and g_c = ∇_θ E[Q_c(s, π_θ(s))] over the actor's parameters, reparametrized.
    Dividing Q_c by k multiplies λ₀ by k.
    """

    def value(params: Params, twins: Twins, how: Aggregation) -> jax.Array:
        action, _ = policy(problem, params, observation).sample(key)
        return jnp.mean(aggregate(twin_values(problem, twins, observation, action), how))

    reward_gradient = jax.grad(value)(actor, reward_twins, "min")
    cost_gradient = jax.grad(value)(actor, cost_twins, cost_aggregation)
    return multiplier_from_gradients(reward_gradient, cost_gradient)


def multiplier_from_gradients(reward_gradient, cost_gradient) -> MultiplierAlignment:
    """λ₀ from two gradients of the same tree structure."""

    def inner(a, b) -> jax.Array:
        return sum((jnp.vdot(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)), jnp.zeros(()))

    tiny = 1e-12
    cross, cost_square = inner(reward_gradient, cost_gradient), inner(cost_gradient, cost_gradient)
    reward_norm, cost_norm = jnp.sqrt(inner(reward_gradient, reward_gradient)), jnp.sqrt(cost_square)
    return MultiplierAlignment(
        multiplier=jnp.maximum(0.0, cross / (cost_square + tiny)),
        ratio=reward_norm / (cost_norm + tiny),
        cosine=cross / (reward_norm * cost_norm + tiny),
    )
