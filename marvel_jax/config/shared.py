"""What every group of hyperparameters is made of."""

from dataclasses import dataclass, field
from typing import Any, Literal

Aggregation = Literal["max", "mean", "min"]


def static(default: Any) -> Any:
    """A field that is compiled in rather than traced."""
    return field(default=default, metadata={"static": True})


@dataclass(frozen=True)
class OffPolicy:
    """Step sizes of a policy with twin critics."""

    actor_learning_rate: float = 1e-4
    """Adam step size of the policy."""
    critic_learning_rate: float = 1e-3
    """Adam step size of the reward critics."""
    cost_critic_learning_rate: float = 1e-3
    """Adam step size of the cost critics."""
    target_rate: float = 0.005
    """Share of the critics that enters their targets at each update (Polyak τ)."""
    cost_aggregation: Aggregation = static("max")
    """How the twin cost critics are combined (static); max is pessimistic about safety."""
