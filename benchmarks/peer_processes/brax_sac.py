"""Brax's SAC on an environment that does nothing: updates/s, with a step of it per 32.

It has no costs: its update has one pair of critics where SAC-Lag has two.
"""

import functools

import nothing
import protocol
from brax.envs.base import Env, State
from brax.training.agents.sac import networks, train


def trained(width: int, batch_size: int) -> tuple[protocol.Pieces, int]:
    made = functools.partial(networks.make_sac_networks, hidden_layer_sizes=(width, width))
    env = nothing.environment(Env, State)
    settings = nothing.settings(batch_size)
    train_on = functools.partial(train.train, env, network_factory=made, **settings)
    return protocol.Pieces(lambda report: train_on(progress_fn=report)), nothing.UPDATES


protocol.serve(nothing.works("SAC", trained))
