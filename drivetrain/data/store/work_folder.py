"""A conversion's work folder, `.OUT.work` beside OUT: what a killed conversion has done, it has done.

    plan.json      what is converted, and how: another command is refused
    parts/N        the result of the plan's N-th file, until its shard is written
    shards/N.json  what the N-th shard holds, once it is written
    dataset/       the shards; with the manifest it becomes OUT

Every file gets its name when it is whole, and carries its checksum, so that a file counts exactly if it is there and
sound. A shard holds the scenes of `RECORDS_PER_SHARD` consecutive files of the plan, whoever converted them, so that
the bytes do not depend on workers or interruptions.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from drivetrain.atomic import sync_folder, write_atomically
from drivetrain.data.compile.capacity import MOST, NOTHING, Capacity, union
from drivetrain.data.store.atomic_folder import empty, locked
from drivetrain.data.store.manifest import VERSION, Entry, Shard, Skipped, parse, seal, unseal
from drivetrain.data.store.records import RECORDS_PER_SHARD, shard_name, write_shard
from drivetrain.data.store.shards import Packed
from drivetrain.types import InputError

Result = Packed | Skipped


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is converted, and how. What does not change a scene's bytes (workers, splits, failures) is not in it."""

    format: str
    dt: float  # s
    version: str  # of Drivetrain
    files: tuple[str, ...]
    capacity: Capacity = MOST
    strict: bool = False

    def describe(self) -> dict[str, str | int | float]:
        """The plan in few words, to be compared."""
        digest = hashlib.sha256("\0".join(self.files).encode(errors="surrogateescape")).hexdigest()
        about = {"converter": self.format, "dt": self.dt, "version": self.version, "files": len(self.files)}
        most = " ".join(f"{name} {size}" for name, size in vars(self.capacity).items())
        return about | {"capacity": most, "strict": int(self.strict), "digest of files": digest}

    @property
    def shards(self) -> int:
        """How many shards there will be."""
        return -(-len(self.files) // RECORDS_PER_SHARD)

    def of_shard(self, number: int) -> range:
        """The files whose scenes one shard holds."""
        return range(number * RECORDS_PER_SHARD, min((number + 1) * RECORDS_PER_SHARD, len(self.files)))


@dataclasses.dataclass(frozen=True)
class Done:
    """A shard that is written, and what came of its files."""

    shard: Shard  # of no records, and no name, where every file was skipped
    capacity: Capacity
    driven: Capacity  # holds what has egos
    entries: tuple[Entry, ...]
    skipped: tuple[Skipped, ...]
    stamps: tuple[str, ...]  # of its files, when they were read


@contextlib.contextmanager
def open_work(out: Path, plan: Plan, overwrite: bool) -> Iterator[Path]:
    """The work folder of `out`, held alone: a new one, or that of the same conversion, interrupted.

    It stays when the block fails. Raises `InputError` where another conversion was interrupted here, where `out` is in
    the way, or where another process holds the folder.
    """
    folder = out.parent / f".{out.name}.work"
    with locked(folder, out, overwrite):
        known = _known(folder)
        if known is None:
            empty(folder)
            for name in ("parts", "shards"):
                (folder / name).mkdir()
            write_atomically(folder / "plan.json", seal({"format": VERSION} | plan.describe()))
            (folder / "dataset").mkdir()
            sync_folder(folder)
        else:
            for name, value in plan.describe().items():
                if known.get(name) != value:
                    raise InputError(
                        f"{out}: {name}: {value} where the conversion that was interrupted here has {known.get(name)} "
                        f"(repeat its command to continue it, or delete {folder} to start over)"
                    )
        yield folder


def _known(folder: Path) -> dict | None:
    """The plan of an interrupted conversion; None where there is none, or nothing can be built on it."""
    if not (folder / "dataset").is_dir():
        return None
    try:
        return unseal((folder / "plan.json").read_bytes(), str(folder / "plan.json"))
    except (OSError, InputError):
        return None


def close_work(folder: Path) -> None:
    """Delete a work folder whose dataset has its name, or from which nothing can be made."""
    shutil.rmtree(folder, ignore_errors=True)


def stamp(file: str) -> str:
    """What tells a file from a later one of the same name; of `FILE#SCENE`, the file's."""
    for path in (file, file.rpartition("#")[0]):
        with contextlib.suppress(OSError):
            status = os.stat(path)
            return f"{status.st_size} {status.st_mtime_ns}"
    return ""


# ---------------------------------------------------------------------------------------------------------------- parts


def write_part(folder: Path, number: int, result: Result, seen: str) -> None:
    """Keep one file's result; `seen` is the file's stamp when it was read."""
    if isinstance(result, Skipped):
        body, data = {"skipped": dataclasses.asdict(result)}, b""
    else:
        body = {"entry": dataclasses.asdict(result.entry), "extent": vars(result.extent)}
        data = result.data
    line = json.dumps(body | {"stamp": seen}, sort_keys=True, allow_nan=False).encode() + b"\n"
    path = folder / "parts" / f"{number:09d}"
    content = line + data
    try:
        write_atomically(path, hashlib.sha256(content).digest() + content)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror} (make room, then run the same command again)") from None


def read_part(folder: Path, number: int, file: str) -> Result | None:
    """One file's result; None where there is none, none that is sound, or the file has changed since."""
    path = folder / "parts" / f"{number:09d}"
    try:
        raw = path.read_bytes()
    except OSError:
        return None
    digest, content = raw[:32], raw[32:]
    if hashlib.sha256(content).digest() != digest:
        return None
    line, _, data = content.partition(b"\n")
    body = json.loads(line)
    if body["stamp"] != stamp(file):
        return None
    if "skipped" in body:
        return parse(Skipped, body["skipped"], str(path))
    return Packed(parse(Entry, body["entry"], str(path)), parse(Capacity, body["extent"], str(path)), data)


# --------------------------------------------------------------------------------------------------------------- shards


def assemble(folder: Path, number: int, first: int, files: tuple[str, ...]) -> None:
    """Write one shard from the parts of its files (the plan's, from `first` on), record it, and delete the parts."""
    name, entries, skipped = shard_name(number), [], []
    capacity, driven, stamps = NOTHING, NOTHING, tuple(stamp(file) for file in files)

    def records() -> Iterator[bytes]:
        nonlocal capacity, driven
        for at, file in enumerate(files, start=first):
            result = read_part(folder, at, file)
            if result is None:
                raise InputError(f"{file}: changed while it was converted (run the same command again)")
            if isinstance(result, Skipped):
                skipped.append(result)
                continue
            entries.append(dataclasses.replace(result.entry, shard=name, position=len(entries)))
            capacity = union(capacity, result.extent)
            driven = union(driven, result.extent) if result.entry.egos else driven
            yield result.data

    shard = write_shard(folder / "dataset" / name, records())
    if not entries:
        (folder / "dataset" / name).unlink()
        shard = Shard("", 0, 0, "")
    done = Done(shard, capacity, driven, tuple(entries), tuple(skipped), stamps)
    try:
        write_atomically(folder / "shards" / f"{number:05d}.json", seal({"format": VERSION} | dataclasses.asdict(done)))
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror} (make room, then run the same command again)") from None
    for at in range(first, first + len(files)):
        (folder / "parts" / f"{at:09d}").unlink(missing_ok=True)


def read_done(folder: Path, number: int, files: tuple[str, ...]) -> Done | None:
    """What a shard holds; None where it is not written, is unsound, or a file has changed since."""
    path = folder / "shards" / f"{number:05d}.json"
    try:
        body = unseal(path.read_bytes(), str(path))
        del body["format"]
        done: Done = parse(Done, body, str(path))
        size = (folder / "dataset" / done.shard.file).stat().st_size if done.entries else 0
    except (OSError, InputError):
        return None
    if size != done.shard.bytes or done.stamps != tuple(stamp(file) for file in files):
        return None
    return done
