"""How good a detector is: precision, recall, average precision and depth errors of things, F1 of lines, with intervals.

Average precision is the area under the precision that is reached at each recall or beyond it, at all points (Everingham
et al., The Pascal Visual Object Classes Challenge: A Retrospective, 2015, as from 2010 on). Intervals are percentile
bootstraps over pictures, 95 %; pictures of one recording resemble each other, so that they are somewhat too narrow.
"""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from drivetrain.perception.found import Found
from drivetrain.perception.labelled import Labelled
from drivetrain.perception.matching import Judging, LineMatches, ThingMatches, match_lines, match_things

OVERLAPS = (0.5, 0.7)
"""Intersections over unions from which on a detection is a thing."""
BANDS = ((0.0, 20.0), (20.0, 40.0), (40.0, 80.0))
"""Distances, m: of the thing, or of a detection that is none."""
UNITS = ("pixels", "metres")
DRAWS = 1000
TOGETHER = 1 << 22
"""Numbers that are drawn at once."""
LEVEL = 0.95
CURVE = 200
"""Points of a curve at most."""
Weights = Float[np.ndarray, "draws pictures"]


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure and its 95 % interval; None where there is nothing to count."""

    value: float | None
    low: float | None
    high: float | None


@dataclasses.dataclass(frozen=True)
class ThingScores:
    """Of things, or of those in a band of distances."""

    things: int
    detections: int  # from `Judging.score` on
    precision: Figure  # none in a band where wrong detections tell no depth
    recall: Figure
    average_precision: Figure
    depth_median: Figure  # of |told − true| / true of detections that are things
    depth_mean: Figure


@dataclasses.dataclass(frozen=True)
class KindScores:
    """Of the things of one kind, whatever a detection calls them."""

    things: int
    recall: Figure


@dataclasses.dataclass(frozen=True)
class LineScores:
    """Of lines, in one unit."""

    pictures: int
    lines: int
    f1: Figure
    precision: Figure
    recall: Figure
    offset: Figure  # median of how far points of found lines are off: m, or px of a picture 1280 wide


@dataclasses.dataclass(frozen=True)
class Scores:
    """Of a set of pictures."""

    pictures: int
    things: dict[str, dict[str, ThingScores]]  # by overlap ("0.5"), then band ("all", "0-20" …); empty: no labels
    kinds: dict[str, KindScores]  # by the labels' kinds, at an overlap of 0.5
    curve: list[tuple[float, float, float]]  # recall, precision, score at an overlap of 0.5
    lines: dict[str, dict[str, LineScores]]  # by unit, then "all" and "ego"; empty: no labels
    mistakes: list[int]  # of every picture: wrong and missed things and lines, at an overlap of 0.5 and in pixels
    judging: Judging

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return dataclasses.asdict(self)


def score(labels: Sequence[Labelled], found: Sequence[Found], judging: Judging = Judging(), seed: int = 0) -> Scores:  # noqa: B008 - frozen
    """What is found in pictures against what is labelled there, in the same order. One seed, one interval."""
    assert len(labels) == len(found), "what is found in every picture"
    with_things = [(n, one) for n, one in enumerate(labels) if one.things is not None]
    mistakes = np.zeros(len(labels), np.int64)
    things, kinds, curve = {}, {}, []
    for least in OVERLAPS if with_things else ():
        matches = [match_things(one, found[n], least, judging) for n, one in with_things]
        things[f"{least:g}"] = _things(matches, judging, seed)
        if least == OVERLAPS[0]:
            curve = _curve(matches)
            kinds = _by_kind([one for _, one in with_things], matches, judging, seed)
            for (n, _), match in zip(with_things, matches, strict=True):
                mistakes[n] += _wrong(match, judging)
    lines: dict[str, dict[str, LineScores]] = {}
    for unit in UNITS:
        for name, only_ego in (("all", False), ("ego", True)):
            told = [match_lines(one, f, judging, unit, only_ego) for one, f in zip(labels, found, strict=True)]
            if known := [match for match in told if match is not None]:
                lines.setdefault(unit, {})[name] = _lines(known, seed)
            if unit == "pixels" and not only_ego:
                mistakes += np.array(
                    [0 if match is None else len(match.wrong) + len(match.missed) for match in told], np.int64
                )
    return Scores(len(labels), things, kinds, curve, lines, mistakes.tolist(), judging)


# --------------------------------------------------------------------------------------------------------------- things


@dataclasses.dataclass(frozen=True)
class _Pool:
    """Detections and things of all pictures, the surest first."""

    picture: Int[np.ndarray, "D"]
    score: Float[np.ndarray, "D"]
    right: Bool[np.ndarray, "D"]
    told: Float[np.ndarray, "D"]
    depth: Float[np.ndarray, "D"]
    of_thing: Int[np.ndarray, "T"]  # its picture
    pictures: int


def _pooled(matches: list[ThingMatches], low: float = -np.inf, high: float = np.inf) -> _Pool:
    """Those within a band of depths, m."""

    def joined(parts: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(parts) if parts else np.zeros(0)

    told, depth = joined([m.told for m in matches]), joined([m.depth for m in matches])
    score, right = joined([m.score for m in matches]), joined([m.right for m in matches]).astype(bool)
    picture = np.repeat(np.arange(len(matches)), [len(m.score) for m in matches])
    things, of_thing = (
        joined([m.things for m in matches]),
        np.repeat(np.arange(len(matches)), [len(m.things) for m in matches]),
    )
    if np.isfinite(high):
        at = np.where(right, depth, told)
        kept, near = (at >= low) & (at < high), (things >= low) & (things < high)
    else:
        kept, near = np.ones(len(score), bool), np.ones(len(things), bool)
    order = np.flatnonzero(kept)[np.argsort(-score[kept], kind="stable")]
    return _Pool(picture[order], score[order], right[order], told[order], depth[order], of_thing[near], len(matches))


def _things(matches: list[ThingMatches], judging: Judging, seed: int) -> dict[str, ThingScores]:
    untold = any(bool(np.any(np.isnan(m.told) & ~m.right)) for m in matches)
    scores = {"all": _of_pool(_pooled(matches), judging, seed, untold=False)}
    for low, high in BANDS:
        scores[f"{low:g}-{high:g}"] = _of_pool(_pooled(matches, low, high), judging, seed, untold)
    return scores


def _of_pool(pool: _Pool, judging: Judging, seed: int, untold: bool) -> ThingScores:
    sure = pool.score >= judging.score
    right = pool.right & sure
    there = right & np.isfinite(pool.told) & (pool.depth > 0.0)
    error = np.abs(pool.told[there] - pool.depth[there]) / pool.depth[there]
    of_picture = lambda rows: np.bincount(rows, minlength=pool.pictures).astype(float)  # noqa: E731
    hits, all_sure, things = of_picture(pool.picture[right]), of_picture(pool.picture[sure]), of_picture(pool.of_thing)
    nothing = Figure(None, None, None)

    def figure(of: Callable[[Weights], Float[np.ndarray, "draws"]]) -> Figure:
        return bootstrapped(of, pool.pictures, seed, len(pool.score))

    return ThingScores(
        things=len(pool.of_thing),
        detections=int(sure.sum()),
        precision=nothing if untold else figure(lambda weight: _over(weight @ hits, weight @ all_sure)),
        recall=figure(lambda weight: _over(weight @ hits, weight @ things)),
        average_precision=nothing if untold else figure(lambda weight: _areas(pool, weight, weight @ things)),
        depth_median=figure(lambda weight: _medians(error, weight[:, pool.picture[there]])),
        depth_mean=figure(lambda w: _over(w[:, pool.picture[there]] @ error, w[:, pool.picture[there]].sum(axis=1))),
    )


def _areas(pool: _Pool, weight: Weights, things: Float[np.ndarray, "draws"]) -> Float[np.ndarray, "draws"]:
    """Average precisions, detections of a picture counted as often as it was drawn."""
    recall, precision = _steps(pool, weight, things)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    area = np.sum(np.diff(recall, axis=1, prepend=0.0) * best, axis=1)
    return np.where(things > 0.0, area, np.nan)


def _steps(pool: _Pool, weight: Weights, things: Float[np.ndarray, "draws"]) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision from each score on; detections of one score come together."""
    often = weight[:, pool.picture]
    ends = np.flatnonzero(np.diff(pool.score, append=-np.inf) != 0.0)
    right = np.cumsum(often * pool.right, axis=1)[:, ends]
    every = np.cumsum(often, axis=1)[:, ends]
    return _over(right, np.maximum(things, 1e-9)[:, None]), np.nan_to_num(_over(right, every))


def _curve(matches: list[ThingMatches]) -> list[tuple[float, float, float]]:
    """Recall, precision and score, thinned."""
    pool = _pooled(matches)
    if not len(pool.score) or not len(pool.of_thing):
        return []
    ends = np.flatnonzero(np.diff(pool.score, append=-np.inf) != 0.0)
    recall, precision = _steps(pool, np.ones((1, pool.pictures)), np.array([float(len(pool.of_thing))]))
    rows = np.unique(np.linspace(0, len(ends) - 1, min(CURVE, len(ends))).astype(int))
    return [(float(recall[0, r]), float(precision[0, r]), float(pool.score[ends[r]])) for r in rows]


def _by_kind(labels: list[Labelled], matches: list[ThingMatches], judging: Judging, seed: int) -> dict[str, KindScores]:
    """Recalls of kinds, the commonest first."""
    every, hit = defaultdict(list), defaultdict(list)
    for picture, (one, match) in enumerate(zip(labels, matches, strict=True)):
        found = {int(row) for row in match.is_thing[match.right & (match.score >= judging.score)]}
        for row in np.flatnonzero(match.counts).tolist():
            kind = (one.things or ())[row].kind
            every[kind].append(picture)
            if row in found:
                hit[kind].append(picture)
    scores = {}
    for kind in sorted(every, key=lambda kind: (-len(every[kind]), kind)):
        top, bottom = (np.bincount(np.array(rows, int), minlength=len(labels)) for rows in (hit[kind], every[kind]))

        def recall(weight: Weights, top=top, bottom=bottom) -> Float[np.ndarray, "draws"]:
            return _over(weight @ top, weight @ bottom)

        scores[kind] = KindScores(len(every[kind]), bootstrapped(recall, len(labels), seed))
    return scores


def _wrong(match: ThingMatches, judging: Judging) -> int:
    sure = match.score >= judging.score
    right = int((match.right & sure).sum())
    return int(sure.sum()) - right + len(match.things) - right


# ---------------------------------------------------------------------------------------------------------------- lines


def _lines(matches: list[LineMatches], seed: int) -> LineScores:
    right, wrong, missed = (
        np.array(v, float) for v in zip(*((len(m.right), len(m.wrong), len(m.missed)) for m in matches), strict=True)
    )
    off = np.concatenate([m.offsets for m in matches])
    of = np.repeat(np.arange(len(matches)), [len(m.offsets) for m in matches])

    def figure(of: Callable[[Weights], Float[np.ndarray, "draws"]]) -> Figure:
        return bootstrapped(of, len(matches), seed, len(off))

    return LineScores(
        pictures=len(matches),
        lines=int((right + missed).sum()),
        f1=figure(lambda weight: _over(weight @ (2.0 * right), weight @ (2.0 * right + wrong + missed))),
        precision=figure(lambda weight: _over(weight @ right, weight @ (right + wrong))),
        recall=figure(lambda weight: _over(weight @ right, weight @ (right + missed))),
        offset=figure(lambda weight: _medians(off, weight[:, of])),
    )


# ------------------------------------------------------------------------------------------------------------ intervals


def bootstrapped(
    of: Callable[[Weights], Float[np.ndarray, "draws"]], pictures: int, seed: int, numbers: int = 1
) -> Figure:
    """A figure of pictures, each counted once, and its interval over draws with replacement.

    `of` takes how often each picture counts, a row a draw, and gives a figure a row, nan where there is none. `numbers`
    is how many it handles a draw, so that only so many draws are made at once.
    """
    value = float(of(np.ones((1, pictures)))[0])
    if not np.isfinite(value):
        return Figure(None, None, None)
    drawn = np.random.default_rng(seed).multinomial(pictures, np.full(pictures, 1.0 / pictures), size=DRAWS)
    few = max(1, TOGETHER // max(numbers, pictures, 1))
    values = np.concatenate([of(drawn[row : row + few].astype(float)) for row in range(0, DRAWS, few)])
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]) if len(values) else (value, value)
    return Figure(value, float(low), float(high))


def _over(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    return np.divide(top, bottom, out=np.full(np.broadcast(top, bottom).shape, np.nan), where=bottom > 0.0)


def _medians(values: Float[np.ndarray, "n"], weight: Float[np.ndarray, "draws n"]) -> Float[np.ndarray, "draws"]:
    """Medians of values that count so often: the lower of two."""
    if not len(values):
        return np.full(len(weight), np.nan)
    order = np.argsort(values)
    heap = np.cumsum(weight[:, order], axis=1)
    first = np.argmax(heap >= 0.5 * heap[:, -1:], axis=1)
    return np.where(heap[:, -1] > 0.0, values[order][first], np.nan)
