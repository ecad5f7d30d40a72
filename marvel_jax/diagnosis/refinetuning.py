"""What a finished run's critics and multiplier were worth: the measurements behind `marvel diagnose`.

Each function takes the run's pipeline and returns NumPy arrays and numbers, ready for figures and JSON.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from marvel_jax.config.hyper import Aggregation, Hyper, override
from marvel_jax.core.networks import aggregate, twin_values
from marvel_jax.core.problem import from_environment
from marvel_jax.core.seeds import map_seeds
from marvel_jax.datasets.hdf5 import Dataset
from marvel_jax.diagnosis import true_values
from marvel_jax.runs.console import Reporter
from marvel_jax.runs.metrics import violation
from marvel_jax.runs.pipeline import Pipeline
from marvel_jax.runs.program import Program
from marvel_jax.runs.simulator import actors_of
from marvel_jax.training import align
from marvel_jax.training.stages import ALIGN, FINETUNE, PRETRAIN

CRITICS: dict[str, Aggregation] = {"reward": "min", "cost": "max"}


def finished_states(pipeline: Pipeline) -> dict[str, Any]:
    """The saved states of the stages before finetuning, seeds on axis 0."""
    names = [stage.name for stage in pipeline.program.plan if stage.name != FINETUNE]
    return {name: pipeline.restore(name) for name in names}


def critics_against_truth(
    pipeline: Pipeline, states: dict[str, Any], data: Dataset, count: int, key: jax.Array
) -> dict[str, Any]:
    """Critics against Monte-Carlo values of the offline policy, which they are of.

    At `count` states of the dataset, with the dataset's actions ("data") and with uniform ones ("random").

    Returns:
      By place, time ("before" and "after" alignment, where there are critics) and kind (reward, cost):
      `values` and `truth` `[seeds, count]`, `rank_correlation` and `bias` `[seeds]`, with returns over the longest of
      `true_values.HORIZONS`; and `rank_correlation_by_horizon`, `[seeds]` by the number of steps, which says how far
      ahead critics tell the truth: where the data stop, it need not be as far as the truth goes.
    """
    env, problem = pipeline.program.env, from_environment(pipeline.program.env, pipeline.program.hyper)
    rows_key, action_key, play_key = jax.random.split(key, 3)
    rows = np.asarray(jax.random.choice(rows_key, len(data.ends), (min(count, len(data.ends)),), replace=False))
    physics, observation = true_values.physics_at(env, data.physics, rows), data.transitions.observation[rows]
    actions = {"data": jnp.asarray(data.transitions.action[rows])}
    actions["random"] = jax.random.uniform(action_key, actions["data"].shape, minval=-1.0)
    learner = states[PRETRAIN].learner
    judges = {"before": learner} if hasattr(learner, "reward_critic") else {}
    judges |= {"after": states[ALIGN]} if ALIGN in states else {}

    def truth(action: jax.Array, one: tuple[Any, jax.Array]) -> true_values.MonteCarlo:
        actor, key = one
        return true_values.monte_carlo(env, problem, actor, physics, action, key)

    keys = jax.random.split(play_key, pipeline.program.count)
    play, found = jax.jit(map_seeds(truth)), {}
    for place, action in actions.items():
        real = jax.device_get(play(action, (learner.actor.params, keys)))
        found[place] = {
            when: {kind: _agreement(problem, judge, kind, real, observation, action) for kind in CRITICS}
            for when, judge in judges.items()
        }
    return found


def _agreement(problem: Any, judge: Any, kind: str, real: Any, observation: Any, action: Any) -> dict[str, Any]:
    def value(twins: Any) -> jax.Array:
        return aggregate(twin_values(problem, twins, observation, action), CRITICS[kind])

    values = np.asarray(jax.vmap(value)(getattr(judge, f"{kind}_critic").params))
    truths = np.moveaxis(np.asarray(getattr(real, kind)), -1, 0)  # [horizons, seeds, count]
    agreements = [[true_values.agreement(v, t) for v, t in zip(values, truth, strict=True)] for truth in truths]
    ranks = [[seed["rank_correlation"] for seed in seeds] for seeds in agreements]
    return {
        "values": values,
        "truth": truths[-1],
        **{name: [seed[name] for seed in agreements[-1]] for name in agreements[-1][0]},
        "rank_correlation_by_horizon": dict(zip(true_values.HORIZONS, ranks, strict=True)),
    }


def offline_multiplier(pipeline: Pipeline, states: dict[str, Any]) -> dict[str, list[float] | None]:
    """Multipliers before the online stage, `[seeds]` each, by where they come from; None where there is none.

    `offline`: that of the offline algorithm. `aligned`: what pre-alignment says on the dataset's states.
    """
    learner = states[PRETRAIN].learner if PRETRAIN in states else None
    own = getattr(learner, "multiplier", None)
    if own is not None:
        own = np.asarray(own.value if hasattr(own, "value") else jax.nn.softplus(own.params)).tolist()
    aligned = None
    if ALIGN in states and learner is not None:
        problem = from_environment(pipeline.program.env, pipeline.program.hyper)
        observation = pipeline.program.dataset.observation[:: max(1, len(pipeline.program.dataset.reward) // 1024)]

        def pull(actor: Any, reward: Any, cost: Any, key: jax.Array) -> jax.Array:
            return align.align_multiplier(problem, actor, reward, cost, observation, key).multiplier

        after, keys = states[ALIGN], jax.random.split(jax.random.key(0), pipeline.program.count)
        twins = after.reward_critic.params, after.cost_critic.params
        aligned = np.asarray(jax.jit(jax.vmap(pull))(after.actor, *twins, keys)).tolist()
    return {"offline": own, "aligned": aligned}


def finetuned(
    pipeline: Pipeline,
    states: dict[str, Any],
    static: dict[str, Any],
    points: list[dict[str, float]],
    seeds: int,
    reporter: Reporter,
    name: str,
) -> dict[str, np.ndarray]:
    """The online stage again from the run's own start, at every point with its first `seeds`: one batch.

    Args:
      pipeline: Of the run.
      states: From `finished_states`.
      static: Changes of hyperparameters that are compiled in.
      points: Changes of traced ones.
      seeds: How many of the run's.
      reporter: Of progress.
      name: For it.

    Returns:
      `reward`, `cost` of the final mean policy, and `violation` on the way: `[points, seeds]` each.
    """
    base: Hyper = override(pipeline.program.hyper, **static)
    program = Program(pipeline.program.env, pipeline.program.dataset, base, len(points) * seeds)
    hypers = [override(base, **point) for point in points for _ in range(seeds)]
    first = pipeline.labels["seed"][0]
    batch = program.batch(hypers, [first + k for _ in points for k in range(seeds)])
    which = np.tile(np.arange(seeds), len(points))
    before = program.place(jax.tree.map(lambda x: jnp.asarray(x)[which], states))
    stage = program.plan[-1]
    state, costs = program.start(stage, batch, before), []
    with reporter:
        reporter.begin(name, "iterations", stage.total)
        for done in range(stage.chunk, stage.total + 1, stage.chunk):
            state, measured = program.advance(stage, batch, state)
            costs.append(jax.device_get(measured["cost"]))
            reporter.update(done, {"cost": float(np.mean(costs[-1]))})
    final = jax.device_get(program.evaluate(batch, actors_of(state), True))
    limit = float(base.cost_limit)
    found = {
        "reward": final.reward.mean(axis=1),
        "cost": final.cost.mean(axis=1),
        "violation": violation(np.concatenate(costs, axis=1), limit),
    }
    return {key: np.asarray(value, float).reshape(len(points), seeds) for key, value in found.items()}


def over_fixed_multipliers(
    pipeline: Pipeline, states: dict[str, Any], grid: list[float], seeds: int, reporter: Reporter
) -> dict[str, Any]:
    """Finetuning under each fixed λ of a grid, and the λ that is optimal.

    The dual function g(λ) = max_π R(π) − λ·(C(π) − d), in scaled reward per episode, is at least what any policy has;
    so its estimate at a λ is the best of a seed's policies there, whichever λ they were trained under. That matters for
    small λ, under which training swings. g is smallest at the multiplier that controllers look for.
    """
    static = {"method.multiplier": "fixed", "method.multiplier_alignment": "off"}
    points = [{"gains.initial": value} for value in grid]
    found = finetuned(pipeline, states, static, points, seeds, reporter, "fixed multipliers")
    hyper = pipeline.program.hyper
    dual = dual_function(hyper.reward_scale * found["reward"], found["cost"] - hyper.cost_limit, np.asarray(grid))
    best = int(np.argmin(dual.mean(axis=1)))
    safe = np.flatnonzero(found["cost"].mean(axis=1) <= hyper.cost_limit)
    most = safe[np.argmax(found["reward"].mean(axis=1)[safe])] if len(safe) else None
    return {
        **{"multipliers": grid, **found, "dual": dual, "optimal": grid[best]},
        "best_safe": None if most is None else grid[int(most)],
    }


def dual_function(reward: np.ndarray, excess: np.ndarray, multipliers: np.ndarray) -> np.ndarray:
    """max over policies of reward − λ·excess: `[multipliers, seeds]`, of policies `[policies, seeds]`."""
    return (reward - multipliers[:, None, None] * excess).max(axis=1)


def over_gains(
    pipeline: Pipeline,
    states: dict[str, Any],
    proportional: list[float],
    integral: list[float],
    seeds: int,
    reporter: Reporter,
) -> dict[str, Any]:
    """Finetuning under every pair of K_p and K_i: `[K_p, K_i, seeds]` each."""
    points = [{"gains.proportional": p, "gains.integral": i} for p in proportional for i in integral]
    found = finetuned(pipeline, states, {}, points, seeds, reporter, "gains")
    shape = (len(proportional), len(integral), seeds)
    return {
        "proportional": proportional,
        "integral": integral,
        **{name: value.reshape(shape) for name, value in found.items()},
    }


def over_initial_multipliers(
    pipeline: Pipeline, states: dict[str, Any], grid: list[float], seeds: int, reporter: Reporter
) -> dict[str, Any]:
    """Finetuning from each first λ of a grid, with the run's controller, but no pre-alignment or caution besides."""
    points = [{"gains.initial": value, "gains.caution": 0.0} for value in grid]
    static = {"method.multiplier_alignment": "off"}
    return {"multipliers": grid, **finetuned(pipeline, states, static, points, seeds, reporter, "initial multipliers")}
