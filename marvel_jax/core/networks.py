"""Actor, twin critics and state values: what they are built of, and the functions that the algorithms call.

Twins are a pair of parameter trees rather than one stacked tree: on CPUs a batched matrix product is slower than two,
and on accelerators seeds supply the batch axis.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from marvel_envs.tasks import TaskSpec

import marvel_jax.core.pytrees  # noqa: F401
from marvel_jax.config.hyper import Hyper
from marvel_jax.config.shared import Aggregation, ComputeDtype, static
from marvel_jax.core.distribution import SquashedGaussian
from marvel_jax.core.normalization import LayerNorm

Params = Any
Twins = tuple[Params, ...]  # two; or one of them, where that is asked for

LOG_STD_MAXIMUM = 2.0


def apply(module: nn.Module, params: Params, *inputs: jax.Array, **keywords: Any) -> Any:
    """What `module` computes; Flax's own signature allows for mutable state that no module here has."""
    return module.apply(params, *inputs, **keywords)


class MLP(nn.Module):
    """ReLU hidden layers, with or without layer normalization, and a linear output.

    `compute_dtype` is the number format in which the hidden layers multiply and add their bias. Parameters, and the
    output, whose differences decide, are float32.
    """

    hidden: tuple[int, ...]
    outputs: int
    layer_norm: bool = False
    compute_dtype: ComputeDtype = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Outputs `[..., outputs]` of inputs `[..., features]`."""
        for width in self.hidden:
            x = nn.Dense(width, dtype=self.compute_dtype)(x).astype(jnp.float32)
            x = nn.relu(LayerNorm()(x) if self.layer_norm else x)
        return nn.Dense(self.outputs)(x)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Networks:
    """What actors and critics are built of. Parameters are arguments of its methods, not part of it.

    Attributes:
      observation_size, action_size: Sizes of inputs and actions (static).
      hidden: Widths of the hidden layers of actor and critics (static).
      compute_dtype: Number format of the hidden layers' matrix products (static).
      critic_layer_norm: Layer normalization in the critics (static).
      actor, critic: Flax modules of your own instead (static): an actor maps `[..., observation_size]` to
        `[..., 2·action_size]` means and log standard deviations before the tanh, a critic
        `[..., observation_size + action_size]` to `[..., 1]`.
      log_std_minimum, log_std_maximum: Bounds of the policy's log standard deviation, before the tanh.
    """

    observation_size: int = static(0)
    action_size: int = static(0)
    hidden: tuple[int, ...] = static((64, 64))
    compute_dtype: ComputeDtype = static("float32")
    critic_layer_norm: bool = static(True)
    actor: nn.Module | None = static(None)
    critic: nn.Module | None = static(None)
    log_std_minimum: float | jax.Array = -2.5
    log_std_maximum: float | jax.Array = LOG_STD_MAXIMUM

    def init_actor(self, key: jax.Array) -> Params:
        """Parameters of a policy."""
        return self._actor.init(key, jnp.zeros(self.observation_size))

    def policy(self, params: Params, observation: jax.Array) -> SquashedGaussian:
        """The action distribution at `[..., observation_size]`."""
        mean, log_std = jnp.split(apply(self._actor, params, observation), 2, axis=-1)
        return SquashedGaussian(mean, jnp.clip(log_std, self.log_std_minimum, self.log_std_maximum))

    def init_twins(self, key: jax.Array) -> Twins:
        """Parameters of two independent critics."""
        inputs = jnp.zeros(self.observation_size + self.action_size)
        first, second = jax.random.split(key)
        return self._critic.init(first, inputs), self._critic.init(second, inputs)

    def twin_values(self, twins: Twins, observation: jax.Array, action: jax.Array) -> jax.Array:
        """Values `[2, ...]` of both critics (of all in `twins`) at `[..., observation_size]`, `[..., action_size]`."""
        inputs = jnp.concatenate([observation, action], axis=-1)
        return jnp.stack([apply(self._critic, params, inputs)[..., 0] for params in twins])

    def init_value(self, key: jax.Array) -> Params:
        """Parameters of a state-value function."""
        return self._value.init(key, jnp.zeros(self.observation_size))

    def state_value(self, params: Params, observation: jax.Array) -> jax.Array:
        """Values `[...]` of states `[..., observation_size]`."""
        return apply(self._value, params, observation)[..., 0]

    @property
    def _actor(self) -> nn.Module:
        return self.actor or MLP(self.hidden, 2 * self.action_size, compute_dtype=self.compute_dtype)

    @property
    def _critic(self) -> nn.Module:
        return self.critic or self._value

    @property
    def _value(self) -> nn.Module:
        return MLP(self.hidden, 1, self.critic_layer_norm, self.compute_dtype)


def networks_of(
    spec: TaskSpec, hyper: Hyper, actor: nn.Module | None = None, critic: nn.Module | None = None
) -> Networks:
    """The networks that `hyper` asks for on a task, or modules of one's own (see `Networks`)."""
    return Networks(
        observation_size=spec.observation_size,
        action_size=spec.action_size,
        hidden=tuple(hyper.hidden),
        compute_dtype=hyper.compute_dtype,
        critic_layer_norm=hyper.critic_layer_norm,
        actor=actor,
        critic=critic,
        log_std_minimum=hyper.log_std_minimum,
    )


def aggregate(values: jax.Array, how: Aggregation) -> jax.Array:
    """Twin values `[2, ...]` to one `[...]`: max, mean or min."""
    return {"max": jnp.max, "mean": jnp.mean, "min": jnp.min}[how](values, axis=0)
