"""The algorithms by name.

A new one is a module with the functions of `protocol.Offline` or `protocol.Online`, a section of hyperparameters with
a row of traits in `config.offline` or `config.online`, and a line here.
"""

from marvel_jax.algorithms.offline import bc, bc_safe, bcq_lag, bear_lag, coptidice, cpq
from marvel_jax.algorithms.online import ppo_lag, sac_lag, td3_lag
from marvel_jax.algorithms.protocol import Offline, Online
from marvel_jax.config import offline, online
from marvel_jax.config.hyper import Hyper, online_section
from marvel_jax.config.offline import OfflineTraits
from marvel_jax.config.online import OnlineTraits
from marvel_jax.core.networks import Networks

OFFLINE: dict[str, Offline] = {
    "cpq": cpq,
    "bear-lag": bear_lag,
    "bcq-lag": bcq_lag,
    "coptidice": coptidice,
    "bc": bc,
    "bc-safe": bc_safe,
}
ONLINE: dict[str, Online] = {"sac-lag": sac_lag, "td3-lag": td3_lag, "ppo-lag": ppo_lag}


def register_offline(name: str, algorithm: Offline, traits: OfflineTraits) -> None:
    """Makes an offline algorithm of yours known by a name.

    Args:
      name: For `Hyper.algorithm`.
      algorithm: A module or an object with the functions of `protocol.Offline`.
      traits: Which section of `Hyper` it reads, and whether it has critics.

    Raises:
      ValueError: If the name is taken.
    """
    if name in OFFLINE:
        raise ValueError(f"There is an offline algorithm {name} already.")
    OFFLINE[name], offline.OFFLINE[name] = algorithm, traits


def register_online(name: str, algorithm: Online, traits: OnlineTraits) -> None:
    """Makes an online algorithm of yours known by a name; arguments and errors as of `register_offline`."""
    if name in ONLINE:
        raise ValueError(f"There is an online algorithm {name} already.")
    ONLINE[name], online.ONLINE[name] = algorithm, traits


def exploring_networks(hyper: Hyper, networks: Networks) -> Networks:
    """The networks as the online stage has them: the policy explores as the online algorithm does."""
    return ONLINE[hyper.online_algorithm].exploring(online_section(hyper), networks)
