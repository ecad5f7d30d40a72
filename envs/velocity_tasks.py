"""The velocity tasks as data, without JAX. One row of the table is one task.

Reward ranges and largest costs are DSRL's, speed limits Safety-Gymnasium's, all else Gymnasium's (MuJoCo, v4).
"""

from dataclasses import dataclass

from marvel_envs.spec import TaskSpec


@dataclass(frozen=True)
class VelocityTask:
    """One body that runs along x, with a cost on its speed.

    Attributes:
      body: Name of the task without "Velocity".
      model: File in Gymnasium's assets.
      sizes: Lengths of an observation and of an action.
      control_dt: Seconds per control step.
      frame_skip: Physics steps per control step.
      speed_limit: m/s, above which a step costs 1.
      reward_range: As in `TaskSpec`.
      tracked: The point whose velocity counts: the root coordinates ("root"), the torso's centre ("torso") or the
        centre of mass ("mass").
      unobserved: Leading positions left out of the observation.
      control_weight: Loss of reward per squared actuator input.
      contacts: How many contacts at once there can be (see `MujocoPhysics`).
      noise: Half-width of the uniform noise on initial positions, and on velocities unless `normal_velocity`.
      planar_speed: The speed is that in the plane, else along x.
      forward_weight: Reward per m/s along x.
      healthy_reward: Reward per step.
      height: Healthy range of the root's height, m; outside it the episode terminates.
      height_index: Which position is the height.
      pitch: Healthy range of the root's pitch, ± rad.
      state_bound: Healthy range of all other coordinates, ±.
      velocity_clip: Bound on observed velocities.
      normal_velocity: Initial velocities are normal with standard deviation `noise`.
      body_observation: Inertias, velocities and forces of all bodies are observed as well.
      max_cost: As in `TaskSpec`.
      action_scale: As in `TaskSpec`.
    """

    body: str
    model: str
    sizes: tuple[int, int]
    control_dt: float
    frame_skip: int
    speed_limit: float
    reward_range: tuple[float, float]
    tracked: str
    unobserved: int
    control_weight: float
    contacts: int
    noise: float
    planar_speed: bool = False
    forward_weight: float = 1.0
    healthy_reward: float = 0.0
    height: tuple[float, float] | None = None
    height_index: int = 1
    pitch: float | None = None
    state_bound: float = float("inf")
    velocity_clip: float = float("inf")
    normal_velocity: bool = False
    body_observation: bool = False
    max_cost: float = 250.0
    action_scale: float = 1.0

    @property
    def spec(self) -> TaskSpec:
        """The task's facts."""
        name = f"{self.body}Velocity"
        return TaskSpec(
            name=name,
            observation_size=self.sizes[0],
            action_size=self.sizes[1],
            episode_length=1000,
            control_dt=self.control_dt,
            cost_limit=20.0,
            reward_range=self.reward_range,
            max_cost=self.max_cost,
            ceiling=None,
            source=f"Safety-Gymnasium 1.0.0, Safety{name}-v1",
            summary=f"Run along x no faster than {self.speed_limit:g} m/s.",
            action_scale=self.action_scale,
            family="velocity",
            simulator="safety-gymnasium",
            simulator_id=f"Safety{name}-v1",
        )


_ROWS = (
    VelocityTask(
        body="HalfCheetah",
        model="half_cheetah.xml",
        sizes=(17, 6),
        control_dt=0.05,
        frame_skip=5,
        speed_limit=3.2096,
        reward_range=(5.751, 2806.933),
        tracked="root",
        unobserved=1,
        control_weight=0.1,
        contacts=8,
        noise=0.1,
        normal_velocity=True,
    ),
    VelocityTask(
        body="Hopper",
        model="hopper.xml",
        sizes=(11, 3),
        control_dt=0.008,
        frame_skip=4,
        speed_limit=0.7402,
        reward_range=(37.052, 1911.397),
        tracked="root",
        unobserved=1,
        control_weight=1e-3,
        contacts=6,
        noise=5e-3,
        healthy_reward=1.0,
        height=(0.7, float("inf")),
        pitch=0.2,
        state_bound=100.0,
        velocity_clip=10.0,
    ),
    VelocityTask(
        body="Walker2d",
        model="walker2d.xml",
        sizes=(17, 6),
        control_dt=0.008,
        frame_skip=4,
        speed_limit=2.3415,
        reward_range=(18.669, 3418.224),
        tracked="root",
        unobserved=1,
        control_weight=1e-3,
        contacts=6,
        noise=5e-3,
        healthy_reward=1.0,
        height=(0.8, 2.0),
        pitch=1.0,
        velocity_clip=10.0,
        max_cost=300.0,
    ),
    VelocityTask(
        body="Swimmer",
        model="swimmer.xml",
        sizes=(8, 2),
        control_dt=0.04,
        frame_skip=4,
        speed_limit=0.2282,
        reward_range=(0.0711, 238.958),
        tracked="root",
        unobserved=2,
        control_weight=1e-4,
        contacts=0,
        noise=0.1,
        max_cost=200.0,
    ),
    VelocityTask(
        body="Ant",
        model="ant.xml",
        sizes=(27, 8),
        control_dt=0.05,
        frame_skip=5,
        speed_limit=2.6222,
        planar_speed=True,
        reward_range=(6.152, 2976.277),
        tracked="torso",
        unobserved=2,
        control_weight=0.5,
        contacts=8,
        noise=0.1,
        healthy_reward=1.0,
        height=(0.2, 1.0),
        height_index=2,
        normal_velocity=True,
    ),
    VelocityTask(
        body="Humanoid",
        model="humanoid.xml",
        sizes=(376, 17),
        control_dt=0.015,
        frame_skip=5,
        speed_limit=1.4149,
        planar_speed=True,
        # DSRL has no Humanoid: 1 is a whole episode upright at the speed limit, without effort.
        reward_range=(0.0, 6768.6),
        tracked="mass",
        unobserved=2,
        control_weight=0.1,
        contacts=8,
        noise=1e-2,
        forward_weight=1.25,
        healthy_reward=5.0,
        height=(1.0, 2.0),
        height_index=2,
        body_observation=True,
        action_scale=0.4,
    ),
)
VELOCITY_TASKS = {task.spec.name: task for task in _ROWS}
