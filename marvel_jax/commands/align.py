"""`marvel align`."""

from marvel_jax.commands._learning import learn
from marvel_jax.commands._learning_options import LearningOptions


class Options(LearningOptions):
    """Up to value pre-alignment: critics re-fitted to the online objective (use --from a pretrained run)."""


def run(options: Options) -> int:
    """Does the stages up to value pre-alignment; returns the exit status."""
    return learn(options, "align")
