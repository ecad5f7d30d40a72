"""Hyperparameters of the Lagrange multiplier: its controller, and the loop around it."""

from dataclasses import dataclass
from typing import Literal

from marvel_jax.config.shared import static

ControllerName = Literal["fixed", "dual-ascent", "pid", "adaptive-pid"]


@dataclass(frozen=True)
class Gains:
    """The Lagrange multiplier's controller. Its costs are in multiples of the setpoint."""

    initial: float = 0.0
    """λ before the first iteration (multiplier pre-alignment replaces it)."""
    proportional: float = 1.5
    """K_p, per relative excess of cost (1 is as much again as the setpoint)."""
    integral: float = 0.01
    """K_i, per relative excess and iteration; also the step size of dual ascent."""
    derivative: float = 0.0
    """K_d, per relative rise of cost."""
    smoothing: float = 0.8
    """Memory of the moving averages of error and cost."""
    maximum: float = 100.0
    """Upper bound of what the controller asks for."""
    adaptation: float = 0.05
    """How fast adaptive PID changes its gains, per iteration."""
    adaptation_range: float = 5.0
    """Adaptive gains stay within [1/range, range] times their start."""
    window: int = static(10)
    """Iterations k over which the derivative and the adaptation look back (static)."""


@dataclass(frozen=True)
class Control:
    """The loop around the controller: its setpoint, its unit, and the offset above it."""

    margin: float = 0.4
    """How far under the cost limit the setpoint is, at most, as a share of the limit in [0, 1]."""
    overshoot_factor: float = 1.0
    """How far under the cost limit the setpoint is, in multiples of how far J_C lately rose above its mean; the offset
    decays by the same measure. At 0 the setpoint is always `margin` under the limit."""
    largest_excess: float = 1.0
    """Relative excess beyond which a cost counts no more: far over the limit a huge multiplier would make the policy
    forget the reward."""
    ratio_maximum: float = 2.0
    """Upper bound of ρ = ‖g_r‖/‖g_c‖ in multiplier pre-alignment, which is infinite where no action changes the
    cost."""
    offset: float = 0.5
    """How far above the controller's multiplier λ starts, in its unit."""
    offset_decay: float = 2.0
    """An iteration with full headroom takes back 1/iterations of this of the offset, one at the limit or over it
    nothing: a whole budget with full headroom leaves about exp(−offset_decay)."""
