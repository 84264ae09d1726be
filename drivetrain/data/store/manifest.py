"""What `manifest.json` of a dataset says: capacity, splits, where records lie, who may be driven, what was left out.

The file is these records as JSON, keys sorted, plus `digest`, the SHA-256 of everything else: a flipped bit is noticed.
"""

import dataclasses
import hashlib
import json
import types
import typing

from drivetrain.data.compile.capacity import Capacity
from drivetrain.data.recordings.recording import SPLITS
from drivetrain.types import InputError

VERSION = 3
"""Version of the on-disk format; a folder of another version is refused."""

Scalar = str | int | float

LATER: dict[str, int | None] = {"levels": 0, "driven": None, "recorder": None}
"""Keys that came after the version: left out at these values, so that what needs them not is as it was."""


@dataclasses.dataclass(frozen=True)
class Worst:
    """What the events say of an ego's own recorded drive, at the worst of its steps."""

    off_route: float  # margins, m
    off_road: float  # of the steps at which the surface is known
    collision: float
    road_unknown: bool  # whether the surface is unknown at some step


@dataclasses.dataclass(frozen=True)
class EgoEntry:
    """One agent that could be controlled: its track, its steps, and why it may not be (`cause`)."""

    track_id: int
    kind: int  # AgentKind
    first: int  # first step, inclusive
    last: int  # last step, inclusive
    cause: str | None = ""  # None: admitted; "": not checked yet; anything else: the reason that keeps it out
    widened: bool = False  # its recorded drive does not keep to the lanes of its route: it needs the corridor
    trimmed: int = 0  # steps off the road at its ends that are left out
    worst: Worst | None = None  # None: not checked yet

    @property
    def in_lanes(self) -> bool:
        """Whether it is whole and keeps to the lanes of its route: no rule of corridors has to do with it."""
        return not self.widened and not self.trimmed


@dataclasses.dataclass(frozen=True)
class Unrouted:
    """A vehicle that drives and has no route: why (no_lane, no_route, other_kinds), and how far it drives."""

    track_id: int
    cause: str
    metres: float


@dataclasses.dataclass(frozen=True)
class Entry:
    """One recording: what it is, and where its record lies."""

    name: str
    file: str
    group: str
    split: str
    source: str
    licence: str
    steps: int
    agents: dict[str, int]  # agents by name of kind
    notes: dict[str, int]  # what was left out, derived or mended
    smoothing: dict[str, Scalar]  # method, cut-off and by how much the tracks moved
    egos: tuple[EgoEntry, ...]
    shard: str = ""
    position: int = -1  # of the record within its shard
    sha256: str = ""  # of the record's bytes
    unrouted: tuple[Unrouted, ...] = ()
    area: tuple[float, ...] = ()  # what its road elements that are observed span along x and y, m
    recorder: int | None = None  # track id of the vehicle that recorded; None: the source does not name it


@dataclasses.dataclass(frozen=True)
class Shard:
    """One ArrayRecord file. A truncated one opens without an error, so its counts stand here."""

    file: str
    records: int
    bytes: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Skipped:
    """A file that gave no recording, and the one-line reason."""

    file: str
    reason: str


@dataclasses.dataclass(frozen=True)
class Manifest:
    """A whole dataset. `recordings` stand in the order of their files."""

    format: int
    dt: float  # s
    capacity: Capacity
    recordings: tuple[Entry, ...] = ()
    shards: tuple[Shard, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    parent: str = ""  # SHA-256 of the manifest of the dataset that this one was selected from
    selection: dict[str, Scalar] = dataclasses.field(default_factory=dict)  # how
    driven: Capacity | None = None  # holds what has egos, where that is less: banks are as large

    def room(self, driven: bool) -> Capacity:
        """What holds every recording, or every one that has egos."""
        return self.driven or self.capacity if driven else self.capacity


def is_plain(name: str) -> bool:
    """Whether a name may stand in a line and for a file: it prints, is no path, and has at most 200 characters."""
    return 0 < len(name) <= 200 and name.isprintable() and not set(name) & {"/", "\\"} and bool(name.strip(". "))


def check_split(where: str, split: str | None) -> None:
    """Raise `InputError`, starting with `where`, on what is neither a split nor None."""
    if split is not None and split not in SPLITS:
        raise InputError(f"{where}: {split!r} (use one of {', '.join(SPLITS)})")


def encode(manifest: Manifest) -> bytes:
    """The manifest as JSON with its digest: the same manifest gives the same bytes."""
    body = dataclasses.asdict(manifest)
    body["capacity"] = _without_later(body["capacity"])
    body["recordings"] = [_without_later(entry) for entry in body["recordings"]]
    return seal(_without_later(body))


def _without_later(body: dict[str, typing.Any]) -> dict[str, typing.Any]:
    return {key: value for key, value in body.items() if key not in LATER or LATER[key] != value}


def decode(data: bytes, file: str) -> Manifest:
    """The manifest that `data` spells. Raises `InputError` naming a key that is missing, unknown or of a wrong type."""
    manifest = parse(Manifest, unseal(data, file), file)
    _check(manifest, file)
    return manifest


def seal(body: dict[str, typing.Any]) -> bytes:
    """JSON, keys sorted, with the digest of everything else under `digest`."""
    return (json.dumps(body | {"digest": _digest(body)}, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def unseal(data: bytes, file: str) -> dict[str, typing.Any]:
    """What `seal` was given. Raises `InputError` on damage, and on another version under `format`."""
    try:
        body = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: not JSON: {error} (convert the dataset again)") from None
    if not isinstance(body, dict):
        raise InputError(f"{file}: expected an object, found {type(body).__name__} (convert the dataset again)")
    if body.get("format") != VERSION:
        raise InputError(
            f"{file}: format: {body.get('format')!r}, this version reads {VERSION} (convert the dataset again)"
        )
    digest = body.pop("digest", None)
    if digest != _digest(body):
        raise InputError(f"{file}: digest: the content was changed or damaged (convert the dataset again)")
    return body


def _check(manifest: Manifest, file: str) -> None:
    """What types cannot say: unique names, known splits, whole groups, positions within their shards."""
    seen: set[str] = set()
    split_of: dict[str, str] = {}
    records = {shard.file: shard.records for shard in manifest.shards}
    for entry in manifest.recordings:
        if not is_plain(entry.name):
            raise InputError(f"{file}: recordings: name: {ascii(entry.name)[:80]} is no plain name (convert again)")
        where = f"{file}: recordings: {entry.name}"
        if entry.name in seen:
            raise InputError(f"{where}: named twice (convert the dataset again)")
        if entry.split not in SPLITS:
            raise InputError(f"{where}: split: {entry.split!r}, not one of {', '.join(SPLITS)} (convert again)")
        if split_of.setdefault(entry.group, entry.split) != entry.split:
            raise InputError(f"{where}: group {entry.group} straddles two splits (convert it to one split)")
        if not 0 <= entry.position < records.get(entry.shard, 0):
            raise InputError(f"{where}: no record {entry.position} in {entry.shard!r} (convert the dataset again)")
        seen.add(entry.name)
    for shard in manifest.shards:
        if not is_plain(shard.file) or shard.file.startswith("."):
            raise InputError(f"{file}: shards: {shard.file!r} is not a plain file name (convert the dataset again)")


def _digest(body: dict[str, typing.Any]) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _refuse_constant(word: str) -> typing.NoReturn:
    raise ValueError(f"{word} is not a number of JSON")


def parse(expected: typing.Any, value: typing.Any, file: str, where: str = "") -> typing.Any:
    """JSON's `value` as the type `expected`: a record, a tuple or dict of one type, a union of scalars, a scalar."""
    origin, arguments = typing.get_origin(expected), typing.get_args(expected)
    if isinstance(value, dict):  # a record, or None
        expected = next((one for one in arguments if dataclasses.is_dataclass(one)), expected)
    if dataclasses.is_dataclass(expected) and isinstance(value, dict):
        hints = typing.get_type_hints(expected)
        value = {key: default for key, default in LATER.items() if key in hints} | value
        for name in hints.keys() ^ value.keys():
            what = "missing" if name in hints else "unknown"
            raise InputError(f"{file}: {where}{name}: {what} key (convert the dataset again)")
        parts = {name: parse(hint, value[name], file, f"{where}{name}.") for name, hint in hints.items()}
        return typing.cast(typing.Any, expected)(**parts)
    if origin is tuple and isinstance(value, list):
        return tuple(parse(arguments[0], item, file, f"{where}{index}.") for index, item in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {key: parse(arguments[1], item, file, f"{where}{key}.") for key, item in value.items()}
    allowed = arguments if origin in (types.UnionType, typing.Union) else (expected,)
    if float in allowed and type(value) is int and int not in allowed:
        return float(value)
    if type(value) not in allowed:
        raise InputError(f"{file}: {where.rstrip('.')}: unexpected {type(value).__name__} (convert the dataset again)")
    return value
