"""This project's SAC-Lag update: one run alone, and one per core, with the networks of the PyTorch peer."""

import os

import jax
import protocol
import throughput

from marvel_jax.datasets.dataset import load_shipped
from marvel_jax.networks import MLP
from marvel_jax.seeds import map_seeds

jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
data = jax.tree.map(jax.numpy.asarray, load_shipped("BallCircle").transitions)
WORKS = {}
for width, batch, steps in ((256, 64, 100), (256, 256, 60), (64, 64, 500), (64, 256, 300)):
    for label, critic in (("", MLP((width, width), 1)), (", layer norm", None)):
        init, updates, _ = throughput.learners((width, width), batch, critic)["SAC-Lag"]
        for seeds in (1, jax.local_device_count()):
            states = jax.vmap(init)(jax.random.split(jax.random.key(0), seeds))
            run = jax.jit(map_seeds(lambda d, s, u=updates, n=steps: u(s, jax.random.key(1), n, d)))
            name = f"SAC-Lag/hidden {width}/batch {batch}/{seeds} seeds{label}"
            WORKS[name] = ((lambda r=run, s=states: jax.block_until_ready(r(data, s))), seeds * steps)
protocol.serve(WORKS)
