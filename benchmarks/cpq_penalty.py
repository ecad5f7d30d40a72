"""Does CPQ need the paper's (linear) out-of-distribution penalty, and the term that leads back below the limit?

    uv run python benchmarks/cpq_penalty.py

Trains four offline policies per form on BallCircle's shipped dataset and evaluates them; the spread over seeds at a
short budget tells a collapse from learning, not a fine ranking.
"""

import os
import time
from typing import Any

import common
import jax
import jax.numpy as jnp
import marvel_envs
import numpy as np

from marvel_jax.config.hyper import Hyper, override
from marvel_jax.core.networks import networks_of
from marvel_jax.core.problem import problem_of
from marvel_jax.core.seeds import map_seeds
from marvel_jax.datasets.hdf5 import load_shipped
from marvel_jax.training import pretrain, stages
from marvel_jax.training.evaluate import evaluate

SEEDS, UPDATES = 4, 4_000
# The question is CPQ's own, so the critics and policy are as they are elsewhere.
COMMON_NETWORKS: dict[str, Any] = {"critic_layer_norm": False, "log_std_minimum": -20.0}
FORMS: dict[str, dict[str, Any]] = {
    "none": {},
    "linear": {"cpq.ood_penalty": "linear", "cpq.vae_hidden": 64},
    "none, no recovery": {"cpq.recovery_weight": 0.0},
}


def main() -> None:
    jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
    env = marvel_envs.make("BallCircle")
    data = jax.tree.map(jnp.asarray, load_shipped("BallCircle").transitions)
    keys = jax.vmap(jax.random.key)(jnp.arange(SEEDS))
    result = {}
    for form, changes in FORMS.items():
        hyper = override(Hyper(), **COMMON_NETWORKS, **changes)

        def train(data, key, hyper=hyper):
            problem, networks = problem_of(env.spec, hyper), networks_of(env.spec, hyper)
            state = pretrain.init(hyper, problem, networks, stages.stage_keys(key).pretrain)
            state, metrics = pretrain.advance(hyper, problem, networks, data, state, UPDATES)
            return evaluate(env, problem, networks, state.acting, key, 20), metrics["safe_share"]

        clock = time.perf_counter()
        found, safe_share = jax.block_until_ready(jax.jit(map_seeds(train))(data, keys))
        result[form] = {
            "reward": np.mean(found.reward, axis=1).tolist(),
            "cost": np.mean(found.cost, axis=1).tolist(),
            "share_of_data_states_that_look_safe": np.asarray(safe_share).tolist(),
            "seconds": time.perf_counter() - clock,
        }
        print(form, result[form], flush=True)
        common.write("cpq-penalty", "python benchmarks/cpq_penalty.py", {"updates": UPDATES, "forms": result})


if __name__ == "__main__":
    main()
