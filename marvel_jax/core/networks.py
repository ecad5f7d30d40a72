"""Actor, twin critics and behaviour VAE: Flax modules and the functions the algorithms call.

Twins are a pair of parameter trees rather than one stacked tree: on CPUs a batched matrix product is slower than two,
and on accelerators seeds supply the batch axis.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct

from marvel_jax.config.hyper import Aggregation, Format
from marvel_jax.core.normalization import LayerNorm
from marvel_jax.core.problem import Problem

Params = Any
Twins = tuple[Params, ...]  # two; or one of them, where that is asked for


def apply(module: nn.Module, params: Params, *inputs: jax.Array, **keywords: Any) -> Any:
    """What `module` computes; Flax's own signature allows for mutable state that no module here has."""
    return module.apply(params, *inputs, **keywords)


class MLP(nn.Module):
    """ReLU hidden layers, with or without layer normalization, and a linear output.

    `products` is the number format in which the hidden layers multiply and add their bias. Parameters, and the output,
    whose differences decide, are float32.
    """

    hidden: tuple[int, ...]
    outputs: int
    layer_norm: bool = False
    products: Format = "float32"

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for width in self.hidden:
            x = nn.Dense(width, dtype=self.products)(x).astype(jnp.float32)
            x = nn.relu(LayerNorm()(x) if self.layer_norm else x)
        return nn.Dense(self.outputs)(x)


class SquashedGaussian(struct.PyTreeNode):
    """tanh of a diagonal Gaussian. `mean` and `log_std`: `[..., action_size]`, before the tanh."""

    mean: jax.Array
    log_std: jax.Array

    def mode(self) -> jax.Array:
        """`[..., action_size]` tanh of the mean: the policy that is deployed."""
        return jnp.tanh(self.mean)

    def sample(self, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """A reparametrized action `[..., action_size]` and its log-density `[...]`."""
        noise = jax.random.normal(key, self.mean.shape)
        return self._squash(noise)

    def raw(self, key: jax.Array) -> jax.Array:
        """A reparametrized action `[..., action_size]` before the tanh."""
        return self.mean + jnp.exp(self.log_std) * jax.random.normal(key, self.mean.shape)

    def divergence(self, other: "SquashedGaussian") -> jax.Array:
        """KL `[...]` from this distribution to another (the tanh leaves it as it is)."""
        ratio = jnp.exp(2 * (self.log_std - other.log_std))
        distance = (self.mean - other.mean) ** 2 * jnp.exp(-2 * other.log_std)
        return jnp.sum(0.5 * (ratio + distance - 1) + other.log_std - self.log_std, axis=-1)

    def _squash(self, noise: jax.Array) -> tuple[jax.Array, jax.Array]:
        raw = self.mean + jnp.exp(self.log_std) * noise
        gaussian = -0.5 * noise**2 - self.log_std - 0.5 * jnp.log(2 * jnp.pi)
        # log(1 − tanh²u) = 2·(log 2 − u − softplus(−2u)), finite for every u.
        correction = 2 * (jnp.log(2.0) - raw - jax.nn.softplus(-2 * raw))
        return jnp.tanh(raw), jnp.sum(gaussian - correction, axis=-1)

    def log_prob(self, action: jax.Array) -> jax.Array:
        """Log-density `[...]` of actions; those at ±1 are taken just inside."""
        raw = jnp.arctanh(jnp.clip(action, -1 + 1e-6, 1 - 1e-6))
        return self._squash((raw - self.mean) * jnp.exp(-self.log_std))[1]


def _actor(problem: Problem) -> nn.Module:
    return problem.actor or MLP(problem.hidden, 2 * problem.action_size, products=problem.products)


def init_actor(problem: Problem, key: jax.Array) -> Params:
    """Parameters of a policy."""
    return _actor(problem).init(key, jnp.zeros(problem.observation_size))


def policy(problem: Problem, params: Params, observation: jax.Array) -> SquashedGaussian:
    """The action distribution at `[..., observation_size]`."""
    mean, log_std = jnp.split(apply(_actor(problem), params, observation), 2, axis=-1)
    return SquashedGaussian(mean, jnp.clip(log_std, problem.log_std_minimum, problem.log_std_maximum))


def _critic(problem: Problem) -> nn.Module:
    return problem.critic or _value(problem)


def init_twins(problem: Problem, key: jax.Array) -> Twins:
    """Parameters of two independent critics."""
    inputs = jnp.zeros(problem.observation_size + problem.action_size)
    first, second = jax.random.split(key)
    return _critic(problem).init(first, inputs), _critic(problem).init(second, inputs)


def twin_values(problem: Problem, twins: Twins, observation: jax.Array, action: jax.Array) -> jax.Array:
    """Values `[2, ...]` of both critics (of all in `twins`) at `[..., observation_size]`, `[..., action_size]`."""
    inputs = jnp.concatenate([observation, action], axis=-1)
    return jnp.stack([apply(_critic(problem), params, inputs)[..., 0] for params in twins])


def init_value(problem: Problem, key: jax.Array) -> Params:
    """Parameters of a state-value function."""
    return _value(problem).init(key, jnp.zeros(problem.observation_size))


def state_value(problem: Problem, params: Params, observation: jax.Array) -> jax.Array:
    """Values `[...]` of states `[..., observation_size]`."""
    return apply(_value(problem), params, observation)[..., 0]


def _value(problem: Problem) -> nn.Module:
    return MLP(problem.hidden, 1, problem.critic_layer_norm, problem.products)


def aggregate(values: jax.Array, how: Aggregation) -> jax.Array:
    """Twin values `[2, ...]` to one `[...]`: max, mean or min."""
    return {"max": jnp.max, "mean": jnp.mean, "min": jnp.min}[how](values, axis=0)


class VAE(nn.Module):
    """Conditional VAE over actions given observations: the behaviour model of offline algorithms."""

    hidden: int
    action_size: int

    def setup(self) -> None:
        latent = 2 * self.action_size
        self.encoder = MLP((self.hidden, self.hidden), 2 * latent)
        self.decoder = MLP((self.hidden, self.hidden), self.action_size)

    def encode(self, observation: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array]:
        mean, log_std = jnp.split(self.encoder(jnp.concatenate([observation, action], axis=-1)), 2, axis=-1)
        return mean, jnp.clip(log_std, -4.0, 15.0)

    def __call__(self, observation: jax.Array, action: jax.Array, noise: jax.Array):
        """Reconstruction `[..., action_size]` and KL to the prior `[...]`, averaged over latents."""
        mean, log_std = self.encode(observation, action)
        latent = mean + jnp.exp(log_std) * noise
        return jnp.tanh(self.decode(observation, latent)), kl_to_prior(mean, log_std)

    def decode(self, observation: jax.Array, latent: jax.Array) -> jax.Array:
        """Actions `[..., action_size]`, before the tanh, of latents `[..., 2·action_size]`."""
        return self.decoder(jnp.concatenate([observation, latent], axis=-1))


def kl_to_prior(mean: jax.Array, log_std: jax.Array) -> jax.Array:
    """KL of a diagonal Gaussian to the standard one, averaged over the last axis."""
    return jnp.mean(0.5 * (mean**2 + jnp.exp(2 * log_std) - 1) - log_std, axis=-1)
