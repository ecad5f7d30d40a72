"""The navigation tasks as data, without JAX. One row of the table is one task.

Reward ranges and largest costs are DSRL's, all else Safety-Gymnasium's.
"""

from dataclasses import dataclass

from marvel_envs.spec import TaskSpec

HAZARDS = 8
CIRCLE_RADIUS, CIRCLE_BOUNDARY = 1.5, 1.125  # m; |x| beyond the boundary is unsafe
SUBSTEPS = 10  # physics steps per control step
PHYSICS_DT = {"Point": 0.002, "Car": 0.004}  # seconds per physics step of each agent


@dataclass(frozen=True)
class NavigationTask:
    """A Goal or Circle task of one agent, at Safety-Gymnasium's level 1.

    Attributes:
      agent: The agent's class, in this package's module of that name in lower case.
      kind: "Goal" or "Circle".
      verb: How the agent moves, for the summary.
      sizes: Lengths of an observation and of an action.
      steps: Steps until the time limit.
      reward_range: As in `TaskSpec`.
      max_cost: As in `TaskSpec`.
    """

    agent: str
    kind: str
    verb: str
    sizes: tuple[int, int]
    steps: int
    reward_range: tuple[float, float]
    max_cost: float

    @property
    def spec(self) -> TaskSpec:
        """The task's facts."""
        name = f"{self.agent}{self.kind}1"
        return TaskSpec(
            name=name,
            observation_size=self.sizes[0],
            action_size=self.sizes[1],
            episode_length=self.steps,
            control_dt=SUBSTEPS * PHYSICS_DT[self.agent],
            cost_limit=20.0,
            reward_range=self.reward_range,
            max_cost=self.max_cost,
            ceiling=None,
            source=f"Safety-Gymnasium 1.0.0, Safety{name}-v0",
            summary=self._summary(),
            family="navigation",
            simulator="safety-gymnasium",
            simulator_id=f"Safety{name}-v0",
        )

    def _summary(self) -> str:
        if self.kind == "Goal":
            return f"{self.verb} to goals, one after another, around {HAZARDS} hazards."
        circle = f"a circle of radius {CIRCLE_RADIUS:g} m"
        return f"{self.verb} fast along {circle} while |x| stays below {CIRCLE_BOUNDARY:g} m."


_ROWS = (
    NavigationTask("Point", "Goal", "Slide", (60, 2), 1000, (0.01196, 30.0711), 100.0),
    NavigationTask("Car", "Goal", "Drive", (72, 2), 1000, (0.01223, 39.9078), 120.0),
    NavigationTask("Point", "Circle", "Slide", (28, 2), 500, (20.0676, 61.7282), 200.0),
    NavigationTask("Car", "Circle", "Drive", (40, 2), 500, (8.0371, 24.9416), 250.0),
)
NAVIGATION_TASKS = {task.spec.name: task for task in _ROWS}
