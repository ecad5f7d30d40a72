"""The online stage again, from a finished run's own start, under other multipliers and gains."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from marvel_jax.config.hyper import Hyper, override
from marvel_jax.runs.console import Reporter
from marvel_jax.runs.metrics import violation
from marvel_jax.runs.pipeline import Pipeline
from marvel_jax.runs.program import Program
from marvel_jax.runs.simulator import actors_of
from marvel_jax.training.stages import FINETUNE


def finished_states(pipeline: Pipeline) -> dict[str, Any]:
    """The saved states of the stages before finetuning, seeds on axis 0."""
    names = [stage.name for stage in pipeline.program.plan if stage.name != FINETUNE]
    return {name: pipeline.restore(name) for name in names}


@dataclass(frozen=True)
class Refinetuning:
    """A run that is finetuned again.

    Attributes:
      pipeline: Of the run.
      states: From `finished_states`.
      seeds: How many of the run's seeds, from the first on.
      reporter: Of progress.
    """

    pipeline: Pipeline
    states: dict[str, Any]
    seeds: int
    reporter: Reporter

    def over_fixed_multipliers(self, grid: list[float]) -> dict[str, Any]:
        """Finetuning under each fixed λ of a grid, and the λ that is optimal.

        The dual function g(λ) = max_π R(π) − λ·(C(π) − d), in scaled reward per episode, is at least what any policy
        has. So its estimate at a λ is the best of a seed's policies there, whichever λ they were trained under; that
        matters for small λ, under which training swings. g is smallest at the multiplier that controllers look for.
        """
        static = {"method.multiplier": "fixed", "method.multiplier_alignment": "off"}
        found = self.finetuned("fixed multipliers", [{"gains.initial": value} for value in grid], static)
        hyper = self.pipeline.program.hyper
        dual = dual_function(hyper.reward_scale * found["reward"], found["cost"] - hyper.cost_limit, np.asarray(grid))
        safe = np.flatnonzero(found["cost"].mean(axis=1) <= hyper.cost_limit)
        most = safe[np.argmax(found["reward"].mean(axis=1)[safe])] if len(safe) else None
        return {
            "multipliers": grid,
            **found,
            "dual": dual,
            "optimal": grid[int(np.argmin(dual.mean(axis=1)))],
            "best_safe": None if most is None else grid[int(most)],
        }

    def over_initial_multipliers(self, grid: list[float]) -> dict[str, Any]:
        """Finetuning from each first λ of a grid, with the run's controller, without pre-alignment and offset."""
        points = [{"gains.initial": value, "gains.caution": 0.0} for value in grid]
        found = self.finetuned("initial multipliers", points, {"method.multiplier_alignment": "off"})
        return {"multipliers": grid, **found}

    def over_gains(self, proportional: list[float], integral: list[float]) -> dict[str, Any]:
        """Finetuning under every pair of K_p and K_i: `[K_p, K_i, seeds]` each."""
        points = [{"gains.proportional": p, "gains.integral": i} for p in proportional for i in integral]
        shape = (len(proportional), len(integral), self.seeds)
        found = {name: value.reshape(shape) for name, value in self.finetuned("gains", points, {}).items()}
        return {"proportional": proportional, "integral": integral, **found}

    def finetuned(self, name: str, points: list[dict[str, float]], static: dict[str, Any]) -> dict[str, np.ndarray]:
        """The online stage at every point, all in one batch.

        Args:
          name: What progress calls it.
          points: Changes of traced hyperparameters.
          static: Changes of those that are compiled in, for all points.

        Returns:
          `reward`, `cost` of the final mean policy, and `violation` on the way: `[points, seeds]` each.
        """
        own, first = self.pipeline.program, self.pipeline.labels["seed"][0]
        base: Hyper = override(own.hyper, **static)
        program = Program(own.env, own.dataset, base, len(points) * self.seeds)
        hypers = [override(base, **point) for point in points for _ in range(self.seeds)]
        batch = program.batch(hypers, [first + k for _ in points for k in range(self.seeds)])
        which = np.tile(np.arange(self.seeds), len(points))
        before = program.place(jax.tree.map(lambda x: jnp.asarray(x)[which], self.states))
        stage = program.plan[-1]
        state, costs = program.start(stage, batch, before), []
        with self.reporter:
            self.reporter.begin(name, "iterations", stage.total)
            for done in range(stage.chunk, stage.total + 1, stage.chunk):
                state, measured = program.advance(stage, batch, state)
                costs.append(jax.device_get(measured["cost"]))
                self.reporter.update(done, {"cost": float(np.mean(costs[-1]))})
        final = jax.device_get(program.evaluate(batch, actors_of(state), True))
        found = {
            "reward": final.reward.mean(axis=1),
            "cost": final.cost.mean(axis=1),
            "violation": violation(np.concatenate(costs, axis=1), float(base.cost_limit)),
        }
        return {key: np.asarray(value, float).reshape(len(points), self.seeds) for key, value in found.items()}


def dual_function(reward: np.ndarray, excess: np.ndarray, multipliers: np.ndarray) -> np.ndarray:
    """max over policies of reward − λ·excess: `[multipliers, seeds]`, of policies `[policies, seeds]`."""
    return (reward - multipliers[:, None, None] * excess).max(axis=1)
