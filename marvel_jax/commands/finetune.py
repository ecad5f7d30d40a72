"""`marvel finetune`."""

from marvel_jax.commands._learning import learn
from marvel_jax.commands._learning_options import OnlineOptions


class Options(OnlineOptions):
    """The online stage under the cost limit (use --from a pretrained or aligned run), with evaluation and figures."""


def run(options: Options) -> int:
    """Does all stages; returns the exit status."""
    return learn(options, "finetune")
