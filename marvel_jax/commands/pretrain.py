"""`marvel pretrain`."""

from marvel_jax.commands._learning import learn
from marvel_jax.commands._learning_options import LearningOptions


class Options(LearningOptions):
    """The offline stage alone: a policy and critics from a fixed dataset, by --algorithm."""


def run(options: Options) -> int:
    """Does the offline stage; returns the exit status."""
    return learn(options, "pretrain")
