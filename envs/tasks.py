"""What each task is, as data: importable in milliseconds, without JAX."""

import difflib
import functools
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
      source: The simulator the task is modelled on.
      summary: One line for listings.
      action_scale: The source simulator's action for an action of 1 here.
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

    @property
    def simulator(self) -> str:
        """The package that has the task, by its distribution's name; empty if none has."""
        known = {"Bullet-Safety-Gym": "bullet-safety-gym", "Safety-Gymnasium": "safety-gymnasium"}
        return known.get(self.source.partition(" ")[0], "")

    @property
    def simulator_id(self) -> str:
        """The task's name there."""
        return self.source.partition(", ")[2]

    def normalized_reward(self, episode_return):
        """(R − min)/(max − min) with DSRL's reference scores; works on scalars and arrays."""
        low, high = self.reward_range
        return (episode_return - low) / (high - low)


def _task(
    simulator: str,
    name: str,
    sizes: tuple[int, int],
    timing: tuple[int, float],
    reward_range: tuple[float, float],
    max_cost: float,
    summary: str,
    ceiling: float | None = None,
) -> TaskSpec:
    return TaskSpec(
        name=name,
        observation_size=sizes[0],
        action_size=sizes[1],
        episode_length=timing[0],
        control_dt=timing[1],
        cost_limit=20.0,
        reward_range=reward_range,
        max_cost=max_cost,
        ceiling=ceiling,
        source=f"{simulator}, Safety{name}-v0",
        summary=summary,
    )


_bullet = functools.partial(_task, "Bullet-Safety-Gym 1.4.0")
_CIRCLE = "{} fast along a circle of radius 7 m while |x| stays below 6 m."
_RUN = "{} far along x while |y| stays below 2 m and the speed below {} m/s."
_BULLET_SPECS = (
    _bullet("BallCircle", (8, 2), (200, 0.1), (0.3831, 881.463), 80.0, _CIRCLE.format("Roll"), 821.0),
    _bullet("BallRun", (7, 2), (100, 1 / 30), (26.340, 1327.446), 80.0, _RUN.format("Roll", 2.5), 543.0),
    _bullet("CarCircle", (8, 2), (300, 0.1), (3.484, 534.306), 100.0, _CIRCLE.format("Drive")),
    _bullet("CarRun", (7, 2), (200, 1 / 30), (204.287, 574.653), 40.0, _RUN.format("Drive", 1.5)),
    _bullet("DroneCircle", (18, 4), (300, 0.1), (207.794, 996.389), 100.0, _CIRCLE.format("Fly")),
    _bullet("DroneRun", (17, 4), (200, 1 / 60), (10.557, 682.833), 140.0, _RUN.format("Fly", 1.5)),
    _bullet("AntCircle", (34, 8), (500, 0.1), (0.0177, 460.709), 200.0, _CIRCLE.format("Walk")),
    _bullet("AntRun", (33, 8), (200, 1 / 30), (0.00177, 955.482), 150.0, _RUN.format("Walk", 1.5)),
)


def _velocity(
    name: str,
    sizes: tuple[int, int],
    control_dt: float,
    speed_limit: float,
    reward_range: tuple[float, float],
    max_cost: float = 250.0,
    action_scale: float = 1.0,
) -> TaskSpec:
    return TaskSpec(
        name=f"{name}Velocity",
        observation_size=sizes[0],
        action_size=sizes[1],
        episode_length=1000,
        control_dt=control_dt,
        cost_limit=20.0,
        reward_range=reward_range,
        max_cost=max_cost,
        ceiling=None,
        source=f"Safety-Gymnasium 1.0.0, Safety{name}Velocity-v1",
        summary=f"Run along x no faster than {speed_limit:g} m/s.",
        action_scale=action_scale,
    )


_VELOCITY_SPECS = (
    _velocity("HalfCheetah", (17, 6), 0.05, 3.2096, (5.751, 2806.933)),
    _velocity("Hopper", (11, 3), 0.008, 0.7402, (37.052, 1911.397)),
    _velocity("Walker2d", (17, 6), 0.008, 2.3415, (18.669, 3418.224), 300.0),
    _velocity("Swimmer", (8, 2), 0.04, 0.2282, (0.0711, 238.958), 200.0),
    _velocity("Ant", (27, 8), 0.05, 2.6222, (6.152, 2976.277)),
    # DSRL has no Humanoid: 1 is a whole episode upright at the speed limit, without effort.
    _velocity("Humanoid", (376, 17), 0.015, 1.4149, (0.0, 6768.6), action_scale=0.4),
)


_navigation = functools.partial(_task, "Safety-Gymnasium 1.0.0")
_GOAL = "{} to goals, one after another, around eight hazards."
_SMALL_CIRCLE = "{} fast along a circle of radius 1.5 m while |x| stays below 1.125 m."
_NAVIGATION_SPECS = (
    _navigation("PointGoal1", (60, 2), (1000, 0.02), (0.01196, 30.0711), 100.0, _GOAL.format("Slide")),
    _navigation("CarGoal1", (72, 2), (1000, 0.04), (0.01223, 39.9078), 120.0, _GOAL.format("Drive")),
    _navigation("PointCircle1", (28, 2), (500, 0.02), (20.0676, 61.7282), 200.0, _SMALL_CIRCLE.format("Slide")),
    _navigation("CarCircle1", (40, 2), (500, 0.04), (8.0371, 24.9416), 250.0, _SMALL_CIRCLE.format("Drive")),
)

TASKS = {spec.name: spec for spec in (*_BULLET_SPECS, *_VELOCITY_SPECS, *_NAVIGATION_SPECS)}


def task_spec(name: str) -> TaskSpec:
    """The spec of a task by name.

    Raises:
      ValueError: If there is no such task; the message has the nearest name.
    """
    if name in TASKS:
        return TASKS[name]
    by_lower = {known.lower(): known for known in TASKS}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.4)
    hint = f" Did you mean {by_lower[near[0]]}?" if near else ""
    raise ValueError(f"Unknown task {name!r}.{hint} Tasks: {', '.join(TASKS)}.")
