"""What every group of hyperparameters is made of."""

from dataclasses import dataclass, field
from typing import Any, Literal

Aggregation = Literal["max", "mean", "min"]
ComputeDtype = Literal["float32", "bfloat16"]


def static(default: Any) -> Any:
    """A field that is compiled in rather than traced."""
    return field(default=default, metadata={"static": True})


@dataclass(frozen=True)
class ActorCritic:
    """Step sizes of a policy with twin critics of reward and of cost."""

    actor_learning_rate: float = 1e-4
    """Adam step size of the policy."""
    critic_learning_rate: float = 1e-3
    """Adam step size of the reward and cost critics."""
    target_rate: float = 0.005
    """Share of the critics that enters their targets at each update (Polyak τ)."""
