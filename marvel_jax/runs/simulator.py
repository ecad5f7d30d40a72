"""Acting in a real simulator with the same policies: what `rollout` and `evaluate` do, on the host.

Only the environments' steps leave JAX; acting is one jitted call per step for all seeds, and what is played goes into
the same jitted updates.
"""

from types import TracebackType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from marvel_envs.host import HostVector
from marvel_envs.tasks import TaskSpec

from marvel_jax.config.hyper import Hyper
from marvel_jax.config.tasks import check_simulator
from marvel_jax.core.acting import ActingPolicy
from marvel_jax.core.rollouts import Rollout, rollout_of
from marvel_jax.core.seeds import map_seeds
from marvel_jax.core.transitions import Transition
from marvel_jax.runs.program import Batch, Program
from marvel_jax.training import finetune
from marvel_jax.training.evaluate import Evaluation
from marvel_jax.training.stages import Setting, setting_of

EVALUATION_SEED = 2**20  # tells evaluation's episodes from those of iterations


def settings_of(spec: TaskSpec, hyper: Hyper) -> Setting:
    """The settings of a batch of runs, whose hyperparameters have them on axis 0."""
    return jax.vmap(lambda one: setting_of(spec, one))(hyper)


def _act(
    setting: Setting,
    policy: ActingPolicy,
    observation: jax.Array,
    time: jax.Array,
    key: jax.Array,
    mean_action: jax.Array,
) -> jax.Array:
    return policy.act(setting.problem, setting.online, observation, time, key, mean_action)


class Simulator:
    """`seeds` × `episodes` environments of the simulator that a task is modelled on. A context manager.

    Args:
      spec: The task.
      simulator: "safety-gymnasium" or "bullet-safety-gym".
      seeds: Seeds that act side by side.
      episodes: Environments of each.

    Raises:
      UserError: If the task is not of that simulator, or it is not installed.
    """

    def __init__(self, spec: TaskSpec, simulator: str, seeds: int, episodes: int):
        check_simulator(spec, simulator)
        self.environments = HostVector(simulator, spec.simulator_id, seeds * episodes)
        self.spec, self.seeds, self.each = spec, seeds, episodes
        self._act = jax.jit(jax.vmap(_act, in_axes=(0, 0, 0, None, 0, None)))
        self._keys = jax.jit(jax.vmap(jax.random.fold_in, in_axes=(0, None)))

    def __enter__(self) -> "Simulator":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.environments.close()

    def episodes(
        self, setting: Setting, policies: Any, keys: jax.Array, mean_action: jax.Array, number: int
    ) -> Rollout:
        """One episode length of every environment from fresh starts; arrays of the result have a leading seed axis.

        Args:
          setting: Of every seed, on axis 0, from `settings_of`.
          policies: Acting policies, seeds on axis 0.
          keys: `[seeds]` for actions.
          mean_action: `[episodes]` booleans, see `rollout.episodes`.
          number: Of the rollout: the same number means the same starts.
        """
        shape = (self.seeds, self.each)
        starts = np.random.SeedSequence(number).generate_state(self.seeds * self.each) >> 1
        observation = self.environments.reset([int(s) for s in starts]).reshape(*shape, -1).astype(np.float32)
        steps = []
        for time in range(self.spec.episode_length):
            action = np.asarray(self._act(setting, policies, observation, time, self._keys(keys, time), mean_action))
            result = self.environments.step(action.reshape(self.environments.count, -1))
            by_seed = [np.asarray(field, np.float32).reshape(*shape, *field.shape[1:]) for field in result]
            following, final, reward, cost, terminated, truncated = by_seed
            steps.append(
                (observation, action, reward, cost, 1.0 - terminated, final, np.maximum(terminated, truncated))
            )
            observation = following
        *fields, ended = (np.stack(column, axis=1) for column in zip(*steps, strict=True))  # [seeds, T, episodes, …]
        return jax.vmap(rollout_of)(Transition(*map(jnp.asarray, fields)), jnp.asarray(ended))

    def evaluate(self, setting: Setting, policies: Any, keys: jax.Array, episodes: int, number: int = 0) -> Evaluation:
        """`[seeds, episodes]` fresh episodes of each kind, see `evaluate.evaluate`."""
        sums: dict[str, list[np.ndarray]] = {"reward": [], "cost": [], "sampled_reward": [], "sampled_cost": []}
        rounds = -(-episodes // self.each)
        for mean, prefix in ((True, ""), (False, "sampled_")):
            for k in range(rounds):
                which = EVALUATION_SEED + 2 * (number * rounds + k) + mean
                played = self.episodes(setting, policies, self._keys(keys, which), jnp.full(self.each, mean), which)
                sums[prefix + "reward"].append(np.asarray(played.reward))
                sums[prefix + "cost"].append(np.asarray(played.cost))
        return Evaluation(**{name: jnp.concatenate(parts, axis=1)[:, :episodes] for name, parts in sums.items()})


class InSimulator:
    """The finetuning stage, played in a real simulator: the same updates on other episodes. As `program.OnDevice`."""

    chunk = 1

    def __init__(self, program: Program, simulator: Simulator):
        self._dataset, self._simulator = program.dataset, simulator
        learn_all = map_seeds(self._learn_one)
        self._learn = jax.jit(
            lambda dataset, hyper, state, played: learn_all(dataset, (hyper, state, played)), donate_argnums=2
        )
        self._rollout_keys = jax.jit(jax.vmap(lambda state: finetune.iteration_keys(state)[0]))

    def _learn_one(self, dataset: Transition, run: tuple[Hyper, finetune.State, Rollout]) -> tuple[Any, dict[str, Any]]:
        hyper, state, played = run
        problem, _, networks = setting_of(self._simulator.spec, hyper)
        return finetune.learn(hyper, problem, networks, dataset, state, played)

    def prepare(self, batch: Batch) -> None:
        """Nothing is compiled before it is used."""

    def advance(self, batch: Batch, state: Any) -> tuple[Any, dict[str, Any]]:
        """One iteration; `state` is given away. Metrics `[runs, 1]`."""
        simulator, number = self._simulator, int(state.iteration[0])
        setting, sampling = settings_of(simulator.spec, batch.hyper), jnp.zeros(simulator.each, bool)
        played = simulator.episodes(setting, state.acting, self._rollout_keys(state), sampling, number)
        state, metrics = self._learn(self._dataset, batch.hyper, state, played)
        return state, jax.tree.map(lambda x: x[:, None], metrics)
