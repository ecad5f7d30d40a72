"""The methods that can be run, as data: which parts of the recipe each one uses. Importable without JAX."""

import difflib

from marvel_jax.hyper import Method

METHODS: dict[str, Method] = {
    "marvel": Method(),
    "marvel-feed-forward": Method(multiplier_alignment="feed-forward"),
    "marvel-initial": Method(multiplier_alignment="initial"),
    "marvel-offline-critics": Method(critics="offline"),
    "marvel-paper": Method(critics="offline", multiplier_alignment="off", offline_fraction=0.0),
    "warm-start": Method(critics="offline", value_alignment=False, multiplier_alignment="off"),
    "from-scratch": Method(actor="random", value_alignment=False, multiplier_alignment="off", offline_fraction=0.0),
}

SUMMARIES = {
    "marvel": "offline policy, value pre-alignment from fresh critics, adaptive PID in the units of the pre-aligned "
    "multiplier, half of each batch from the offline data",
    "marvel-feed-forward": "marvel, but the pre-aligned multiplier is only added to the controller's",
    "marvel-initial": "marvel, but the pre-aligned multiplier is only the first λ",
    "marvel-offline-critics": "marvel, but value pre-alignment starts from the offline critics",
    "marvel-paper": "the paper's recipe: value pre-alignment from the offline critics, adaptive PID from λ = 0",
    "warm-start": "offline policy and critics, no alignment, half of each batch from the offline data",
    "from-scratch": "no offline stage or data: SAC-Lag from random networks",
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
