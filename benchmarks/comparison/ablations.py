"""Methods that leave out or exchange one part of another: registered where they are compared, not shipped.

A sweep knows them by `env_module = ".../ablations.py"` in its file, a command by `--env-module`.
"""

from marvel_jax.config.methods import MARVEL, METHODS, NO_VALUE_ALIGNMENT, PAPER, Recipe

_OF_MARVEL = {
    "marvel-fixed-step": Recipe(
        "marvel, but with the step size that is set, at any distance from the limit and at all times",
        {"step_size.policy_change": 0.0, "step_size.largest_boost": 1.0, "step_size.decay": 0.0},
    ),
    "marvel-no-decay": Recipe("marvel, but the policy's steps stay as large to the end", {"step_size.decay": 0.0}),
    "marvel-no-offset": Recipe("marvel, but λ starts where the controller puts it", {"control.offset": 0.0}),
    "marvel-fixed-margin": Recipe(
        "marvel, but its setpoint is as far under the limit however little costs vary",
        {"control.overshoot_factor": 0.0},
    ),
    "marvel-no-offline-decay": Recipe(
        "marvel, but half of each batch is offline data to the end", {"replay.offline_decay": 0.0}
    ),
    "marvel-feed-forward": Recipe(
        "marvel, but the pre-aligned multiplier is only added to the controller's",
        {"method.multiplier_alignment": "feed-forward"},
    ),
    "marvel-initial": Recipe(
        "marvel, but the pre-aligned multiplier is only the first λ", {"method.multiplier_alignment": "initial"}
    ),
    "marvel-offline-critics": Recipe(
        "marvel, but value pre-alignment starts from the offline critics", {"method.critics": "offline"}
    ),
}
_OF_PAPER = {
    "paper-fresh-critics": Recipe(
        "the paper's, but value pre-alignment starts from fresh critics", {**PAPER, "method.critics": "random"}
    ),
    "paper-entropy": Recipe(
        "the paper's, with its entropy terms in value pre-alignment (its code leaves them out)",
        {**PAPER, "alignment.reward_entropy": 0.01, "alignment.cost_entropy": 0.001},
        MARVEL,
    ),
    "paper-aligned-multiplier": Recipe(
        "the paper's, with the pre-aligned multiplier as the first λ",
        {**PAPER, "method.multiplier_alignment": "initial"},
    ),
    "paper-pid": Recipe("the paper's, with a PID of fixed gains", {**PAPER, "method.multiplier": "pid"}, MARVEL),
    "paper-dual-ascent": Recipe(
        "the paper's, with dual ascent for PID", {**PAPER, "method.multiplier": "dual-ascent"}, MARVEL
    ),
    "adaptive-pid-alone": Recipe(
        "the paper's without value pre-alignment: offline policy and critics, adaptive PID",
        {**PAPER, **NO_VALUE_ALIGNMENT},
        MARVEL,
    ),
}
ABLATIONS = _OF_MARVEL | _OF_PAPER

METHODS.update(ABLATIONS)
