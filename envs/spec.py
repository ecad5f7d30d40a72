"""What every task has in common, as data: importable in milliseconds, without JAX."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TaskSpec:
    """A task's fixed facts.

    Attributes:
      name: As given to `marvel_envs.make`.
      observation_size: Length of an observation.
      action_size: Length of an action; every component lies in [−1, 1].
      episode_length: Steps until the time limit (a truncation, not a termination).
      control_dt: Seconds per step.
      cost_limit: Default limit, in undiscounted cost per episode.
      reward_range: Episode returns that normalise to 0 and 1 (DSRL's reference scores where it has the task).
      max_cost: Largest episode cost kept in datasets (DSRL's).
      ceiling: Highest return known to be held within `cost_limit` (`benchmarks/learning.py ceiling`), if measured.
      source: Where the task comes from, for people.
      summary: One line for listings.
      action_scale: The simulator's action for an action of 1 here.
      family: Which of this package's kinds of task it is: "bullet", "velocity" or "navigation". Empty for a task that
        was registered.
      simulator: The package with the original task, by its distribution's name. Empty if there is none.
      simulator_id: The task's name in that package.
    """

    name: str
    observation_size: int
    action_size: int
    episode_length: int
    control_dt: float
    cost_limit: float
    reward_range: tuple[float, float]
    max_cost: float
    ceiling: float | None
    source: str
    summary: str
    action_scale: float = 1.0
    family: str = ""
    simulator: str = ""
    simulator_id: str = ""

    def normalized_reward(self, episode_return):
        """(R − min)/(max − min) with DSRL's reference scores; works on scalars and arrays."""
        low, high = self.reward_range
        return (episode_return - low) / (high - low)
