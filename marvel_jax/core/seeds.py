"""Mapping a per-seed function over a batch of seeds, the fast way for each kind of hardware.

Accelerators want one large batched program (`vmap`). CPUs do not: batched matrix products of small networks are slower
than the same products one after another, so each device runs its seeds in turn (`lax.map`), and several CPU devices
(`jax_num_cpu_devices`, set by the command line to the number of cores) work side by side.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec


def map_seeds(function: Callable[[Any, Any], Any], block: int | None = None) -> Callable[[Any, Any], Any]:
    """`function(shared, one_seed)` as a function of `shared` and a batch of seeds on axis 0.

    Args:
      function: Pure; its second argument and its result are pytrees without a seed axis.
      block: Seeds per vmapped group; default one on CPU and all of them elsewhere. With 1, a batch computes bit for
        bit what each seed computes alone.

    Returns:
      A function to be jitted; it spreads seeds over local devices when their number divides evenly.
    """
    on_cpu = jax.default_backend() == "cpu"

    def on_one_device(shared: Any, batch: Any) -> Any:
        if block is None and not on_cpu:
            return jax.vmap(function, in_axes=(None, 0))(shared, batch)
        size = None if block in (None, 1) else block
        return jax.lax.map(lambda one: function(shared, one), batch, batch_size=size)

    return _over_devices(on_one_device)


def advance_seeds(function: Callable[[Any, Any, Any], tuple[Any, Any]]) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """As `map_seeds`, for `function(shared, fixed, state) -> (state, result)`: new states take the place of the old.

    With the states' buffers donated, a batch then needs the memory of its states once; `map_seeds` on CPUs needs it
    twice.
    """

    def on_one_device(shared: Any, batch: Any) -> tuple[Any, Any]:
        fixed, states = batch
        if jax.default_backend() != "cpu":
            return jax.vmap(function, in_axes=(None, 0, 0))(shared, fixed, states)

        def one(states: Any, place: Any) -> tuple[Any, Any]:
            index, fixed = place
            state = jax.tree.map(lambda x: x[index], states)
            state, result = function(shared, fixed, state)
            return jax.tree.map(lambda x, new: x.at[index].set(new), states, state), result

        indices = jnp.arange(jax.tree.leaves(states)[0].shape[0])
        return jax.lax.scan(one, states, (indices, fixed))

    mapped = _over_devices(on_one_device)
    return lambda shared, fixed, states: mapped(shared, (fixed, states))


def _over_devices(on_one_device: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Seeds, on axis 0 of the second argument and of the result, spread over as many devices as share them evenly."""

    def mapped(shared: Any, batch: Any) -> Any:
        devices = devices_for(jax.tree.leaves(batch)[0].shape[0])
        if len(devices) == 1:
            return on_one_device(shared, batch)
        mesh = Mesh(devices, ("seeds",))
        seeds = PartitionSpec("seeds")
        return jax.shard_map(
            on_one_device, mesh=mesh, in_specs=(PartitionSpec(), seeds), out_specs=seeds, check_vma=False
        )(shared, batch)

    return mapped


def devices_for(seeds: int) -> list[Any]:
    """The local devices that share `seeds` evenly: as many as possible."""
    devices = jax.local_devices()
    count = max(n for n in range(1, min(len(devices), seeds) + 1) if seeds % n == 0)
    return devices[:count]
