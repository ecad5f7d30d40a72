"""The car agent: MIT's racecar, a multibody of twenty-one links, with Bullet's drive train of gears.

Masses and lengths are the model's, scaled by three; gears, motors, contacts and their order are Bullet's. The gears
are constraints that five iterations of Bullet's solver do not satisfy. This makes the drive soft: the car takes two
seconds to reach its top speed of 3 m/s.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from marvel_envs import quaternions
from marvel_envs.bullet import arena, contact
from marvel_envs.bullet.contact import Joints
from marvel_envs.bullet.multibody import BodyState, Link, Pose, Tree

DRIVE_SPEED, DRIVE_TORQUE = 40.0, 20.0  # rad/s per unit of action, N·m
STEERING_ANGLE, STEERING_GAIN = 0.5, 0.1  # rad per unit of action, share of the error mended per step
WHEEL_RADIUS, WHEEL_HALF_WIDTH, WHEEL_CORNERS = 0.15, 0.0675, 32  # m, m; to Bullet a wheel is a prism
WHEEL_MARGIN, NEAR = 0.001, 0.02  # m around it, and distance at which it is in contact
WHEEL_STIFFNESS, WHEEL_DAMPING = 3e5, 1e3  # N/m, N·s/m
HEIGHT, BOX_FRICTION = 0.2, 0.5  # m, at reset
_Q = float(np.sqrt(0.5))
_WHEEL, _RING, _GEAR = (0.003221, 0.003221, 0.005315), (1.36e-4, 2.58e-4, 1.36e-4), (4.9e-5, 8.6e-5, 4.9e-5)
_SMALL, _TINY = (4e-8, 4e-8, 4e-8), (1e-8, 1e-8, 1e-8)
_UP, _ROLL, _Y = (0.0, -0.0, 0.0, 1.0), (_Q, 0.0, 0.0, _Q), (0.0, 1.0, 0.0)


def _axle(name: str, ring: int, x: float, wheels: bool) -> list[Link]:
    """A differential at `x` m from the centre, its ring being the `ring`-th link; the rear one carries the wheels."""
    side_a = Link(f"{name} side a", 0.056, _GEAR, ring, axis=_Y)
    side_b = Link(f"{name} side b", 0.056, _GEAR, ring, axis=_Y)
    rear_a = Link("wheel rear left", 0.34055, _WHEEL, ring + 3, (0.0, 0.3, 0.0), _ROLL, None, (0.0, 0.0, -0.0675))
    rear_b = Link("wheel rear right", 0.34055, _WHEEL, ring + 5, (0.0, -0.3, 0.0), _ROLL, None, (0.0, 0.0, 0.0675))
    return [
        Link(f"{name} ring", 0.0637, _RING, 0, (x, 0.0, 0.0), axis=_Y),
        Link(f"{name} spider a", 0.056, _GEAR, ring, turn=(0.0, 0.0, _Q, _Q), axis=_Y),
        Link(f"{name} spider b", 0.056, _GEAR, ring, turn=(0.0, 0.0, -_Q, _Q), axis=_Y),
        *([side_a, rear_a, side_b, rear_b] if wheels else [side_a, side_b]),
    ]


def _front(name: str, hinge: int, side: float) -> list[Link]:
    """A steering hinge, which is link `hinge`, and its wheel; `side` is 1 on the left, −1 on the right."""
    turn, center = (0.0, _Q, 0.0, _Q), (0.0, 0.0, -0.0675 * side)
    return [
        Link(f"steering {name}", 0.1, _SMALL, 0, (0.375, 0.3 * side, 0.0), turn, axis=(-1.0, 0.0, 0.0)),
        Link(f"wheel {name}", 0.34055, _WHEEL, hinge, turn=_ROLL, axis=(0.0, 0.0, -1.0), center=center),
    ]


TREE = Tree(
    [
        Link("chassis", 4.0, (0.133944, 0.508479, 0.619359)),
        *_front("left", 1, 1.0),
        *_front("right", 3, -1.0),
        Link("laser", 0.13, (0.00195, 0.00195, 0.00195), 0, (0.195, 0.0, 0.225)),
        Link("camera", 0.1, (0.002364, 0.000149, 0.002378), 0, (0.57, 0.0, 0.12)),
        Link("lens left", 0.01, _TINY, 6, (0.0, 0.18, 0.0)),
        Link("lens right", 0.01, _TINY, 6, (0.0, -0.18, 0.0)),
        *_axle("rear", 9, -0.6, wheels=True),
        *_axle("front", 16, 0.36, wheels=False),
    ]
)
JOINTS = len(TREE.hinges)
_NAMES = [link.name for link in TREE.links]
WHEELS = np.array([_NAMES.index(f"wheel {name}") for name in ("left", "right", "rear left", "rear right")])
WHEEL_FRICTION = np.array([1.1, 1.1, 0.7, 0.7])


class _Gear(NamedTuple):
    """A constraint first + ratio · second = 0 between two hinges' speeds; `relative` to the front ring's."""

    first: str
    second: str
    ratio: float
    relative: bool = False


_GEARS = (
    _Gear("rear spider a", "rear side a", 1.0),
    _Gear("rear spider b", "rear side b", -1.0),
    _Gear("rear spider a", "rear side b", -1.0),
    _Gear("front spider a", "front side a", 1.0),
    _Gear("front spider a", "front side b", -1.0),
    _Gear("front spider b", "front side b", -1.0),
    _Gear("wheel left", "front side a", -1.0, relative=True),
    _Gear("wheel right", "front side b", -1.0, relative=True),
)
# Bullet creates the left steering's limit (never reached), a motor for every hinge, then the gears.
_MOTORS = ("steering left", "steering right", "rear ring", "front ring")
_CREATED = ["limit", *TREE.hinge, *_GEARS]
_ROWS = [_CREATED[k] for k in contact.creation_order(len(_CREATED))]
_ROWS = [row for row in _ROWS if isinstance(row, _Gear) or row in _MOTORS]


def _unit(hinge: str) -> np.ndarray:
    return np.eye(6 + JOINTS)[6 + TREE.hinge[hinge]]


def _joints(car: BodyState, velocity: jax.Array, inverse_mass: jax.Array, action: jax.Array, dt: float) -> Joints:
    """Motors and gears, in Bullet's order."""
    rows, speeds, bounds, effective_mass = [], [], [], []
    front_ring = _unit("front ring") @ velocity
    for row in _ROWS:
        if isinstance(row, _Gear):
            first, second = _unit(row.first), row.ratio * _unit(row.second)
            rows.append(first + second)
            speeds.append(front_ring if row.relative else jnp.zeros(()))
            bounds.append(jnp.inf)
            # Bullet takes the two hinges for two bodies, as if neither moved the other.
            effective_mass.append(1.0 / (first @ inverse_mass @ first + second @ inverse_mass @ second))
            continue
        unit = _unit(row)
        rows.append(unit)
        effective_mass.append(1.0 / (unit @ inverse_mass @ unit))
        if row.startswith("steering"):
            missing = STEERING_ANGLE * action[1] - car.joint_angle[TREE.hinge[row]]
            speeds.append(STEERING_GAIN * missing / dt)
            bounds.append(jnp.inf)
        else:
            speeds.append(DRIVE_SPEED * action[0])
            bounds.append(DRIVE_TORQUE * dt)
    high = jnp.asarray(bounds)
    return Joints(jnp.asarray(np.array(rows)), jnp.stack(speeds), -high, high, jnp.stack(effective_mass))


def _wheel_points(pose: Pose, direction: jax.Array) -> jax.Array:
    """`[4, 3]` of each wheel the corner farthest along `direction` `[3]`, with Bullet's margin around it."""
    rotation = pose.rotation[WHEELS]
    x, y, z = jnp.moveaxis(direction @ rotation, -1, 0)
    step = 2 * jnp.pi / WHEEL_CORNERS
    angle = step * jnp.round(jnp.arctan2(y, x) / step)
    side = jnp.where(z > 0, WHEEL_HALF_WIDTH, -WHEEL_HALF_WIDTH)
    corner = jnp.stack([WHEEL_RADIUS * jnp.cos(angle), WHEEL_RADIUS * jnp.sin(angle), side], axis=1)
    return pose.center[WHEELS] + jnp.einsum("nij,nj->ni", rotation, corner) + WHEEL_MARGIN * direction


def _wheel_contacts(pose: Pose, normal: jax.Array, points, distance, active, friction: float, dt: float):
    # Springs and dampers between wheel and surface, as a share of penetration per step and a compliance.
    total = dt * WHEEL_STIFFNESS + WHEEL_DAMPING
    erp, compliance = dt * WHEEL_STIFFNESS / total, 1.0 / (total * dt)
    frictions = friction * WHEEL_FRICTION
    return TREE.contacts(pose, WHEELS, points, normal, distance, active, frictions, erp=erp, compliance=compliance)


def _ground_contacts(pose: Pose, walled: bool, dt: float):
    up = jnp.array([0.0, 0.0, 1.0])
    points = _wheel_points(pose, -up)
    active = arena.over_ground(points, walled) & (points[:, 2] < NEAR)
    return _wheel_contacts(pose, up, points, points[:, 2], active, arena.GROUND_FRICTION, dt)


_BUMPER = np.array([[0.6195, 0.2625, 0.12], [0.6195, -0.2625, 0.12]])  # m, the camera's corners: the car's foremost


def _wall_contacts(pose: Pose, dt: float):
    """Wheels and camera against the nearest wall."""
    outwards = arena.nearest_wall(pose.center[0])
    points = _wheel_points(pose, outwards)
    distance, held = arena.wall_distance(points, outwards)
    wheels = _wheel_contacts(pose, -outwards, points, distance, held & (distance < NEAR), arena.WALL_FRICTION, dt)
    points = pose.center[0] + _BUMPER @ pose.rotation[0].T
    distance, held = arena.wall_distance(points, outwards)
    friction = BOX_FRICTION * arena.WALL_FRICTION
    active = held & (distance < 0)
    return wheels.joined(TREE.contacts(pose, [0, 0], points, -outwards, distance, active, friction))


class Car:
    """Four driven wheels; action `[2]` is the drive's speed and the steering angle. It drives forwards with −x."""

    initial_yaw = float(np.pi)
    recorded_state = ("position", "linear_velocity", "angular_velocity", "quaternion")

    def start(self, rng: jax.Array, position: jax.Array, yaw: jax.Array, dt: float, substeps: int) -> BodyState:
        """Physics after a control step at rest, from hinge angles with ±0.1 rad of noise."""
        still = TREE.at_rest(
            jnp.append(position, HEIGHT), yaw, jax.random.uniform(rng, (JOINTS,), minval=-0.1, maxval=0.1)
        )
        return self.advance(still, jnp.zeros(2), dt, substeps, False)

    def advance(self, physics: BodyState, action: jax.Array, dt: float, substeps: int, walled: bool) -> BodyState:
        """Physics after `substeps` steps of `dt` seconds under one action: speed and steering angle `[2]`."""

        def substep(_, car: BodyState) -> BodyState:
            pose = TREE.pose(car)
            inverse_mass, force = TREE.dynamics(pose, car.generalized_velocity)
            velocity = car.generalized_velocity + dt * inverse_mass @ force
            contacts = _ground_contacts(pose, walled, dt)
            if walled:
                contacts = contacts.joined(_wall_contacts(pose, dt))
            joints = _joints(car, velocity, inverse_mass, action, dt)
            return TREE.integrated(car, contact.solve(velocity, inverse_mass, joints, contacts, dt), dt)

        return jax.lax.fori_loop(0, substeps, substep, physics)

    def observe(self, physics: BodyState, dt: float, walled: bool) -> jax.Array:
        """`[7]` position and velocity in the plane, sine and cosine of the yaw, and its rate."""
        yaw = quaternions.yaw(physics.quaternion)
        turning = jnp.stack([jnp.sin(yaw), jnp.cos(yaw), 0.1 * physics.angular_velocity[2]])
        return jnp.concatenate([0.1 * physics.position[:2], physics.velocity[:2], turning])

    def reward(self, action: jax.Array, physics: BodyState, dt: float, walled: bool) -> jax.Array:
        """`[]` always 0."""
        return jnp.zeros(())

    def alive(self, physics: BodyState) -> jax.Array:
        """`[]` always true."""
        return jnp.array(True)

    def from_recording(self, recording, prior: BodyState | None) -> BodyState:
        """Physics from a recording, with the hinges of `prior`, or at rest at angle 0."""
        hidden = (jnp.zeros(JOINTS),) * 2 if prior is None else (prior.joint_angle, prior.joint_speed)
        return TREE.from_recording(recording, *hidden)
