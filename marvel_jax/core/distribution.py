"""The policy's distribution: a Gaussian squashed by tanh."""

import jax
import jax.numpy as jnp
from flax import struct


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
