"""The behaviour model that offline algorithms stay close to: a conditional VAE of the data's actions."""

from typing import Protocol

import jax
import jax.numpy as jnp
from flax import linen as nn

from marvel_jax.core.networks import MLP, Networks, Params, apply
from marvel_jax.core.parameters import TrainState, minimize, train_state
from marvel_jax.core.transitions import Transition

LATENT_BOUND = 0.5  # of sampled latents, which keeps samples near the data (Fujimoto et al., ICML 2019)
LEARNING_RATE = 1e-3
KL_WEIGHT = 0.5  # β


class VAE(nn.Module):
    """Conditional VAE over actions given observations, with `2·action_size` latents."""

    hidden: int
    action_size: int

    def setup(self) -> None:
        """Encoder and decoder."""
        latent = 2 * self.action_size
        self.encoder = MLP((self.hidden, self.hidden), 2 * latent)
        self.decoder = MLP((self.hidden, self.hidden), self.action_size)

    def encode(self, observation: jax.Array, action: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mean and log standard deviation `[..., 2·action_size]` of an action's latents."""
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


class WithVAE(Protocol):
    """Hyperparameters of an algorithm that has a behaviour model."""

    @property
    def vae_hidden(self) -> int:
        """Width of its layers."""
        ...


def _vae(hyper: WithVAE, networks: Networks) -> VAE:
    return VAE(hyper.vae_hidden, networks.action_size)


def init(hyper: WithVAE, networks: Networks, key: jax.Array) -> TrainState:
    """A random model."""
    observation, action = jnp.zeros(networks.observation_size), jnp.zeros(networks.action_size)
    noise = jnp.zeros(2 * networks.action_size)
    return train_state(_vae(hyper, networks).init(key, observation, action, noise))


def train(hyper: WithVAE, networks: Networks, vae: TrainState, batch: Transition, key: jax.Array) -> TrainState:
    """One step on MSE(reconstruction, a) + β·KL."""
    noise = jax.random.normal(key, (*batch.reward.shape, 2 * networks.action_size))

    def loss(params: Params) -> jax.Array:
        reconstruction, kl = apply(_vae(hyper, networks), params, batch.observation, batch.action, noise)
        return jnp.mean((reconstruction - batch.action) ** 2) + KL_WEIGHT * jnp.mean(kl)

    return minimize(vae, loss, LEARNING_RATE)[0]


def latent(hyper: WithVAE, networks: Networks, params: Params, observation: jax.Array, action: jax.Array):
    """Mean and log standard deviation of the latents of actions `[..., action_size]`."""
    return apply(_vae(hyper, networks), params, observation, action, method="encode")


def raw_actions(
    hyper: WithVAE, networks: Networks, params: Params, observation: jax.Array, key: jax.Array
) -> jax.Array:
    """Actions `[..., action_size]`, before the tanh, like the data's at `[..., observation_size]`."""
    noise = jax.random.normal(key, (*observation.shape[:-1], 2 * networks.action_size))
    clipped = jnp.clip(noise, -LATENT_BOUND, LATENT_BOUND)
    return apply(_vae(hyper, networks), params, observation, clipped, method="decode")
