"""Brax's SAC on an environment that does nothing: updates/s, with a step of it per 32.

It has no costs: its update has one pair of critics where SAC-Lag has two.
"""

import functools

import nothing
import protocol
from brax.envs.base import Env, State
from brax.training.agents.sac import networks, train


def trained(width: int, batch_size: int) -> protocol.Pieces:
    made = functools.partial(networks.make_sac_networks, hidden_layer_sizes=(width, width))
    env = nothing.environment(Env, State)
    settings = nothing.settings(batch_size)
    return protocol.Pieces(lambda report: train.train(env, network_factory=made, progress_fn=report, **settings))


sizes = ((256, 64), (256, 256), (64, 64), (64, 256))
protocol.serve({f"SAC/hidden {width}/batch {n}": (trained(width, n), nothing.UPDATES) for width, n in sizes})
