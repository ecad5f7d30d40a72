"""The Bullet tasks as data, without JAX. One row of the table is one task.

Reward ranges and largest costs are DSRL's, all else Bullet-Safety-Gym's.
"""

from dataclasses import dataclass

from marvel_envs.spec import TaskSpec

CIRCLE_RADIUS = 7.0  # m
CIRCLE_BOUNDARY = 6.0  # m: |x| beyond is unsafe
RUN_BOUNDARY = 2.0  # m: |y| beyond is unsafe


@dataclass(frozen=True)
class BulletTask:
    """A Circle or Run task of one agent. A control step is `substeps` physics steps of `dt` seconds.

    Attributes:
      agent: The agent's class, in this package's module of that name in lower case.
      kind: "Circle" or "Run".
      verb: How the agent moves, for the summary.
      sizes: Lengths of an observation and of an action.
      steps: Steps until the time limit.
      dt: Seconds per physics step.
      substeps: Physics steps per control step.
      reward_range: As in `TaskSpec`.
      max_cost: As in `TaskSpec`.
      ceiling: As in `TaskSpec`.
      speed_limit: m/s, above which a step of a Run task costs 1.
    """

    agent: str
    kind: str
    verb: str
    sizes: tuple[int, int]
    steps: int
    dt: float
    substeps: int
    reward_range: tuple[float, float]
    max_cost: float
    ceiling: float | None = None
    speed_limit: float = float("inf")

    @property
    def spec(self) -> TaskSpec:
        """The task's facts."""
        name = self.agent + self.kind
        return TaskSpec(
            name=name,
            observation_size=self.sizes[0],
            action_size=self.sizes[1],
            episode_length=self.steps,
            control_dt=self.substeps * self.dt,
            cost_limit=20.0,
            reward_range=self.reward_range,
            max_cost=self.max_cost,
            ceiling=self.ceiling,
            source=f"Bullet-Safety-Gym 1.4.0, Safety{name}-v0",
            summary=self._summary(),
            family="bullet",
            simulator="bullet-safety-gym",
            simulator_id=f"Safety{name}-v0",
        )

    def _summary(self) -> str:
        if self.kind == "Circle":
            circle = f"a circle of radius {CIRCLE_RADIUS:g} m"
            return f"{self.verb} fast along {circle} while |x| stays below {CIRCLE_BOUNDARY:g} m."
        limits = f"|y| stays below {RUN_BOUNDARY:g} m and the speed below {self.speed_limit:g} m/s"
        return f"{self.verb} far along x while {limits}."


_ROWS = (
    BulletTask("Ball", "Circle", "Roll", (8, 2), 200, 1 / 60, 6, (0.3831, 881.463), 80.0, 821.0),
    BulletTask("Ball", "Run", "Roll", (7, 2), 100, 1 / 120, 4, (26.340, 1327.446), 80.0, 543.0, speed_limit=2.5),
    BulletTask("Car", "Circle", "Drive", (8, 2), 300, 1 / 60, 6, (3.484, 534.306), 100.0),
    BulletTask("Car", "Run", "Drive", (7, 2), 200, 1 / 120, 4, (204.287, 574.653), 40.0, speed_limit=1.5),
    BulletTask("Drone", "Circle", "Fly", (18, 4), 300, 1 / 60, 6, (207.794, 996.389), 100.0),
    BulletTask("Drone", "Run", "Fly", (17, 4), 200, 1 / 120, 2, (10.557, 682.833), 140.0, speed_limit=1.5),
    BulletTask("Ant", "Circle", "Walk", (34, 8), 500, 1 / 60, 6, (0.0177, 460.709), 200.0),
    BulletTask("Ant", "Run", "Walk", (33, 8), 200, 1 / 120, 4, (0.00177, 955.482), 150.0, speed_limit=1.5),
)
BULLET_TASKS = {task.spec.name: task for task in _ROWS}
