"""A vocabulary of motions, learnt from recorded ones by k-disks (Philion et al. 2024, "Trajeglish", arXiv 2312.04535).

k-disks: a motion drawn at random is an entry, all within a radius of it are dropped, and so on. Here the number of
entries is given, and the radius is the largest that leaves enough motions for them. So what is rare has entries too,
and the largest error on what was recorded is about the radius.

One file, safetensors: `motions` and `table` (see `Vocabulary`), and in its metadata `about`, a JSON object of the other
fields, the version and a digest.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from drivetrain.atomic import write_atomically
from drivetrain.data.store.atomic_folder import MANIFEST
from drivetrain.data.store.manifest import check_split
from drivetrain.data.store.motions import Motions, Progress, as_points, nearest_motions, recorded_motions
from drivetrain.data.store.shards import read_manifest
from drivetrain.types import AgentKind, InputError, component

VERSION = "1"
MOST = 1 << 17
"""Entries of the largest vocabulary."""
LEAST_RADIUS, HALVINGS = 1e-3, 20
"""Motions that are nearer to each other, m, are the same; steps of the search for a radius."""
MEASURED = 20_000
"""Motions, of those of a table, of which a coverage is measured."""


@component
class Plan:
    """What a vocabulary is made of."""

    entries: int = 1024
    seconds: float = 1.0  # that a motion lasts
    split: str = "train"
    most: int = 200_000  # motions of a kind that are looked at, drawn at random
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Coverage:
    """How far recorded motions are from the nearest entry, m: the mean, 95 % of them, all."""

    table: str  # kinds of agents
    entries: int
    radius: float  # of a disk, m
    split: str  # whose motions
    motions: int
    mean: float
    most: float
    worst: float


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """Motions by table: the first is of all kinds together, the others of one kind each that has enough of its own."""

    motions: Float[np.ndarray, "tables V H 4"]  # see `data.store.motions.Motions`
    table: Int[np.ndarray, "8"]  # of each AgentKind
    dt: float  # s
    seed: int
    sources: tuple[str, ...]  # SHA-256 of the manifests of the datasets
    split: str
    coverage: tuple[Coverage, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of motions and tables."""
        return hashlib.sha256(self.motions.tobytes() + self.table.tobytes()).hexdigest()


def build_vocabulary(folders: Sequence[str | Path], plan: Plan, progress: Progress | None = None) -> Vocabulary:
    """The vocabulary of the egos of some datasets; the same folders and plan give the same bytes.

    Raises `InputError` on a plan that cannot be, on datasets of several steps, and where too few motions differ.
    """
    dt = _common_step(folders)
    steps = round(plan.seconds / dt)
    check_split("split", plan.split)
    if not 2 <= plan.entries <= MOST:
        raise InputError(f"entries: {plan.entries} (use 2 to {MOST})")
    if steps < 1 or plan.seconds > 10.0:
        raise InputError(f"seconds: {plan.seconds:g} (use {dt:g}, one step, to 10)")
    if plan.most < plan.entries:
        raise InputError(f"most: {plan.most} motions for {plan.entries} entries (look at more)")
    motions = _joined(folders, plan.split, steps, progress)
    held = _held_out(folders, plan.split, steps)
    draw = np.random.default_rng(plan.seed)
    everyone = np.concatenate(list(motions.values()))
    chosen = [("all", everyone[_drawn(draw, everyone, plan)], _together(held))]
    table = np.zeros(len(AgentKind), np.int32)
    for kind, own in motions.items():
        own = own[_drawn(draw, own, plan)]
        if len(motions) > 1 and _differing(own, plan.entries):
            table[kind] = len(chosen)
            chosen.append((kind.name.lower(), own, held.get(kind)))
    made = [_table(name, own, others, plan) for name, own, others in chosen]
    tables = np.stack([own[entries] for (_, own, _), (entries, _) in zip(chosen, made, strict=True)])
    coverage = tuple(row for _, rows in made for row in rows)
    return Vocabulary(tables, table, dt, plan.seed, _digests(folders), plan.split, coverage)


def _common_step(folders: Sequence[str | Path]) -> float:
    steps = {read_manifest(folder).dt for folder in folders}
    if len(steps) != 1:
        said = ", ".join(f"{step:g}" for step in sorted(steps)) or "none"
        raise InputError(f"datasets: dt: {said} s (name datasets of one step)")
    return steps.pop()


def _digests(folders: Sequence[str | Path]) -> tuple[str, ...]:
    return tuple(hashlib.sha256((Path(folder) / MANIFEST).read_bytes()).hexdigest() for folder in folders)


def _joined(
    folders: Sequence[str | Path], split: str, steps: int, progress: Progress | None = None
) -> dict[AgentKind, Motions]:
    parts = [recorded_motions(folder, split, steps, progress) for folder in folders]
    joined = {
        kind: np.concatenate([part[kind] for part in parts if kind in part])
        for kind in sorted({kind for part in parts for kind in part})
    }
    joined = {kind: own for kind, own in joined.items() if len(own)}
    if not joined:
        raise InputError(f"{folders[0]}: {split}: nobody drives for {steps} steps (ask for fewer seconds)")
    return joined


def _held_out(folders: Sequence[str | Path], split: str, steps: int) -> dict[AgentKind, Motions]:
    """Motions of the validation split, of which nothing was learnt; none where it is empty."""
    manifests = [(folder, read_manifest(folder)) for folder in folders]
    having = [
        folder
        for folder, manifest in manifests
        if any(ego.cause is None for entry in manifest.recordings if entry.split == "val" for ego in entry.egos)
    ]
    return _joined(having, "val", steps) if having and split != "val" else {}


def _drawn(draw: np.random.Generator, motions: Motions, plan: Plan) -> Int[np.ndarray, "n"]:
    """Rows of the motions that are looked at, in the order in which they may become entries."""
    return draw.permutation(len(motions))[: plan.most]


def _together(motions: Mapping[AgentKind, Motions]) -> Motions | None:
    return np.concatenate(list(motions.values())) if motions else None


def _differing(motions: Motions, count: int) -> bool:
    """Whether so many of the motions differ."""
    if len(motions) < count:
        return False
    return len(disks(as_points(motions), LEAST_RADIUS, count)) == count


# --------------------------------------------------------------------------------------------------------------- disks


def disks(points: Float[np.ndarray, "n D"], radius: float, most: int) -> Int[np.ndarray, "k"]:
    """Rows, each farther than the radius from all those before it; at most so many."""
    mean = points[:, 0::4].mean(axis=1) * np.sqrt(points.shape[1] / 4)  # no farther apart than the motions
    ranked = np.argsort(mean, kind="stable")
    place = np.argsort(ranked, kind="stable")
    mean, points = mean[ranked], points[ranked]
    low, high = np.searchsorted(mean, mean - radius), np.searchsorted(mean, mean + radius, side="right")
    covered, kept = np.zeros(len(points), bool), []
    for row in place:
        if covered[row]:
            continue
        kept.append(row)
        if len(kept) == most:
            break
        near = slice(low[row], high[row])
        covered[near] |= np.sum((points[near] - points[row]) ** 2, axis=1) <= radius**2
    return ranked[np.array(kept, int)]


def k_disks(points: Float[np.ndarray, "n D"], entries: int) -> tuple[Int[np.ndarray, "entries"], float]:
    """Entries, as rows, by the largest radius found that leaves enough of them, and that radius.

    Raises `InputError` where too few points differ.
    """
    low, high = LEAST_RADIUS, float(np.linalg.norm(np.ptp(points, axis=0))) + 2.0 * LEAST_RADIUS
    best = disks(points, low, entries)
    if len(best) < entries:
        raise InputError(f"entries: {entries} of {len(best)} motions that differ (ask for fewer, or name more data)")
    for _ in range(HALVINGS):
        radius = (low * high) ** 0.5
        found = disks(points, radius, entries)
        if len(found) == entries:
            best, low = found, radius
        else:
            high = radius
        if high < 1.002 * low:
            break
    return best, low


def _table(name: str, own: Motions, others: Motions | None, plan: Plan) -> tuple[Int[np.ndarray, "V"], list[Coverage]]:
    """The entries of one table, and the coverage of it and of smaller ones."""
    points, rows = as_points(own), []
    measured = {plan.split: points[:MEASURED]}
    if others is not None:
        measured["val"] = as_points(others)[:: -(-len(others) // MEASURED)]
    found = {size: k_disks(points, size) for size in reversed(sizes(plan.entries))}
    for size, (entries, radius) in reversed(found.items()):
        for split, some in measured.items():
            away = nearest_motions(some, points[entries])
            figures = float(np.mean(away)), float(np.quantile(away, 0.95)), float(np.max(away))
            rows.append(Coverage(name, size, radius, split, len(some), *figures))
    return found[plan.entries][0], rows


def sizes(entries: int) -> list[int]:
    """The sizes at which coverage is measured: each twice the one before, up to what was asked for."""
    return [size for size in (entries >> halving for halving in range(4, -1, -1)) if size >= 2]


# ---------------------------------------------------------------------------------------------------------------- file


def write_vocabulary(file: str | Path, vocabulary: Vocabulary) -> None:
    """Write it, whole or not at all. Raises `InputError` where the disk does not take it."""
    about = dataclasses.asdict(vocabulary)
    arrays = {name: np.ascontiguousarray(about.pop(name)) for name in ("motions", "table")}
    about |= {"version": VERSION, "digest": vocabulary.digest}
    try:
        write_atomically(Path(file), save(arrays, metadata={"about": json.dumps(about)}))
    except OSError as error:
        raise InputError(f"{file}: {error.strerror} (choose another --out)") from None


def read_vocabulary(file: str | Path) -> Vocabulary:
    """What `write_vocabulary` wrote. Raises `InputError` on anything else, and on damage."""
    try:
        with safe_open(str(file), framework="numpy") as opened:
            metadata = opened.metadata() or {}
            arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError) as error:
        raise InputError(f"{file}: vocabulary: {error} (name a file that `data vocabulary` wrote)") from None
    try:
        about = json.loads(metadata["about"])
        if (version := about.pop("version")) != VERSION:
            raise ValueError(f"version {version}, this one reads {VERSION}")
        digest = about.pop("digest")
        rows = tuple(Coverage(**row) for row in about.pop("coverage"))
        vocabulary = Vocabulary(**arrays, coverage=rows, sources=tuple(about.pop("sources")), **about)
        if vocabulary.digest != digest:
            raise ValueError("changed since it was written")
        _check(vocabulary)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{file}: vocabulary: not one, or damaged: {error} (run `data vocabulary` again)") from None
    return vocabulary


def _check(vocabulary: Vocabulary) -> None:
    motions, table = vocabulary.motions, vocabulary.table
    if motions.ndim != 4 or motions.shape[3] != 4 or 0 in motions.shape or motions.dtype != np.float32:
        raise ValueError(f"motions of {motions.dtype}{list(motions.shape)}")
    if not np.isfinite(motions).all() or np.abs(np.linalg.norm(motions[..., 2:], axis=-1) - 1.0).max() > 1e-3:
        raise ValueError("motions that are no poses")
    if table.shape != (len(AgentKind),) or table.min() < 0 or table.max() >= len(motions):
        raise ValueError(f"table: {table.tolist()} of {len(motions)}")
    if not 0.0 < vocabulary.dt <= 10.0:
        raise ValueError(f"dt: {vocabulary.dt}")
