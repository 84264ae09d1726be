"""Track tables in INTERACTION's layout: one row a road user and frame.

Columns: track_id, frame_id, timestamp_ms, agent_type, x, y, vx, vy, and for vehicles psi_rad, length, width; others are
ignored. Positions are of the box centre, in metres in the map's frame. Rows without a size get the usual one of their
kind, rows without a heading the course of their velocity.

Shapes: r rows.
"""

import io
from collections import Counter
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from drivetrain.data.readers.body_sizes import MAX_SIZE, SIZES
from drivetrain.data.readers.hardened_xml import MAX_NUMBER, quote, refuse
from drivetrain.data.readers.leaving_out import OBJECTS_UNREADABLE, left_out, repeated
from drivetrain.data.recordings.recording import Tracks
from drivetrain.data.recordings.series import wrapped
from drivetrain.data.recordings.unpacking import check_file, read_bytes
from drivetrain.types import AgentKind

CLIP = 20.0  # s; a longer table is cut
LEAST_CLIP = 4.0  # s; a shorter rest stays with the clip before it
DT = (0.01, 1.0)  # s
MAX_FRAME = 10_000_000
MAX_STATES = 20_000_000  # tracks x steps: memory
MAX_SPEED = 150.0  # m/s
NAME = 24  # characters of an id or a kind
CRAWL = 0.3  # m/s; slower than this, a course tells no heading

KINDS = {
    "car": AgentKind.CAR,
    "van": AgentKind.CAR,
    "truck": AgentKind.TRUCK,
    "bus": AgentKind.BUS,
    "motorcycle": AgentKind.MOTORCYCLE,
    "bicycle": AgentKind.BICYCLE,
    "pedestrian": AgentKind.PEDESTRIAN,
    "pedestrian/bicycle": AgentKind.PEDESTRIAN,
}
NEEDED = ("track_id", "frame_id", "timestamp_ms", "agent_type", "x", "y", "vx", "vy")
EXTRA = ("psi_rad", "length", "width")


class Table(NamedTuple):
    """All rows of one or two files, in the map's frame; NaN where a row has no heading or size."""

    track: Int[np.ndarray, "r"]  # row of `names`
    frame: Int[np.ndarray, "r"]
    kind: Int[np.ndarray, "r"]
    values: Float[np.ndarray, "r 7"]  # x, y, vx, vy, heading, length, width
    names: tuple[str, ...]
    ids: Int[np.ndarray, "_"]  # of `names`
    dt: float  # s
    other_kinds: int  # rows of no known kind
    either: int  # rows that may be a pedestrian or a bicycle
    unreadable: int  # tracks that are left out

    @property
    def clips(self) -> list[tuple[int, int]]:
        """First and last frame of each clip."""
        first, last = int(self.frame.min()), int(self.frame.max())
        length = max(round(CLIP / self.dt), 2)
        starts = list(range(first, last + 1, length))
        if len(starts) > 1 and (last - starts[-1] + 1) * self.dt < LEAST_CLIP:
            starts.pop()
        return [(start, end - 1) for start, end in zip(starts, [*starts[1:], last + 1], strict=True)]


def read_table(files: tuple[str, ...]) -> Table:
    """The rows of some files of one recording; the last one read is kept."""
    states = [check_file(file) for file in files]
    return _read_table(files, tuple((state.st_mtime_ns, state.st_size) for state in states))


@lru_cache(maxsize=1)
def _read_table(files: tuple[str, ...], _: tuple[tuple[int, int], ...]) -> Table:
    parts = [_read_file(file) for file in files]
    label = np.concatenate([part[0] for part in parts])
    kind = np.concatenate([part[1] for part in parts])
    numbers = np.concatenate([part[2] for part in parts])
    notes: Counter[str] = Counter()
    odd = np.concatenate([part[3] for part in parts]) | repeated(label, numbers[:, 0])
    kept = left_out(label, np.ones(len(label), bool), odd, notes)
    if np.isnan(numbers[kept & odd, 2:6]).any() or (odd & kept & ~repeated(label, numbers[:, 0])).any():
        refuse(f"{files[0]}: rows", "one of every track is beyond sense", "restore the file")
    label, kind, numbers = label[kept], kind[kept], numbers[kept]
    names, track = np.unique(label, return_inverse=True)
    frame = numbers[:, 0].astype(np.int64)
    dt = _interval(files[0], frame, numbers[:, 1])
    order = np.lexsort((frame, track))
    same = (np.diff(track[order]) == 0) & (np.diff(frame[order]) == 0)
    if same.any():
        row = order[np.flatnonzero(same)[0]]
        where = f"{files[0]}: track_id {quote(str(label[row]))}: frame_id {frame[row]}"
        refuse(where, "two rows for one track and frame", "keep one")
    kinds = np.array([KINDS.get(str(word).lower(), AgentKind.OTHER) for word in np.unique(kind)])
    place = np.unique(kind, return_inverse=True)[1]
    words = np.char.lower(kind)
    return Table(
        track=track,
        frame=frame,
        kind=kinds[place].astype(np.int64),
        values=numbers[:, 2:],
        names=tuple(str(name) for name in names),
        ids=_ids([str(name) for name in names]),
        dt=dt,
        other_kinds=int((kinds[place] == AgentKind.OTHER).sum()),
        either=int((words == "pedestrian/bicycle").sum()),
        unreadable=notes[OBJECTS_UNREADABLE],
    )


def _read_file(file: str) -> tuple[np.ndarray, np.ndarray, Float[np.ndarray, "r 9"], Bool[np.ndarray, "r"]]:
    """Names, kinds and numbers (frame, time, values of a table) of one file, and which rows are beyond sense."""
    try:
        text = read_bytes(file).decode("utf-8-sig")
    except UnicodeDecodeError:
        refuse(file, "not UTF-8", "restore the file")
    header = [name.strip() for name in text.partition("\n")[0].split(",")]
    missing = [name for name in NEEDED if name not in header]
    if missing:
        refuse(file, f"no column {missing[0]}", "give INTERACTION's columns")
    numeric = [name for name in (*NEEDED, *EXTRA) if name in header and name not in ("track_id", "agent_type")]
    try:
        stream = [line for line in text.splitlines()[1:] if line.strip()]
        if not stream:
            refuse(file, "no rows", "leave the file out")
        names = _column(stream, [header.index("track_id"), header.index("agent_type")], f"U{NAME}")
        cells = _column(stream, [header.index(name) for name in numeric], "f8")
    except ValueError as error:
        refuse(file, f"not a table: {quote(str(error))}", "restore the file")
    names = np.char.strip(names)
    if (np.char.str_len(names) >= NAME).any():
        refuse(f"{file}: track_id", f"a word of {NAME} characters or more", "restore the file")
    numbers = np.full((len(cells), 9), np.nan)
    for column, name in enumerate((*NEEDED[1:3], *NEEDED[4:], *EXTRA)):
        if name in numeric:
            numbers[:, column] = cells[:, numeric.index(name)]
    return names[:, 0], names[:, 1], numbers, _odd(file, numbers, [name in numeric for name in EXTRA])


def _column(lines: list[str], columns: list[int], dtype: str) -> np.ndarray:
    return np.loadtxt(io.StringIO("\n".join(lines)), dtype, delimiter=",", comments=None, usecols=columns, ndmin=2)


def _odd(file: str, numbers: Float[np.ndarray, "r 9"], extra: list[bool]) -> Bool[np.ndarray, "r"]:
    """Rows that hold what is not finite or beyond sense, of an object's place or size.

    Refuses frames and times beyond sense, and a file of such rows alone.
    """
    odd = np.zeros(len(numbers), bool)
    columns = (*NEEDED[1:3], *NEEDED[4:], *EXTRA)
    given = [True] * 6 + extra
    limits = (MAX_FRAME, MAX_NUMBER * 10, MAX_NUMBER, MAX_NUMBER, MAX_SPEED, MAX_SPEED, 1e4, MAX_SIZE, MAX_SIZE)
    for column, (name, limit) in enumerate(zip(columns, limits, strict=True)):
        values = numbers[:, column]
        beyond = ~(np.abs(values) <= limit) & given[column]
        if name in ("length", "width"):
            beyond |= values <= 0.0
        if beyond.any():
            row = int(np.flatnonzero(beyond)[0])
            where, what = f"{file}: row {row + 2}: {name}", f"{values[row]:g}"
            if column < 2 or (odd | beyond).all():
                refuse(where, what, f"give a number up to {limit:g}")
            odd |= beyond
    if (numbers[:, 0] != np.round(numbers[:, 0])).any() or (numbers[:, 0] < 0).any():
        refuse(f"{file}: frame_id", "not a whole number", "restore the file")
    return odd


def _interval(file: str, frame: Int[np.ndarray, "r"], time: Float[np.ndarray, "r"]) -> float:
    """Seconds between frames. Raises `InputError` where time does not go on with them."""
    frames, first = np.unique(frame, return_index=True)
    if len(frames) < 2:
        refuse(f"{file}: frame_id", "one frame alone", "leave the file out")
    seconds = time[first] / 1000.0
    dt = float(seconds[-1] - seconds[0]) / float(frames[-1] - frames[0])
    if not DT[0] <= dt <= DT[1]:
        refuse(f"{file}: timestamp_ms", f"{dt:g} s a frame", f"give {DT[0]:g} to {DT[1]:g} s")
    start = seconds[0] - dt * frames[0]
    if np.abs(time / 1000.0 - start - dt * frame).max() > 0.5 * dt:
        refuse(f"{file}: timestamp_ms", "does not go on evenly with frame_id", "restore the file")
    return round(dt, 6)


def _ids(names: list[str]) -> Int[np.ndarray, "_"]:
    """Numbers of tracks: their own where they are numbers, the next ones above for others (P1, P2, …)."""
    own = [int(name) if name.isascii() and name.isdigit() and len(name) < 16 else -1 for name in names]
    seen: set[int] = set()
    above, result = max([*own, 0]) + 1, []
    for id in own:
        if id < 0 or id in seen:
            id, above = above, above + 1
        seen.add(id)
        result.append(id)
    return np.array(result, np.int64)


def clip_tracks(file: str, table: Table, clip: int, origin: Float[np.ndarray, "2"], notes: Counter[str]) -> Tracks:
    """The tracks of one clip, less `origin`."""
    first, last = table.clips[clip]
    within = np.flatnonzero((table.frame >= first) & (table.frame <= last))
    present, track = np.unique(table.track[within], return_inverse=True)
    steps = last - first + 1
    if steps * len(present) > MAX_STATES:
        refuse(f"{file}: frame_id", f"{len(present)} tracks over {steps} steps", "split the file")
    step, values = table.frame[within] - first, table.values[within]
    shape = (len(present), steps)
    position, velocity = np.zeros((*shape, 2)), np.zeros((*shape, 2))
    heading, valid = np.zeros(shape), np.zeros(shape, bool)
    position[track, step], velocity[track, step] = values[:, :2] - origin, values[:, 2:4]
    valid[track, step] = True
    heading[track, step] = values[:, 4]
    kind = np.zeros(len(present), np.int32)
    size = np.full((len(present), 2), np.nan)
    kind[track[::-1]], size[track[::-1]] = table.kind[within][::-1], values[::-1, 5:]  # the first row's counts
    for row in range(len(present)):
        told = valid[row] & ~np.isnan(heading[row])
        if not told.all():
            heading[row] = np.where(valid[row], _course(velocity[row], valid[row], heading[row]), 0.0)
        if np.isnan(size[row]).any():
            size[row] = SIZES[AgentKind(int(kind[row]))]
            notes["sizes_by_default"] += 1
    notes[OBJECTS_UNREADABLE] += table.unreadable if clip == 0 else 0
    notes["rows_of_other_kinds"] += table.other_kinds if clip == 0 else 0
    notes["pedestrians_or_bicycles"] += (
        len(np.unique(track[kind[track] == AgentKind.PEDESTRIAN])) if table.either else 0
    )
    heading = wrapped(heading)
    return Tracks(
        id=table.ids[present],
        kind=kind,
        length=size[:, 0],
        width=size[:, 1],
        position=position,
        heading=np.where(valid, heading, 0.0),
        velocity=velocity,
        valid=valid,
    )


def _course(velocity: np.ndarray, valid: np.ndarray, heading: np.ndarray) -> np.ndarray:
    """Headings of one track: as told, else its course where it moves, else the nearest in time that is known."""
    told = valid & ~np.isnan(heading)
    moving = valid & (np.linalg.norm(velocity, axis=1) > CRAWL)
    course = np.arctan2(velocity[:, 1], velocity[:, 0])
    known = told | moving
    if not known.any():
        return np.zeros(len(heading))
    values = np.where(told, heading, course)
    at = np.flatnonzero(known)
    steps = np.arange(len(heading))
    after = np.clip(np.searchsorted(at, steps), 0, len(at) - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(np.abs(at[before] - steps) <= np.abs(at[after] - steps), at[before], at[after])
    return values[nearest]
