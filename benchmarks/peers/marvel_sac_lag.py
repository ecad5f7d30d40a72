"""This project's SAC-Lag update: one run alone, and one per core, with the networks of the PyTorch peer."""

import os

import jax
import protocol
from updates import learners, of_seeds

from marvel_jax.datasets.dataset import load_shipped
from marvel_jax.networks import MLP

jax.config.update("jax_num_cpu_devices", os.cpu_count() or 1)
data = jax.tree.map(jax.numpy.asarray, load_shipped("BallCircle").transitions)
WORKS = {}
for width, batch, steps in ((256, 64, 100), (256, 256, 60), (64, 64, 500), (64, 256, 300)):
    init, many, _ = learners((width, width), batch, critic=MLP((width, width), 1))["SAC-Lag"]
    for seeds in (1, jax.local_device_count()):
        work, count = of_seeds(init, many, seeds, steps, data)
        name = f"SAC-Lag/hidden {width}/batch {batch}/{seeds} seeds"
        WORKS[name] = ((lambda run=work: jax.block_until_ready(run())), count)
protocol.serve(WORKS)
