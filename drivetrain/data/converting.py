"""Files to a dataset: find → read → smooth → resample → compile → write, one recording at a time."""

import concurrent.futures
import dataclasses
import hashlib
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from drivetrain.data.compiling import Capacity, CompileReport, capacity_of, pack
from drivetrain.data.drafting import draft
from drivetrain.data.manifest import SPLITS, EgoEntry, Entry, Skipped
from drivetrain.data.readers import READERS
from drivetrain.data.recording import Recording
from drivetrain.data.resampling import resample
from drivetrain.data.shards import read_manifest, write_dataset
from drivetrain.data.smoothing import smooth
from drivetrain.types import AgentKind, InputError, Scenario

Progress = Callable[[int, int, str], None]
"""Called after each file with the number done, the number of all files, and the file."""

SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}
"""The share of each split where a recording's source fixes none: by a hash of its group."""


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a conversion gave."""

    out: str
    recordings: int
    maps: int  # recordings without road users
    egos: int
    skipped: tuple[Skipped, ...]
    capacity: Capacity


@dataclasses.dataclass(frozen=True)
class Info:
    """What a dataset holds, for `data info`."""

    scenes: int
    maps: int  # scenes without road users
    scenes_by_split: dict[str, int]
    groups_by_split: dict[str, int]
    hours: float  # of recorded time
    dt: float  # s
    egos: int  # candidates
    admitted: int
    admitted_by_split: dict[str, int]
    kept_out: dict[str, int]  # egos by cause
    unchecked: int
    agents: dict[str, int]  # by kind
    capacity: dict[str, int]
    notes: dict[str, int]  # what readers and compiling left out, derived or mended
    smoothing: dict[str, str | int | float]  # of the whole dataset: the largest of each figure
    skipped: dict[str, str]  # file → reason
    sources: dict[str, int]  # scenes by source
    licences: dict[str, int]  # scenes by licence


def convert(
    format: str,
    sources: Sequence[str],
    out: str | Path,
    dt: float = 0.2,
    workers: int = 1,
    limit: int | None = None,
    split: str | None = None,
    overwrite: bool = False,
    max_failures: int | None = None,
    progress: Progress | None = None,
) -> Summary:
    """Convert the files below `sources` to a dataset's folder `out` with steps of `dt` seconds.

    `limit` takes the first files only; `split` puts every recording there. A file that cannot be used is skipped and
    counted. Raises `InputError` where more than `max_failures` were skipped, where nothing is left, where a group would
    straddle two splits, or where `out` is in the way. The same files give the same bytes, with any number of workers.
    """
    if format not in READERS:
        raise InputError(f"{format}: unknown format (use one of {', '.join(sorted(READERS))})")
    if split is not None and split not in SPLITS:
        raise InputError(f"split: {split!r} (use one of {', '.join(SPLITS)})")
    if not 0.02 <= dt <= 1.0:
        raise InputError(f"dt: {dt} s (use 0.02 to 1 s; 0.2 is usual)")
    files = _find(format, sources)[:limit]
    jobs = [Job(format, file, dt, split) for file in files]
    results = _checked(_convert_all(jobs, workers), len(files), max_failures, progress)
    manifest = write_dataset(out, results, dt, overwrite)
    egos = sum(len(entry.egos) for entry in manifest.recordings)
    maps = sum(not entry.agents for entry in manifest.recordings)
    return Summary(str(out), len(manifest.recordings), maps, egos, manifest.skipped, manifest.capacity)


def info(folder: str | Path) -> Info:
    """What a dataset's manifest says, summed up."""
    manifest = read_manifest(folder)
    entries = manifest.recordings
    egos = [(entry.split, ego.cause) for entry in entries for ego in entry.egos]
    smoothing: dict[str, str | int | float] = {}
    for entry in entries:
        for key, value in entry.smoothing.items():
            known = smoothing.get(key, value)
            smoothing[key] = value if isinstance(value, str) or isinstance(known, str) else max(known, value)
    return Info(
        scenes=len(entries),
        maps=sum(not entry.agents for entry in entries),
        scenes_by_split={split: sum(entry.split == split for entry in entries) for split in SPLITS},
        groups_by_split={split: len({entry.group for entry in entries if entry.split == split}) for split in SPLITS},
        hours=sum(entry.steps for entry in entries) * manifest.dt / 3600.0,
        dt=manifest.dt,
        egos=len(egos),
        admitted=sum(cause is None for _, cause in egos),
        admitted_by_split={split: sum(cause is None and where == split for where, cause in egos) for split in SPLITS},
        kept_out=_count(cause for _, cause in egos if cause),
        unchecked=sum(cause == "" for _, cause in egos),
        agents=_total(entry.agents for entry in entries),
        capacity=dict(vars(manifest.capacity)),
        notes=_total(entry.notes for entry in entries),
        smoothing=smoothing,
        skipped={skipped.file: skipped.reason for skipped in manifest.skipped},
        sources=_count(entry.source for entry in entries),
        licences=_count(entry.licence for entry in entries),
    )


def split_of(group: str) -> str:
    """The split of a group by its hash: the same on every machine, whatever else is converted."""
    share = int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") / 2.0**64
    for split, part in SHARES.items():
        if share < part:
            return split
        share -= part
    return SPLITS[-1]


# ------------------------------------------------------------------------------------------------------------- one file


@dataclasses.dataclass(frozen=True)
class Job:
    """One file to convert: everything that a worker process needs."""

    format: str
    file: str
    dt: float
    split: str | None


def convert_file(job: Job) -> tuple[Entry, Scenario] | Skipped:
    """Read, smooth, resample and compile one file; whatever is wrong with it becomes the reason why it is skipped."""
    try:
        recording, report = smooth(READERS[job.format].read(job.file))
        recording = resample(recording, job.dt)
        drafted = draft(recording)
        scenario, compiled = pack(drafted, capacity_of([drafted]))
        entry = _describe(recording, compiled, report._asdict(), job.split)
        if not entry.egos and len(recording.tracks.id):  # a map alone has no road users, and is kept as a map
            raise InputError(f"{job.file}: no vehicle moves for long enough to be driven (leave the file out)")
        return entry, scenario
    except InputError as error:
        return Skipped(job.file, str(error))
    except Exception as error:  # one odd file must not end the conversion of all others
        words = " ".join(str(error).split())[:200]
        return Skipped(job.file, f"{job.file}: {type(error).__name__}: {words} (leave the file out, and report it)")


def _describe(
    recording: Recording, compiled: CompileReport, smoothing: dict[str, str | int | float], split: str | None
) -> Entry:
    group, tracks = recording.group or recording.name, recording.tracks
    driven = [candidate for candidate in compiled.candidates if not candidate.cause]
    return Entry(
        name=recording.name,
        file=recording.file,
        group=group,
        split=split or recording.split or split_of(group),
        source=recording.source,
        licence=recording.licence,
        steps=tracks.valid.shape[1],
        agents=_count(AgentKind(kind).name.lower() for kind in tracks.kind[tracks.valid.any(axis=1)]),
        notes=_total([recording.notes, compiled.notes]),
        smoothing=smoothing,
        egos=tuple(EgoEntry(int(tracks.id[c.track]), int(tracks.kind[c.track]), c.first, c.last) for c in driven),
    )


# ------------------------------------------------------------------------------------------------------------ all files


def _find(format: str, sources: Sequence[str]) -> list[str]:
    """Every file once, in an order that does not depend on the file system."""
    files = sorted({file for source in sources for file in READERS[format].find(source)})
    if not files:
        raise InputError(f"{', '.join(sources) or 'no source'}: no {format} files (name a file or a folder)")
    return files


def _convert_all(jobs: list[Job], workers: int) -> Iterator[tuple[Entry, Scenario] | Skipped]:
    """Results in the order of the jobs. Workers are few jobs ahead of the writer, so that memory stays bounded."""
    if workers <= 1:
        yield from map(convert_file, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting: list[concurrent.futures.Future] = []
        try:
            for job in jobs:
                waiting.append(pool.submit(convert_file, job))
                if len(waiting) > 2 * workers:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        except BrokenProcessPool:
            raise InputError("a worker process died, perhaps for want of memory (use fewer --workers)") from None
        finally:
            pool.shutdown(cancel_futures=True)


def _checked(
    results: Iterator[tuple[Entry, Scenario] | Skipped], total: int, max_failures: int | None, progress: Progress | None
) -> Iterator[tuple[Entry, Scenario] | Skipped]:
    """Pass results on, skipping second copies of a name, and stop at a straddling group or too many failures."""
    names: dict[str, str] = {}
    split_by_group: dict[str, str] = {}
    failures = 0
    for done, result in enumerate(results, start=1):
        file = result.file if isinstance(result, Skipped) else result[0].file
        if not isinstance(result, Skipped):
            entry = result[0]
            if entry.name in names:
                result = Skipped(file, f"{file}: name: {entry.name} is also in {names[entry.name]} (leave one out)")
            else:
                names[entry.name] = file
                known = split_by_group.setdefault(entry.group, entry.split)
                if known != entry.split:
                    raise InputError(
                        f"{file}: split: group {entry.group} is in {known} and {entry.split} (choose one split)"
                    )
        if isinstance(result, Skipped):
            failures += 1
            if max_failures is not None and failures > max_failures:
                raise InputError(f"{result.reason} [{failures} files failed, {max_failures} allowed]")
        if progress is not None:
            progress(done, total, file)
        yield result


def _count(words: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(words).items()))


def _total(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for count in counts:
        for key, value in count.items():
            total[key] = total.get(key, 0) + value
    return dict(sorted(total.items()))
