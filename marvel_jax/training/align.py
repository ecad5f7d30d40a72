"""Value pre-alignment (VPA): the frozen offline policy re-evaluated under the online objective on the offline data.

The offline critics answer another question than the online objective asks.

Source: Marvel, arXiv 2412.04426.
"""

import jax
import jax.numpy as jnp
from flax import struct

from marvel_jax.config.hyper import Hyper
from marvel_jax.config.shared import Aggregation
from marvel_jax.config.training import ValueAlignment
from marvel_jax.core.networks import Networks, Params, Twins, aggregate
from marvel_jax.core.parameters import (
    Critics,
    CriticTrainState,
    TrainState,
    conservative,
    critic_train_state,
    minimize,
    regression,
    train_state,
    update_targets,
)
from marvel_jax.core.problem import Problem
from marvel_jax.core.trajectories import dataset_with_returns
from marvel_jax.core.transitions import Transition, sample

COST_AGGREGATION: Aggregation = "mean"  # of the twin cost critics in targets; their max can diverge


class State(struct.PyTreeNode):
    """Critics under alignment, and everything a bit-exact continuation needs.

    `reward_value` and `cost_value` are None unless the online algorithm wants values of states.
    """

    actor: Params
    reward_critic: CriticTrainState
    cost_critic: CriticTrainState
    step: jax.Array
    key: jax.Array
    reward_value: TrainState | None = None
    cost_value: TrainState | None = None

    @property
    def critics(self) -> Critics:
        """What has been aligned."""
        values = (None if v is None else v.params for v in (self.reward_value, self.cost_value))
        return Critics(self.reward_critic.params, self.cost_critic.params, *values)


def init(actor: Params, reward_twins: Twins, cost_twins: Twins, key: jax.Array) -> State:
    """The state that starts from given critics (offline or fresh) of the frozen policy `actor`."""
    return State(actor, critic_train_state(reward_twins), critic_train_state(cost_twins), jnp.zeros((), jnp.int32), key)


def with_values(state: State, reward_value: Params, cost_value: Params) -> State:
    """The same, with values of states to be aligned as well."""
    return state.replace(reward_value=train_state(reward_value), cost_value=train_state(cost_value))


def update(
    hyper: ValueAlignment, problem: Problem, networks: Networks, state: State, batch: Transition, key: jax.Array
) -> tuple[State, dict[str, jax.Array]]:
    """One step of policy evaluation towards the online objective.

    y   = r + γ·(Q̄(s', a') − α_V·log π₀(a'|s')),
    y_c = clip(c + γ·(Q̄_c(s', a') − α_{V,c}·log π₀(a'|s')), 0, 1/(1 − γ)),   a' ~ π₀,

    Q̄ the twins' mean (or what `reward_aggregation` says) and Q̄_c their mean. Costs lie in [0, 1] per step, so that a
    cost value beyond [0, 1/(1 − γ)] is an error of extrapolation. Values of states, if there are any, are fitted to
    Q(s, a), a ~ π₀: the data's own actions would say nothing of π₀'s.

    Args:
      hyper: Step sizes and entropy coefficients; its numbers may be traced.
      problem: γ and reward scale.
      networks: What the parameters are of.
      state: From `init` or `update`.
      batch: `[B]` offline transitions.
      key: For the sampled actions.

    Returns:
      The next state, and scalars `reward_loss`, `cost_loss`.
    """
    next_action, log_prob = networks.policy(state.actor, batch.next_observation).sample(key)
    reward_next, cost_next = (
        networks.twin_values(critic.target, batch.next_observation, next_action)
        for critic in (state.reward_critic, state.cost_critic)
    )
    bootstrap = problem.discount * batch.discount
    reward_target = problem.reward_scale * batch.reward + bootstrap * (
        aggregate(reward_next, hyper.reward_aggregation) - hyper.reward_entropy * log_prob
    )
    cost_target = batch.cost + bootstrap * (aggregate(cost_next, COST_AGGREGATION) - hyper.cost_entropy * log_prob)
    cost_target = jnp.clip(cost_target, 0.0, 1.0 / (1.0 - problem.discount))
    reward_regression = regression(networks, batch, reward_target)
    if hyper.conservatism > 0:
        own_action, _ = networks.policy(state.actor, batch.observation).sample(jax.random.fold_in(key, 1))
        reward_regression = conservative(networks, batch, own_action, reward_regression, hyper.conservatism)
    reward_critic, reward_loss = minimize(state.reward_critic, reward_regression, hyper.critic_learning_rate)
    cost_critic, cost_loss = minimize(
        state.cost_critic, regression(networks, batch, cost_target), hyper.critic_learning_rate
    )
    next_state = state.replace(
        reward_critic=update_targets(reward_critic, hyper.target_rate),
        cost_critic=update_targets(cost_critic, hyper.target_rate),
        step=state.step + 1,
    )
    if state.reward_value is not None:
        next_state = _align_values(hyper, networks, next_state, batch, jax.random.fold_in(key, 0))
    return next_state, {"reward_loss": reward_loss, "cost_loss": cost_loss}


def _align_values(hyper: ValueAlignment, networks: Networks, state: State, batch: Transition, key: jax.Array) -> State:
    """One step of V(s) towards Q(s, a), a ~ π₀, for reward and cost."""
    action, _ = networks.policy(state.actor, batch.observation).sample(key)

    def fit(value: TrainState, critic: CriticTrainState, how: Aggregation) -> TrainState:
        target = aggregate(networks.twin_values(critic.params, batch.observation, action), how)

        def error(params: Params) -> jax.Array:
            return jnp.mean((networks.state_value(params, batch.observation) - target) ** 2)

        return minimize(value, error, hyper.critic_learning_rate)[0]

    assert state.reward_value is not None
    assert state.cost_value is not None
    return state.replace(
        reward_value=fit(state.reward_value, state.reward_critic, hyper.reward_aggregation),
        cost_value=fit(state.cost_value, state.cost_critic, COST_AGGREGATION),
    )


def advance(
    hyper: Hyper, problem: Problem, networks: Networks, dataset: Transition, state: State, steps: int
) -> tuple[State, dict[str, jax.Array]]:
    """`steps` further updates on `dataset` `[N]`; returns the state and each metric's mean over them."""
    if hyper.alignment.conservatism > 0:
        dataset = dataset_with_returns(problem, dataset)

    def one(state: State, _) -> tuple[State, dict[str, jax.Array]]:
        batch_key, update_key = jax.random.split(jax.random.fold_in(state.key, state.step))
        batch = sample(dataset, hyper.alignment.batch_size, batch_key)
        return update(hyper.alignment, problem, networks, state, batch, update_key)

    state, metrics = jax.lax.scan(one, state, None, length=steps)
    return state, jax.tree.map(jnp.mean, metrics)
