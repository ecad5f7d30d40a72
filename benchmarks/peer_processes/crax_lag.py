"""CRAX, of which a checkout is on the path: SAC-Lag's updates, PPO-Lag's training, and steps of its Swimmer."""

import functools

import jax
import nothing
import protocol
import swimmer
from crax import envs
from crax.envs.base import Env, State
from crax.training.agents.ppo_lag import networks as ppo_networks
from crax.training.agents.ppo_lag.train import train as train_ppo_lag
from crax.training.agents.sac_lag import networks as sac_networks
from crax.training.agents.sac_lag.train import train as train_sac_lag

UNROLL = 10
MINIBATCHES = swimmer.STEPS // swimmer.BATCH


def evaluated(report):
    """Progress is reported twice per epoch, before its evaluation and after it."""
    return lambda _, metrics: report() if any(name.startswith("eval/") for name in metrics) else None


def sac(width: int, batch_size: int) -> tuple[protocol.Pieces, int]:
    made = functools.partial(sac_networks.make_sac_lag_networks, hidden_layer_sizes=(width, width))
    env, settings = nothing.environment(Env, State), nothing.settings(batch_size)

    def train(report) -> None:
        train_sac_lag(env, network_factory=made, progress_fn=evaluated(report), **settings)

    return protocol.Pieces(train), nothing.UPDATES


def ppo() -> tuple[protocol.Pieces, int]:
    kinds = ("policy", "value", "cost_value")
    layers = {f"{kind}_hidden_layer_sizes": swimmer.HIDDEN for kind in kinds}

    def train(report) -> None:
        train_ppo_lag(
            envs.get_environment("safe_velocity_swimmer", level=1),
            num_timesteps=swimmer.EPOCHS * swimmer.STEPS,
            episode_length=swimmer.LENGTH,
            num_envs=swimmer.EPISODES,
            unroll_length=UNROLL,
            batch_size=swimmer.BATCH // UNROLL,
            num_minibatches=MINIBATCHES,
            num_updates_per_batch=swimmer.PASSES,
            network_factory=functools.partial(ppo_networks.make_ppo_networks, **layers),
            safety_bound=swimmer.COST_LIMIT,
            num_evals=swimmer.EPOCHS + 1,
            num_eval_envs=1,
            eval_env=nothing.environment(Env, State),  # of Swimmer's sizes, too: evaluations are not to count
            log_training_metrics=False,
            max_devices_per_host=1,
            progress_fn=evaluated(report),
        )

    return protocol.Pieces(train), swimmer.STEPS


def stepping():
    env = envs.get_environment("safe_velocity_swimmer", level=1)
    reset, step = jax.vmap(env.reset), jax.vmap(env.step)

    @jax.jit
    def run(state, key):
        def one(state, key):
            return step(state, jax.random.uniform(key, (1024, env.action_size), minval=-1.0)), None

        return jax.lax.scan(one, state, jax.random.split(key, 20))[0]

    state = jax.jit(reset)(jax.random.split(jax.random.key(0), 1024))
    return (lambda: jax.block_until_ready(run(state, jax.random.key(1)))), 20 * 1024


protocol.serve({**nothing.works("SAC-Lag", sac), swimmer.TRAINING: ppo, swimmer.STEPPING: stepping})
