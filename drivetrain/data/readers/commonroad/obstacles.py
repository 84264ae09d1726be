"""The road users of a CommonRoad document (formats 2018b and 2020a)."""

from collections import Counter
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np

from drivetrain.data.readers.hardened_xml import by_id, integer, number, point, points, quantity, refuse
from drivetrain.data.readers.leaving_out import readable
from drivetrain.data.recordings.recording import Tracks
from drivetrain.types import AgentKind

UNREADABLE = "objects_unreadable"
MAX_STEP = 1_000_000
MAX_STEPS = 36_000  # an hour at 10 Hz
MAX_STATES = 20_000_000  # tracks x steps: memory
MAX_SIZE = 100.0  # m
MAX_SPEED = 150.0  # m/s
STANDING = 0.02  # m a step; the path of what moves less has no direction

KINDS = {
    "car": AgentKind.CAR,
    "parkedVehicle": AgentKind.CAR,
    "priorityVehicle": AgentKind.CAR,
    "taxi": AgentKind.CAR,
    "truck": AgentKind.TRUCK,
    "bus": AgentKind.BUS,
    "motorcycle": AgentKind.MOTORCYCLE,
    "bicycle": AgentKind.BICYCLE,
    "pedestrian": AgentKind.PEDESTRIAN,
}
SCENERY = {"roadBoundary", "building", "median_strip", "medianStrip"}  # no road user, and no box


class Pose(NamedTuple):
    """One state of a road user, in the document's own frame."""

    step: int
    x: float
    y: float
    heading: float  # rad; NaN: not given
    speed: float  # m/s along the heading; NaN: not given
    sideways: float  # m/s to the left of the heading


class Obstacle(NamedTuple):
    """A road user as read: poses in the document's frame, already at the box centre."""

    id: int
    kind: AgentKind
    length: float
    width: float
    static: bool
    poses: list[Pose]


def read_obstacles(file: str, root: Element, notes: Counter[str]) -> list[Obstacle]:
    """All road users; scenery, phantoms and sets of occupancies are left out and counted."""
    dynamic, static = by_id(file, root, "dynamicObstacle"), by_id(file, root, "staticObstacle")
    old = by_id(file, root, "obstacle")
    if twice := (dynamic.keys() & static.keys()) | (old.keys() & (dynamic.keys() | static.keys())):
        refuse(f"{file}: obstacle {min(twice)}", "two obstacles with this id", "make the ids unique")
    roles = {id: element.findtext("role", "").strip() for id, element in old.items()}
    for id, role in roles.items():
        if role not in ("static", "dynamic"):
            refuse(f"{file}: obstacle {id}: role", "neither static nor dynamic", "give the role")
    named = [(id, item, item.findtext("type", "").strip()) for id, item in {**old, **dynamic, **static}.items()]
    users = [one for one in named if one[2] not in SCENERY]
    notes["scenery_left_out"] += len(named) - len(users)
    notes["other_obstacle_types"] += sum(name not in KINDS for *_, name in users)

    def read_one(user: tuple[int, Element, str]) -> Obstacle:
        id, element, name = user
        parked = id in static or roles.get(id) == "static"
        return _obstacle(f"{file}: obstacle {id}", id, element, KINDS.get(name, AgentKind.OTHER), parked, notes)

    obstacles = readable(users, read_one, notes, UNREADABLE)
    notes["scenery_left_out"] += len(root.findall("environmentObstacle"))
    notes["phantoms_left_out"] += len(root.findall("phantomObstacle"))
    return obstacles


def _obstacle(where: str, id: int, element: Element, kind: AgentKind, static: bool, notes: Counter[str]) -> Obstacle:
    length, width, centre = _box(f"{where}: shape", element.find("shape"))
    states = element.findall("initialState") + ([] if static else element.findall("trajectory/state"))
    if not states:
        refuse(f"{where}: initialState", "missing", "give at least one state")
    notes["occupancy_sets_left_out"] += len(element.findall("occupancySet"))
    poses: dict[int, Pose] = {}
    for state in states:
        pose = _pose(where, state, static, notes)
        if pose.step in poses:
            if not np.array_equal(pose, poses[pose.step], equal_nan=True):
                refuse(f"{where}: time {pose.step}", "two states at one step", "keep one")
            notes["states_given_twice"] += 1
        poses[pose.step] = pose
    ordered = _with_headings(where, [poses[step] for step in sorted(poses)], notes)
    if len(ordered) < 1 + ordered[-1].step - ordered[0].step:
        notes["tracks_with_gaps"] += 1
    return Obstacle(id, kind, length, width, static, [_centred(pose, centre) for pose in ordered])


def _with_headings(where: str, poses: list[Pose], notes: Counter[str]) -> list[Pose]:
    """Headings that are not given are those of the path, counted; of one that stands, those before or after."""
    headings = np.array([pose.heading for pose in poses])
    missing = np.isnan(headings)
    if not missing.any():
        return poses
    if len(poses) > 1:
        moved = np.gradient(np.array([(pose.x, pose.y) for pose in poses]), axis=0)
        course = np.where(np.hypot(*moved.T) > STANDING, np.arctan2(moved[:, 1], moved[:, 0]), np.nan)
        headings = np.where(missing, course, headings)
    known = np.flatnonzero(~np.isnan(headings))
    if not len(known):
        refuse(f"{where}: orientation", "missing, of a road user that does not move", "give it")
    notes["headings_derived"] += int(missing.sum())
    nearest = known[np.abs(np.arange(len(poses))[:, None] - known).argmin(axis=1)]
    return [pose._replace(heading=float(headings[row])) for pose, row in zip(poses, nearest, strict=True)]


def _centred(pose: Pose, centre: tuple[float, float]) -> Pose:
    """A pose of the box's centre, which stands at `centre` in the body's frame."""
    cos, sin = np.cos(pose.heading), np.sin(pose.heading)
    x, y = pose.x + cos * centre[0] - sin * centre[1], pose.y + sin * centre[0] + cos * centre[1]
    return pose._replace(x=x, y=y)


def _box(where: str, shape: Element | None) -> tuple[float, float, tuple[float, float]]:
    """Length, width and centre, in the body's frame, of the box around all parts of a shape."""
    corners: list[np.ndarray] = []
    for part in [] if shape is None else shape:
        if part.tag in ("rectangle", "circle"):
            middle = part.find("center")
            offset = np.array((0.0, 0.0) if middle is None else point(f"{where}: center", middle))
        if part.tag == "rectangle":
            half = 0.5 * np.array([number(f"{where}: {tag}", part.findtext(tag)) for tag in ("length", "width")])
            if half.min() <= 0.0:
                refuse(where, "a side of no length", "give length and width in metres")
            angle = number(f"{where}: orientation", part.findtext("orientation", "0"))
            turned = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
            corners.append(offset + half * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) @ turned)
        elif part.tag == "circle":
            radius = number(f"{where}: radius", part.findtext("radius"))
            corners.append(offset + radius * np.array([[1, 1], [-1, -1]]))
        elif part.tag == "polygon":
            corners.append(points(where, part, least=3))
    if not corners:
        refuse(where, "missing or of no known form", "give a rectangle, circle or polygon")
    low, high = np.min(np.concatenate(corners), axis=0), np.max(np.concatenate(corners), axis=0)
    (length, width), centre = high - low, 0.5 * (high + low)
    if not (min(length, width) > 0.0 and max(length, width, *np.abs(centre)) <= MAX_SIZE):
        refuse(where, f"{length:g} x {width:g} m", f"give sizes above 0 and up to {MAX_SIZE:g} m")
    return float(length), float(width), (float(centre[0]), float(centre[1]))


def _pose(where: str, state: Element, static: bool, notes: Counter[str]) -> Pose:
    time = state.find("time")
    if time is None and static:
        step = 0
    elif time is not None and (exact := time.findtext("exact")) is not None:
        step = integer(f"{where}: time", exact, 0, MAX_STEP)
    else:
        middle = quantity(f"{where}: time", time)
        if not 0 <= middle <= MAX_STEP:
            refuse(f"{where}: time", f"step {middle:g} is not in 0..{MAX_STEP}", "mend the value")
        step = int(middle)
    where = f"{where}: time {step}"
    x, y = _place(f"{where}: position", state.find("position"), notes)
    course = state.find("orientation")
    heading = np.nan if course is None else quantity(f"{where}: orientation", course)
    forward, aside = state.find("velocity"), state.find("velocityY")
    speed = quantity(f"{where}: velocity", forward) if forward is not None else 0.0 if static else np.nan
    sideways = 0.0 if aside is None else quantity(f"{where}: velocityY", aside)
    if abs(speed) > MAX_SPEED or abs(sideways) > MAX_SPEED:
        refuse(f"{where}: velocity", f"faster than {MAX_SPEED:g} m/s", "mend the value")
    return Pose(step, x, y, heading, speed, sideways)


def _place(where: str, position: Element | None, notes: Counter[str]) -> tuple[float, float]:
    """A point; or, where the position is a region, the region's middle (counted)."""
    if position is None:
        refuse(where, "missing", "give a point")
    if (exact := position.find("point")) is not None:
        return point(where, exact)
    notes["regions_taken_by_their_middle"] += 1
    if (middle := position.find("rectangle/center")) is not None or (
        middle := position.find("circle/center")
    ) is not None:
        return point(where, middle)
    x, y = points(where, position.find("polygon"), least=3).mean(axis=0)
    return float(x), float(y)


def time_span(file: str, obstacles: list[Obstacle]) -> tuple[int, int]:
    """The first time step of the moving road users (of all, where none moves) and the number of steps they span."""
    moving = [obstacle for obstacle in obstacles if not obstacle.static] or obstacles
    if not moving:  # a map alone
        return 0, 1
    first = min(obstacle.poses[0].step for obstacle in moving)
    steps = 1 + max(obstacle.poses[-1].step for obstacle in moving) - first
    if steps > MAX_STEPS or steps * len(obstacles) > MAX_STATES:
        refuse(f"{file}: time", f"{len(obstacles)} tracks over {steps} steps", f"split; at most {MAX_STEPS} steps")
    return first, steps


def to_tracks(obstacles: list[Obstacle], origin: tuple[float, float], first: int, steps: int, dt: float) -> Tracks:
    """The road users on the recording's own time axis, less `origin`; what is static stands there at every step."""
    shape = (len(obstacles), steps)
    position, velocity = np.zeros((*shape, 2)), np.zeros((*shape, 2))
    heading, valid = np.zeros(shape), np.zeros(shape, bool)
    for row, obstacle in enumerate(obstacles):
        at = slice(None) if obstacle.static else np.array([pose.step - first for pose in obstacle.poses])
        poses = np.array([pose[1:] for pose in obstacle.poses])
        cos, sin = np.cos(poses[:, 2]), np.sin(poses[:, 2])
        speed, sideways = poses[:, 3], poses[:, 4]
        position[row, at] = poses[:, :2] - origin
        heading[row, at] = np.arctan2(sin, cos)
        velocity[row, at] = np.stack([cos * speed - sin * sideways, sin * speed + cos * sideways], axis=1)
        valid[row, at] = True
        if np.isnan(speed).any():
            times = dt * np.array([pose.step for pose in obstacle.poses])
            derived = np.gradient(poses[:, :2], times, axis=0) if len(poses) > 1 else np.zeros((1, 2))
            velocity[row, at] = np.where(np.isnan(speed)[:, None], derived, velocity[row, at])
    return Tracks(
        id=np.array([obstacle.id for obstacle in obstacles], np.int64),
        kind=np.array([obstacle.kind for obstacle in obstacles], np.int32),
        length=np.array([obstacle.length for obstacle in obstacles]),
        width=np.array([obstacle.width for obstacle in obstacles]),
        position=position,
        heading=heading,
        velocity=velocity,
        valid=valid,
    )
