"""Names that saved files may still have, and what they are called now. Nothing else knows of them."""

from typing import Any

# Hyperparameters by dotted path.
HYPER = {
    "products": "compute_dtype",
    "cloning.actor_learning_rate": "bc.actor_learning_rate",
    "gains.margin": "control.margin",
    "gains.excursions": "control.overshoot_factor",
    "gains.largest_excess": "control.largest_excess",
    "gains.scale_maximum": "control.ratio_maximum",
    "gains.caution": "control.offset",
    "gains.release": "control.offset_decay",
    "online.actor_warmup": "step_size.warmup",
    "online.policy_change": "step_size.policy_change",
    "online.settling": "step_size.decay",
    "online.recovery": "step_size.largest_boost",
    "online.replay_observations": "replay.observation_dtype",
    "online.offline_fading": "replay.offline_decay",
}
METHODS = {
    "marvel-no-settling": "marvel-no-decay",
    "marvel-no-caution": "marvel-no-offset",
    "marvel-no-fading": "marvel-no-offline-decay",
}
# Hyperparameters that there were, by the ends of their paths, with the one value that still means the same.
_REMOVED: dict[str, Any] = {
    "cost_critic_learning_rate": 1e-3,
    "cost_aggregation": ("max", "mean"),
    "vae_learning_rate": 1e-3,
    "vae_beta": 0.5,
    "cpq.ood_actions": 10,
    "cpq.ood_quantile": 0.99,
    "cpq.ood_weight_rate": 1e-4,
    "cpq.ood_weight_max": 1.0,
    "ensemble_weight": 0.75,
    "multiplier_proportional": 0.1,
    "multiplier_integral": 0.003,
    "multiplier_derivative": 0.001,
    "perturbation_learning_rate": 1e-3,
    "bound_actor_step": True,
    "td3.conservatism": 0.0,
    "desaturate": False,
    "saturation_penalty": 1.0,
    "temperature_learning_rate": 1e-4,
    "gains.saturate": False,
    "online.alignment_smoothing": 0.9,
    "online.mean_action_episodes": 0,
}


def current(values: dict[str, Any]) -> dict[str, Any]:
    """Hyperparameters by dotted path under the names that they have now.

    Raises:
      ValueError: If one that no longer exists has a value that cannot be had any more.
    """
    found = {}
    for path, value in values.items():
        name = next((name for name in _REMOVED if path == name or path.endswith("." + name)), None)
        if name is None:
            found[HYPER.get(path, path)] = value
            continue
        same = _REMOVED[name]
        if value not in (same if isinstance(same, tuple) else (same,)):
            raise ValueError(f"{path} = {value} is not supported any more")
    return found
