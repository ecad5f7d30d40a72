"""The quadrotor of Bullet-Safety-Gym as one rigid body with four ideal rotor motors, integrated as Bullet does.

Bullet simulates a box with four spinning discs on a multibody tree. Its equations, written out for this one tree, are
a rigid body with thrust, damping of every link, the rotors' gyroscopic and reaction torques, and contacts. Masses and
lengths are the model's, damping and solver settings are Bullet's defaults.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from marvel_envs import quaternions
from marvel_envs.bullet import arena, contact
from marvel_envs.bullet.contact import Contacts, Joints

GRAVITY = 9.81  # m/s²
MASS, ROTOR_MASS = 1.42, 0.005  # kg, in all and of each rotor
DIRECTIONS = np.array([1.0, -1.0, 1.0, -1.0])
ROTORS = np.array([[0.34, 0.0, 0.02], [0.0, -0.34, 0.02], [-0.34, 0.0, 0.02], [0.0, 0.34, 0.02]])  # m, body frame
ROTOR_RADIUS, ROTOR_HALF_HEIGHT, ROTOR_CORNERS = 0.28, 0.005, 32  # m, m, of the prisms that collide
ROTOR_MARGIN, ROTOR_REACH = 0.001, 0.0056  # m around them, and distance at which they count as near
BODY = np.array([0.3, 0.3, 0.17])  # m, half extents of the box that collides
BODY_INERTIA = np.array([0.055487, 0.055487, 0.084])  # kg·m²
ROTOR_INERTIA = np.array([1.3354e-4, 1.3354e-4, 2.6667e-4])  # kg·m²; the last about its axle
DAMPING = 0.04  # 1/s, and 1/m or 1/rad for the part that grows with speed: Bullet's default for every link
ACTION_RANGE = 0.1  # of the hover speed
MOTOR_TORQUE = 23.444  # N·m, largest
# Thrust of an AscTec Hummingbird's propeller as a function of its speed and of the inflow.
PROPELLER_RADIUS, PITCH, AIR_DENSITY = 0.14, 4.7 * 0.0254, 1.225  # m, m per turn, kg/m³
AREA = np.pi * PROPELLER_RADIUS**2
_SLIP = (2 * PROPELLER_RADIUS / (3.29546 * PITCH)) ** 1.5
HOVER_SPEED = 2 * np.pi / PITCH * np.sqrt(MASS * GRAVITY / 4 / (AIR_DENSITY * AREA * _SLIP))  # rad/s
FRICTION = 0.5

CENTER = ROTOR_MASS / MASS * ROTORS.sum(axis=0)  # centre of mass, body frame


def _inertia() -> np.ndarray:
    """`[3, 3]` of the whole, about the centre of mass."""
    total = np.diag(BODY_INERTIA + 4 * ROTOR_INERTIA)
    for mass, place in [(MASS - 4 * ROTOR_MASS, np.zeros(3)), *((ROTOR_MASS, rotor) for rotor in ROTORS)]:
        offset = place - CENTER
        total += mass * (offset @ offset * np.eye(3) - np.outer(offset, offset))
    return total


INERTIA = _inertia()
TILT_INERTIA = INERTIA - np.diag([0, 0, 4 * ROTOR_INERTIA[2]])  # without the rotors' about their axles
_CORNERS = BODY * np.array([[1, 1, -1], [1, -1, -1], [-1, 1, -1], [-1, -1, -1]])  # the lower ones: upright it lands


class DroneState(struct.PyTreeNode):
    """Physics of one drone in SI units and the world frame; complete, so that a state can be stored and restored.

    Attributes:
      position: `[3]` of the body's origin.
      velocity: `[3]` of the same.
      quaternion: `[4]` orientation (x, y, z, w).
      angular_velocity: `[3]`.
      rotor_speed: `[4]` about each axle, signed, rad/s.
      rotor_angle: `[4]` about each axle, rad.
    """

    position: jax.Array
    velocity: jax.Array
    quaternion: jax.Array
    angular_velocity: jax.Array
    rotor_speed: jax.Array
    rotor_angle: jax.Array


def thrust(rotor_speed: jax.Array, climb: jax.Array) -> jax.Array:
    """`[4]` newton of rotors at `[4]` rad/s on a body that moves with `climb` m/s along its own up-axis."""
    advance = jnp.abs(rotor_speed) / (2 * jnp.pi) * PITCH
    return AIR_DENSITY * AREA * _SLIP * (advance**2 - advance * climb)


def _rims(rotation: jax.Array, rotor_angle: jax.Array, direction: jax.Array) -> jax.Array:
    """`[4, 3]` from each hub to the corner of its rotor that is farthest along `direction` `[3]`.

    To Bullet a rotor is a prism, and where its corners are matters: one that spins with 461 rad/s hits hard.
    """
    x, y, z = direction @ rotation
    step = 2 * jnp.pi / ROTOR_CORNERS
    angle = rotor_angle + step * jnp.round((jnp.arctan2(y, x) - rotor_angle) / step)
    height = jnp.full(4, ROTOR_HALF_HEIGHT) * jnp.sign(z)
    corner = jnp.stack([ROTOR_RADIUS * jnp.cos(angle), ROTOR_RADIUS * jnp.sin(angle), height], axis=1)
    return corner @ rotation.T


def _rows(directions: jax.Array, bodies: jax.Array, rims: jax.Array, rotation: jax.Array) -> jax.Array:
    """Rows `[k, 10]` of the speeds of k points along `directions` `[k, 3]`.

    Generalized velocities are the centre's (3), the body's angular ones (3) and each rotor's about its axle in the
    world (4). Points lie at arms `bodies` from the centre, or on the rotors at `rims` `[4, 3]` from their hubs: with
    rims given, k is 4 and `bodies` are the hubs' arms.
    """
    axle = rotation[:, 2]
    levers = jnp.cross(bodies, directions)
    spins = jnp.zeros((len(directions), 4))
    if rims is not None:
        rim_levers = jnp.cross(rims, directions)
        about_axle = rim_levers @ axle
        levers = levers + rim_levers - about_axle[:, None] * axle
        spins = jnp.diag(about_axle)
    return jnp.concatenate([directions, levers, spins], axis=1)


def _contacts(normal, arms, rims, rotation, distance, active, friction: float) -> Contacts:
    """Contacts with one plane of the given normal `[3]`; see `_rows` for arms and rims."""
    directions = [normal, *contact.tangents(normal)]
    rows = [_rows(jnp.broadcast_to(d, arms.shape), arms, rims, rotation) for d in directions]
    return contact.contacts(rows[0], jnp.stack(rows[1:], axis=1), distance, active, FRICTION * friction)


def _ground_contacts(drone: DroneState, rotation: jax.Array, walled: bool) -> Contacts:
    """Lower corners of the body and lowest corners of the rotors against z = 0."""
    up = jnp.array([0.0, 0.0, 1.0])
    arms = _CORNERS @ rotation.T
    points = drone.position + arms
    height = points[:, 2]
    active = arena.over_ground(points, walled) & (height < 0)
    body = _contacts(up, arms - rotation @ CENTER, None, rotation, height, active, arena.GROUND_FRICTION)
    hubs, rims = ROTORS @ rotation.T, _rims(rotation, drone.rotor_angle, -up)
    points = drone.position + hubs + rims
    height = points[:, 2] - ROTOR_MARGIN
    active = arena.over_ground(points, walled) & (height < ROTOR_REACH)
    rotors = _contacts(up, hubs - rotation @ CENTER, rims, rotation, height, active, arena.GROUND_FRICTION)
    return body.joined(rotors)


def _wall_contacts(drone: DroneState, rotation: jax.Array) -> Contacts:
    """Rotors against the nearest wall of the octagon."""
    outwards = arena.nearest_wall(drone.position)
    hubs, rims = ROTORS @ rotation.T, _rims(rotation, drone.rotor_angle, outwards)
    distance, held = arena.wall_distance(drone.position + hubs + rims, outwards)
    distance = distance - ROTOR_MARGIN
    active = held & (distance < ROTOR_REACH)
    return _contacts(-outwards, hubs - rotation @ CENTER, rims, rotation, distance, active, arena.WALL_FRICTION)


def ground_touches(drone: DroneState, dt: float, walled: bool) -> jax.Array:
    """`[]` how many links touch the ground: those that did when the last step of `dt` seconds began, as Bullet says."""
    position = drone.position - dt * drone.velocity
    rotation = quaternions.matrix(quaternions.turned(drone.quaternion, drone.angular_velocity, -dt))
    touching = _ground_contacts(drone.replace(position=position), rotation, walled).active
    return jnp.any(touching[:4]).astype(jnp.float32) + jnp.sum(touching[4:])


def advance(drone: DroneState, action: jax.Array, dt: float, substeps: int, walled: bool) -> DroneState:
    """`substeps` steps of `dt` seconds under one action `[4]` in [−1, 1]."""
    target = DIRECTIONS * HOVER_SPEED * (1 + ACTION_RANGE * action)
    up = quaternions.matrix(drone.quaternion)[:, 2]
    # Bullet turns forces into the world frame with the orientation of one step ago, and keeps them for all substeps.
    behind = quaternions.matrix(quaternions.turned(drone.quaternion, drone.angular_velocity, -dt))[:, 2]
    forces = thrust(target, drone.velocity @ up)[:, None] * behind

    def step(_, drone: DroneState) -> DroneState:
        return _substep(drone, forces, target, dt, walled)

    return jax.lax.fori_loop(0, substeps, step, drone)


def _damping(speed: jax.Array) -> jax.Array:
    return DAMPING * (1 + jnp.abs(speed))


def _torque(drone: DroneState, rotation: jax.Array, forces: jax.Array) -> jax.Array:
    """`[3]` torque on all but the rotors' spin, about the centre of mass: thrust, damping, and gyroscopic torque."""
    w, axle = drone.angular_velocity, rotation[:, 2]
    local = w @ rotation
    spin = drone.rotor_speed + local[2]
    damped = BODY_INERTIA * local * _damping(jnp.linalg.norm(w))
    tilting = ROTOR_INERTIA[:2] * jnp.sum(_damping(spin)) * local[:2]
    damped = damped + jnp.append(tilting, 0.0)
    momentum = rotation @ (INERTIA @ local) + ROTOR_INERTIA[2] * jnp.sum(drone.rotor_speed) * axle
    arms = (ROTORS - CENTER) @ rotation.T
    return jnp.sum(jnp.cross(arms, forces), axis=0) - rotation @ damped - jnp.cross(w, momentum)


def _substep(drone: DroneState, forces: jax.Array, target: jax.Array, dt: float, walled: bool) -> DroneState:
    rotation = quaternions.matrix(drone.quaternion)
    axle = rotation[:, 2]
    inverse_inertia = rotation @ jnp.asarray(np.linalg.inv(TILT_INERTIA)) @ rotation.T
    offset = rotation @ CENTER
    velocity = drone.velocity + jnp.cross(drone.angular_velocity, offset)  # of the centre of mass
    spin = drone.rotor_speed + drone.angular_velocity @ axle
    drag = DAMPING * (1 + jnp.linalg.norm(velocity)) * velocity
    velocity = velocity + dt * (jnp.sum(forces, axis=0) / MASS - drag - jnp.array([0.0, 0.0, GRAVITY]))
    w = drone.angular_velocity + dt * inverse_inertia @ _torque(drone, rotation, forces)
    spin = spin - dt * _damping(spin) * spin
    motors = Joints(
        row=jnp.concatenate([jnp.zeros((4, 3)), jnp.broadcast_to(-axle, (4, 3)), jnp.eye(4)], axis=1),
        speed=target,
        low=jnp.full(4, -MOTOR_TORQUE * dt),
        high=jnp.full(4, MOTOR_TORQUE * dt),
    )
    contacts = _ground_contacts(drone, rotation, walled)
    if walled:
        contacts = contacts.joined(_wall_contacts(drone, rotation))
    inverse_mass = jax.scipy.linalg.block_diag(jnp.eye(3) / MASS, inverse_inertia, jnp.eye(4) / ROTOR_INERTIA[2])
    solved = contact.solve(jnp.concatenate([velocity, w, spin]), inverse_mass, motors, contacts, dt)
    velocity, w, spin = solved[:3], solved[3:6], solved[6:]
    quaternion = quaternions.turned(drone.quaternion, w, dt)
    offset_after = quaternions.matrix(quaternion) @ CENTER
    rotor_speed = spin - w @ axle
    return DroneState(
        position=drone.position + offset + dt * velocity - offset_after,
        velocity=velocity - jnp.cross(w, offset_after),
        quaternion=quaternion,
        angular_velocity=w,
        rotor_speed=rotor_speed,
        rotor_angle=jnp.mod(drone.rotor_angle + dt * rotor_speed, 2 * jnp.pi),
    )
