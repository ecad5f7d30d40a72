"""The methods that can be run, as data: which parts of the recipe each one uses. Importable without JAX."""

import difflib

from marvel_jax.hyper import Method

METHODS: dict[str, Method] = {
    "marvel": Method(),
    "marvel-paper": Method(multiplier_alignment="off"),
    "marvel-fresh": Method(critics="random"),
    "marvel-feed-forward": Method(critics="random", multiplier_alignment="feed-forward"),
    "warm-start": Method(value_alignment=False, multiplier_alignment="off"),
    "from-scratch": Method(actor="random", critics="random", value_alignment=False, multiplier_alignment="off"),
}

SUMMARIES = {
    "marvel": "offline policy, value and multiplier pre-alignment, adaptive PID",
    "marvel-paper": "the paper's recipe: value pre-alignment, adaptive PID from λ = 0",
    "marvel-fresh": "marvel, but alignment starts from random critics",
    "marvel-feed-forward": "marvel-fresh with the aligned multiplier as a feed-forward term",
    "warm-start": "offline policy and critics, no alignment",
    "from-scratch": "no offline stage: SAC-Lag from random networks",
}


def named(name: str) -> Method:
    """A method by name.

    Raises:
      ValueError: If there is none; the message has the nearest name.
    """
    if name in METHODS:
        return METHODS[name]
    near = difflib.get_close_matches(name, METHODS, n=1, cutoff=0.4)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise ValueError(f"Unknown method {name!r}.{hint} Methods: {', '.join(METHODS)}.")
