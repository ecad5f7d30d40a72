"""`marvel run`."""

from marvel_jax.commands._learning import learn
from marvel_jax.commands._learning_options import OnlineOptions


class Options(OnlineOptions):
    """All stages: pretrain offline, align values and multiplier, finetune online, evaluate, draw figures."""


def run(options: Options) -> int:
    """Does all stages; returns the exit status."""
    return learn(options, "finetune")
