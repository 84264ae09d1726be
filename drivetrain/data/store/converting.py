"""Files to a dataset: find → read → smooth → resample → compile → write, on all cores, continued after a kill.

Each file's result is kept as soon as it is there, and becomes part of a shard when all of the shard's files are done;
at the end the shards get one manifest. See `work_folder` for what a killed conversion leaves behind.
"""

import dataclasses
import glob
import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from drivetrain import __version__
from drivetrain.data.compile.capacity import MOST, NOTHING, Capacity, union
from drivetrain.data.compile.compiling import CompileReport, compile_within
from drivetrain.data.compile.cropping import shorten
from drivetrain.data.compile.drafting import UNROUTED
from drivetrain.data.readers import READERS
from drivetrain.data.recordings.naming import named_apart
from drivetrain.data.recordings.provenance import counted, faults
from drivetrain.data.recordings.recording import Recording
from drivetrain.data.recordings.resampling import resample
from drivetrain.data.recordings.smoothing import smooth
from drivetrain.data.store.atomic_folder import publish
from drivetrain.data.store.dataset_info import corridors_of, count, cropped_of, total
from drivetrain.data.store.manifest import (
    VERSION,
    EgoEntry,
    Entry,
    Manifest,
    Shard,
    Skipped,
    Unrouted,
    check_split,
    is_plain,
)
from drivetrain.data.store.process_pool import spread, tell
from drivetrain.data.store.shards import pack_record, write_manifest
from drivetrain.data.store.splitting import Gate, split_of
from drivetrain.data.store.work_folder import (
    Plan,
    Result,
    assemble,
    close_work,
    open_work,
    read_done,
    read_part,
    stamp,
    write_part,
)
from drivetrain.types import AgentKind, InputError, Scenario, component

Progress = Callable[[int, int, str], None]
"""Called with the number of files done, the number of all, and the last file or what is being done of one.

The first call says what was done before."""

TOGETHER = 8
"""Files that a worker takes at a time, at most: neighbours are often scenes of one file."""


@component
class Settings:
    """How files become a dataset."""

    dt: float = 0.2  # seconds of a step
    workers: int = 1  # processes
    limit: int | None = None  # take the first files only
    split: Literal["train", "val", "test"] | None = None  # put every recording in this split
    overwrite: bool = False  # replace a dataset that stands there
    max_failures: int | None = None  # give up when more files than this cannot be used
    strict: bool = False  # refuse a file of which anything was wrong, and mended or left out
    capacity: Capacity = MOST  # what a recording has at most


SETTINGS = Settings()


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a conversion gave."""

    out: str
    recordings: int
    maps: int  # recordings without road users
    egos: int
    skipped: tuple[Skipped, ...]
    capacity: Capacity
    cropped: dict[str, int]  # for want of room, all recordings together: what is not zero
    faults: dict[str, int]  # of the sources, mended or left out: likewise
    corridors: dict[str, int]  # borders of lanes beyond which routes go, by rule (`data/routes/corridors.py`): likewise


def convert(
    format: str,
    sources: Sequence[str],
    out: str | Path,
    settings: Settings = SETTINGS,
    progress: Progress | None = None,
) -> Summary:
    """Convert the files below `sources` (paths or globs) to a dataset's folder `out`.

    The dataset is as large as its recordings are, and at most the settings' capacity: what exceeds it is cropped and
    counted (`cropping`), or skipped. A file that cannot be used is skipped and counted. The same files give the same
    bytes, with any number of workers, and however often the conversion was interrupted: called again, it goes on.
    Raises `InputError` where more than
    `max_failures` were skipped, where nothing is left, where a group would straddle two splits, where the disk is
    full, or where `out` is in the way.
    """
    if format not in READERS:
        raise InputError(f"{format}: unknown format (use one of {', '.join(sorted(READERS))})")
    dt, split, max_failures = settings.dt, settings.split, settings.max_failures
    check_split("split", split)
    if not 0.02 <= dt <= 1.0:
        raise InputError(f"dt: {dt} s (use 0.02 to 1 s; 0.2 is usual)")
    plan = Plan(format, dt, __version__, find(format, sources)[: settings.limit], settings.capacity, settings.strict)
    out = Path(out)
    with open_work(out, plan, settings.overwrite) as folder:
        _convert_all(folder, plan, settings.workers, Gate(split, max_failures), progress)
        manifest = _gather(folder, plan, Gate(split, max_failures))
        if not manifest.recordings:
            close_work(folder)
            raise InputError(manifest.skipped[0].reason)
        try:
            write_manifest(folder / "dataset", manifest, out)
            publish(folder / "dataset", out)
        except OSError as error:
            raise InputError(f"{out}: {error.strerror} (make room, then run the same command again)") from None
        close_work(folder)
    egos = sum(len(entry.egos) for entry in manifest.recordings)
    maps = sum(not entry.agents for entry in manifest.recordings)
    notes = total(entry.notes for entry in manifest.recordings)
    return Summary(
        out=str(out),
        recordings=len(manifest.recordings),
        maps=maps,
        egos=egos,
        skipped=manifest.skipped,
        capacity=manifest.capacity,
        cropped=cropped_of(notes),
        faults=faults(notes),
        corridors=corridors_of(notes),
    )


def find(format: str, sources: Sequence[str]) -> tuple[str, ...]:
    """Every file (or `FILE#SCENE`) once, in an order that does not depend on the file system."""
    files: set[str] = set()
    for source in sources:
        is_glob = glob.has_magic(source) and not os.path.exists(source)
        for path in glob.glob(source, recursive=True) if is_glob else [source]:
            files.update(READERS[format].find(path))
    if not files:
        raise InputError(f"{', '.join(sources) or 'no source'}: no {format} files (name a file, a folder or a glob)")
    return tuple(sorted(files, key=_by_scene))


def _by_scene(file: str) -> tuple[str, int, str]:
    """By file, and the scenes of one file by their number."""
    path, _, scene = file.rpartition("#")
    return (path, int(scene), file) if path and scene.isdecimal() else (file, -1, file)


# ------------------------------------------------------------------------------------------------------------- one file


def convert_file(format: str, file: str, dt: float, capacity: Capacity = MOST, strict: bool = False) -> Result:
    """Read, smooth, resample and compile one file; whatever is wrong with it becomes the reason why it is skipped."""
    if not file.isprintable():
        return Skipped(ascii(file), f"{ascii(file)}: a name with characters that do not print (rename the file)")

    def told(words: str) -> None:
        tell(f"{file}: {words}")

    try:
        told("reading")
        recording = READERS[format].read(file)
        _check(file, recording)
        if strict and (wrong := faults(recording.notes)):
            words = ", ".join(f"{count} {name}" for name, count in wrong.items())
            raise InputError(f"{file}: strict: {words} (mend the file, or convert it without --strict)")
        if format != "recording":  # such a file says itself what was derived
            recording = counted(recording)
        told("smoothing")
        recording, report = smooth(recording)
        recording = resample(recording, dt)
        scenario, compiled = compile_within(recording, capacity, told)
        recording = shorten(recording, capacity.steps)[0]
        entry = _describe(recording, scenario, compiled, report._asdict())
        if not entry.egos and len(recording.tracks.id):  # a map alone has no road users, and is kept as a map
            raise InputError(f"{file}: none of its vehicles can be driven: {compiled.undriven()} (leave the file out)")
        return pack_record(entry, scenario)
    except InputError as error:
        return Skipped(file, str(error))
    except Exception as error:  # one odd file must not end the conversion of all others
        words = " ".join(str(error).split())[:200]
        return Skipped(file, f"{file}: {type(error).__name__}: {words} (leave the file out, and report it)")


def _check(file: str, recording: Recording) -> None:
    """What every format owes, and files of many formats may break."""
    if not is_plain(recording.name):
        raise InputError(f"{file}: name: {ascii(recording.name)[:80]} is no plain name (rename the recording)")
    if not recording.lanes:
        raise InputError(f"{file}: lanes: none (leave the file out)")


def _describe(
    recording: Recording, scenario: Scenario, compiled: CompileReport, smoothing: dict[str, str | int | float]
) -> Entry:
    group, tracks = recording.group or recording.name, recording.tracks
    driven = [candidate for candidate in compiled.candidates if not candidate.cause]
    return Entry(
        name=recording.name,
        file=recording.file,
        group=group,
        split=recording.split or split_of(group),
        source=recording.source,
        licence=recording.licence,
        steps=tracks.valid.shape[1],
        agents=count(AgentKind(kind).name.lower() for kind in np.asarray(scenario.log.bodies.kind) if kind),
        notes=total([recording.notes, compiled.notes]),
        smoothing=smoothing,
        egos=tuple(EgoEntry(c.id, int(c.kind), c.first, c.last, widened=c.widened, trimmed=c.trimmed) for c in driven),
        unrouted=tuple(Unrouted(c.id, c.cause, round(c.moved, 1)) for c in compiled.candidates if c.cause in UNROUTED),
        recorder=next(iter(recording.marked), None),
    )


# ------------------------------------------------------------------------------------------------------------ all files


@dataclasses.dataclass(frozen=True)
class Task:
    """Some files of a shard to convert, or all of them to assemble."""

    folder: Path
    plan: tuple[str, float, Capacity, bool]  # format, dt, at most, strict
    shard: int
    files: tuple[tuple[int, str], ...]  # place in the plan, file
    assemble: bool

    def __str__(self) -> str:
        return f"shard {self.shard}" if self.assemble else ", ".join(file for _, file in self.files)


def perform(task: Task) -> tuple[Task, tuple[Entry | Skipped, ...]]:
    """Do a task, in whatever process: what came of its files, if it was to convert them."""
    if task.assemble:
        assemble(task.folder, task.shard, task.files[0][0], tuple(file for _, file in task.files))
        return task, ()
    told = []
    for number, file in task.files:
        seen = stamp(file)
        result = convert_file(task.plan[0], file, *task.plan[1:])
        write_part(task.folder, number, result, seen)
        told.append(_told(result))
    return task, tuple(told)


def _told(result: Result) -> Entry | Skipped:
    return result if isinstance(result, Skipped) else result.entry


class Course:
    """What is left of a plan: files to convert, and shards to assemble once all their files are."""

    def __init__(self, folder: Path, plan: Plan, together: int):
        """Looks through the work folder; `known` is what came of the files that need not be converted again."""
        self.folder, self.plan = folder, plan
        self.known: list[Entry | Skipped] = []
        self.ready: deque[Task] = deque()
        self.open: deque[Task] = deque()
        self.missing: dict[int, int] = {}  # files by shard
        for shard in range(plan.shards):
            numbers = plan.of_shard(shard)
            done = read_done(folder, shard, plan.files[numbers.start : numbers.stop])
            if done is not None:
                self.known += [*done.entries, *done.skipped]
                continue
            kept = {number: read_part(folder, number, plan.files[number]) for number in numbers}
            self.known += [_told(result) for result in kept.values() if result is not None]
            missing = [number for number, result in kept.items() if result is None]
            self.missing[shard] = len(missing)
            for first in range(0, len(missing), together):
                self.open.append(self._task(shard, missing[first : first + together], assemble=False))
            if not missing:
                self.ready.append(self._task(shard, numbers, assemble=True))

    def following(self) -> Task | None:
        """What to do next: a shard to assemble before all else, so that few parts lie about."""
        queue = self.ready or self.open
        return queue.popleft() if queue else None

    def finished(self, task: Task) -> None:
        """Note what was done."""
        if task.assemble:
            return
        self.missing[task.shard] -= len(task.files)
        if self.missing[task.shard] == 0:
            self.ready.append(self._task(task.shard, self.plan.of_shard(task.shard), assemble=True))

    def _task(self, shard: int, numbers: Iterable[int], assemble: bool) -> Task:
        files = tuple((number, self.plan.files[number]) for number in numbers)
        plan = (self.plan.format, self.plan.dt, self.plan.capacity, self.plan.strict)
        return Task(self.folder, plan, shard, files, assemble)


def _convert_all(folder: Path, plan: Plan, workers: int, gate: Gate, progress: Progress | None) -> None:
    """Write every shard that is not written yet; stop early at what the gate refuses."""
    course = Course(folder, plan, max(1, min(TOGETHER, len(plan.files) // (4 * max(workers, 1)))))
    done = 0

    def tally(told: Sequence[Entry | Skipped], file: str) -> None:
        nonlocal done
        for one in told:
            if isinstance(one, Skipped):
                gate.skip(one)
            else:
                gate.admit(one)
        done += len(told)
        if progress is not None:
            progress(done, len(plan.files), file)

    tally(course.known, "")
    course.known.clear()

    def heard(words: str) -> None:
        if progress is not None:
            progress(done, len(plan.files), words)

    for task, told in spread(perform, course.following, min(workers, max(1, len(course.open))), heard):
        course.finished(task)
        if told:
            tally(told, told[-1].file)


def _gather(folder: Path, plan: Plan, gate: Gate) -> Manifest:
    """The manifest of all shards, in the order of the files; of two recordings that are one the first is kept."""
    entries: list[Entry] = []
    skipped: list[Skipped] = []
    shards: list[Shard] = []
    capacity = driven = NOTHING
    for number in range(plan.shards):
        numbers = plan.of_shard(number)
        done = read_done(folder, number, plan.files[numbers.start : numbers.stop])
        if done is None:
            raise InputError(f"{folder}: shard {number} was changed meanwhile (run the same command again)")
        told = [gate.admit(entry) for entry in done.entries] + [gate.skip(one) for one in done.skipped]
        entries += [one for one in told if not isinstance(one, Skipped)]
        skipped += [one for one in told if isinstance(one, Skipped)]
        shards += [done.shard] if done.entries else []
        capacity, driven = union(capacity, done.capacity), union(driven, done.driven)
    names = named_apart([entry.name for entry in entries], [entry.file for entry in entries])
    entries = [_renamed(entry, name) for entry, name in zip(entries, names, strict=True)]
    less = None if driven in (NOTHING, capacity) else driven
    return Manifest(VERSION, plan.dt, capacity, tuple(entries), tuple(shards), tuple(skipped), driven=less)


def _renamed(entry: Entry, name: str) -> Entry:
    """The recording under another name, if it is another, and counted; its group stays, for it may be one of many."""
    if name == entry.name:
        return entry
    return dataclasses.replace(entry, name=name, notes=entry.notes | {"named_by_path": 1})
