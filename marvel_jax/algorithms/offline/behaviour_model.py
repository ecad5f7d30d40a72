"""The VAE of the data's actions that offline algorithms stay close to: made, trained and sampled."""

import jax
import jax.numpy as jnp

from marvel_jax.config.hyper import WithBehaviourModel as Hyper
from marvel_jax.core.networks import VAE, Params, apply
from marvel_jax.core.parameters import Learner, minimize, new_learner
from marvel_jax.core.problem import Problem
from marvel_jax.core.transitions import Transition

LATENT_BOUND = 0.5  # of sampled latents, which keeps samples near the data (Fujimoto et al., ICML 2019)


def _vae(hyper: Hyper, problem: Problem) -> VAE:
    return VAE(hyper.vae_hidden, problem.action_size)


def init(hyper: Hyper, problem: Problem, key: jax.Array) -> Learner:
    """A random model."""
    observation, action = jnp.zeros(problem.observation_size), jnp.zeros(problem.action_size)
    noise = jnp.zeros(2 * problem.action_size)
    return new_learner(_vae(hyper, problem).init(key, observation, action, noise))


def train(hyper: Hyper, problem: Problem, vae: Learner, batch: Transition, key: jax.Array) -> Learner:
    """One step on MSE(reconstruction, a) + β·KL."""
    noise = jax.random.normal(key, (*batch.reward.shape, 2 * problem.action_size))

    def loss(params: Params) -> jax.Array:
        reconstruction, kl = apply(_vae(hyper, problem), params, batch.observation, batch.action, noise)
        return jnp.mean((reconstruction - batch.action) ** 2) + hyper.vae_beta * jnp.mean(kl)

    return minimize(vae, loss, hyper.vae_learning_rate)[0]


def latent(hyper: Hyper, problem: Problem, params: Params, observation: jax.Array, action: jax.Array):
    """Mean and log standard deviation of the latents of actions `[..., action_size]`."""
    return apply(_vae(hyper, problem), params, observation, action, method="encode")


def raw_actions(hyper: Hyper, problem: Problem, params: Params, observation: jax.Array, key: jax.Array) -> jax.Array:
    """Actions `[..., action_size]`, before the tanh, like the data's at `[..., observation_size]`."""
    noise = jax.random.normal(key, (*observation.shape[:-1], 2 * problem.action_size))
    clipped = jnp.clip(noise, -LATENT_BOUND, LATENT_BOUND)
    return apply(_vae(hyper, problem), params, observation, clipped, method="decode")
