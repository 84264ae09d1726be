"""Measuring how a detector errs: from pictures of which it is known what there was to be seen, to an `ErrorModel`.

{exposure, report} of many moments → who was found → chances, noise → file
"""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from drivetrain.atomic import write_atomically
from drivetrain.perception.errors import DEPTHS, QUANTILES, SHARES, ErrorModel, between
from drivetrain.perception.exposure import Exposure
from drivetrain.perception.report import Report
from drivetrain.types import Array, InputError, component

WHOLLY = 0.9
"""A vehicle of which more is visible counts as wholly visible."""
LEAST = 8
"""Of so few samples nothing is told: the default stands."""
OVERLAP, DEPTH_RATIO = 0.25, 0.6
"""A report is a vehicle's where their columns overlap by such a share of both, and depths (logarithms) by less."""


@dataclasses.dataclass(frozen=True)
class Pairs:
    """What there was and what was reported, in t moments. NumPy."""

    exposure: Exposure  # [t, n]
    vehicle: Int[np.ndarray, "t n"]  # the same number: the same vehicle seen by the same camera
    report: Report  # [t, m]
    aside: Float[np.ndarray, "t 2 k"]  # of the lines that there are
    there: Bool[np.ndarray, "t 2 k"]


@component
class Scores:
    """What of a detector's reports can be counted, and what a model says of the same moments."""

    pictures: int
    vehicles: int  # within the picture, not wholly covered
    found: float  # share of them
    depth_error: float  # root mean square of the logarithm's, of those found
    alarms: float  # a picture
    lines: float  # share of stations at which a line was reported of those where there is one
    line_error: float  # m, root mean square


def matched(pairs: Pairs) -> tuple[Int[np.ndarray, "t n"], Bool[np.ndarray, "t m"]]:
    """The report of each vehicle, −1 where it was missed, and which reports are nobody's.

    The best overlap of columns goes first; each report is one vehicle's at most.
    """
    exposure, report = pairs.exposure, pairs.report
    shape = exposure.depth.shape
    of, false = np.full(shape, -1), np.array(report.seen)
    for t in range(shape[0]):
        here, told = np.flatnonzero(exposure.there[t]), np.flatnonzero(report.seen[t])
        left, right = exposure.left[t, here, None], exposure.right[t, here, None]
        upper, lower = report.left[t, told], report.right[t, told]
        common = np.minimum(left, upper) - np.maximum(right, lower)
        share = common / np.maximum(np.maximum(left, upper) - np.minimum(right, lower), 1e-9)
        ratio = np.abs(
            np.log(np.maximum(report.depth[t, told], 1e-3) / np.maximum(exposure.depth[t, here, None], 1e-3))
        )
        share = np.where(ratio < DEPTH_RATIO, share, 0.0)
        while share.size and share.max() > OVERLAP:
            row, column = np.unravel_index(np.argmax(share), share.shape)
            of[t, here[row]] = told[column]
            share[row], share[:, column] = 0.0, 0.0
        false[t, of[t][of[t] >= 0]] = False
    return of, false


def fit(pairs: Pairs, delay: int = 1) -> ErrorModel:
    """The model of the detector that made these reports; of what is rare among them, the default's numbers."""
    default, (of, false), exposure = ErrorModel(), matched(pairs), pairs.exposure
    hit, depth, share = of >= 0, np.asarray(exposure.depth), np.asarray(exposure.share)
    whole = exposure.there & (share > WHOLLY) & ~exposure.cut
    found = _by(depth[whole], hit[whole], DEPTHS, default.found)
    part = exposure.there & ~exposure.cut
    hidden = _ratios(share[part], hit[part], np.asarray(between(depth[part], DEPTHS, found)), SHARES, default.hidden)
    expected = np.asarray(between(depth, DEPTHS, found) * between(share, SHARES, hidden))
    cut = _ratio(hit[exposure.cut], expected[exposure.cut], default.cut)

    row = np.maximum(of, 0)
    told_depth, left, right = (
        np.take_along_axis(x, row, 1)[hit] for x in (pairs.report.depth, pairs.report.left, pairs.report.right)
    )
    off = np.log(told_depth / depth[hit])
    bias = _by(depth[hit], off, DEPTHS, default.bias)
    rest = off - np.asarray(between(depth[hit], DEPTHS, bias))
    spread = _spreads(depth[hit], rest, DEPTHS, default.spread)
    wide = np.log(np.maximum(left - right, 1e-4) / np.maximum(exposure.left - exposure.right, 1e-4)[hit])
    aside = 0.5 * (left + right - exposure.left[hit] - exposure.right[hit])
    enough = hit.sum() >= LEAST
    seen = pairs.report.lines & pairs.there
    missing = np.where(seen, pairs.report.aside - pairs.aside, 0.0)
    of_lines = np.maximum(seen.sum((0, 1)), 1)
    return ErrorModel(
        found=found,
        hidden=hidden,
        cut=cut,
        bias=bias,
        spread=spread,
        middle=_round(_middle_spread(aside)) if enough else default.middle,
        narrow=_round(np.median(wide)) if enough else default.narrow,
        width=_round(_middle_spread(wide)) if enough else default.width,
        alarms=_round(np.mean(np.sum(false, axis=1))),
        alarm_depth=_quantiles(pairs.report.depth[false], default.alarm_depth),
        alarm_aside=_quantiles(0.5 * (pairs.report.left + pairs.report.right)[false], default.alarm_aside),
        farthest=_round(1.05 * depth[hit].max()) if enough else default.farthest,
        line_found=tuple(_round(x) for x in seen.sum((0, 1)) / np.maximum(pairs.there.sum((0, 1)), 1)),
        line_spread=tuple(_round(x) for x in np.sqrt((missing**2).sum((0, 1)) / of_lines)),
        steady=_steady(rest / np.asarray(between(depth[hit], DEPTHS, spread)), pairs.vehicle[hit], default.steady),
        delay=delay,
    )


def score(pairs: Pairs) -> Scores:
    """How a detector does, in few numbers."""
    of, false = matched(pairs)
    there = pairs.exposure.there & (pairs.exposure.share > 0.0)
    hit = (of >= 0) & there
    told = np.take_along_axis(pairs.report.depth, np.maximum(of, 0), 1)[hit]
    off = np.log(told / pairs.exposure.depth[hit])
    seen = pairs.report.lines & pairs.there
    missing = np.asarray(pairs.report.aside - pairs.aside)[seen]
    return Scores(
        pictures=len(of),
        vehicles=int(there.sum()),
        found=float(hit.sum() / max(there.sum(), 1)),
        depth_error=_rms(off),
        alarms=float(np.mean(np.sum(false, axis=1))),
        lines=float(seen.sum() / max(pairs.there.sum(), 1)),
        line_error=_rms(missing),
    )


def write_errors(file: str | Path, errors: ErrorModel) -> None:
    """As JSON, whole or not at all."""
    write_atomically(Path(file), (json.dumps({"errors": dataclasses.asdict(errors)}, indent=1) + "\n").encode())


def read_errors(file: str | Path) -> ErrorModel:
    """What `write_errors` wrote. Raises `InputError` where it is missing, damaged, or of another version."""
    try:
        body: Any = json.loads(Path(file).read_text(encoding="utf-8"))["errors"]
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in body.items()
        }
    except OSError as error:
        raise InputError(f"{file}: {error.strerror} (make one: drivetrain study eyes)") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{file}: errors: not a file of errors (make one: drivetrain study eyes)") from None
    default = dataclasses.asdict(ErrorModel())
    for name in sorted(default.keys() | given.keys()):
        if name not in given or name not in default:
            raise InputError(f"{file}: {name}: {'missing' if name in default else 'unknown'} (make the file again)")
        numbers = given[name] if isinstance(default[name], tuple) else (given[name],)
        kinds = (int,) if isinstance(default[name], int) else (int, float)
        if not (isinstance(numbers, tuple) and all(type(x) in kinds and math.isfinite(x) for x in numbers)):
            raise InputError(f"{file}: {name}: {given[name]!r} (give finite numbers)")
    return ErrorModel(**given)


# ------------------------------------------------------------------------------------------------------ of few numbers


def _bins(x: Float[np.ndarray, "n"], at: tuple[float, ...]) -> Int[np.ndarray, "n"]:
    """The nearest of some points."""
    return np.searchsorted(0.5 * (np.asarray(at)[1:] + np.asarray(at)[:-1]), x)


def _by(x: np.ndarray, values: np.ndarray, at: tuple[float, ...], default: tuple[float, ...]) -> tuple[float, ...]:
    """Means of values near each point."""
    rows = [values[_bins(x, at) == k] for k in range(len(at))]
    return tuple(_round(np.mean(row)) if len(row) >= LEAST else given for row, given in zip(rows, default, strict=True))


def _spreads(x: np.ndarray, rest: np.ndarray, at: tuple[float, ...], default: tuple[float, ...]) -> tuple[float, ...]:
    rows = [rest[_bins(x, at) == k] for k in range(len(at))]
    return tuple(
        max(_round(_middle_spread(row)), 1e-4) if len(row) >= LEAST else given
        for row, given in zip(rows, default, strict=True)
    )


def _middle_spread(values: np.ndarray) -> float:
    """The deviation of a normal of which the middle nine tenths lie as these: some reports are false alarms."""
    low, high = np.quantile(values, (0.05, 0.95))
    return float(high - low) / 3.29


def _ratios(
    x: np.ndarray, hit: np.ndarray, expected: np.ndarray, at: tuple[float, ...], default: tuple[float, ...]
) -> tuple[float, ...]:
    """How often found near each point, of how often was expected."""
    bins = _bins(x, at)
    return tuple(_ratio(hit[bins == k], expected[bins == k], given) for k, given in enumerate(default))


def _ratio(hit: np.ndarray, expected: np.ndarray, default: float) -> float:
    return _round(min(hit.sum() / max(expected.sum(), 1e-6), 1.0)) if len(hit) >= LEAST else default


def _steady(z: Float[np.ndarray, "n"], vehicle: Int[np.ndarray, "n"], default: float) -> float:
    """The correlation of errors of one vehicle at different times: of all pairs of them, by all vehicles."""
    numbers, count = np.unique(vehicle, return_inverse=True, return_counts=True)[1:]
    total, square = np.bincount(numbers, z), np.bincount(numbers, z * z)
    pairs = float(np.sum(count * (count - 1.0)))
    if pairs < LEAST:
        return default
    return _round(np.clip(np.sum(total**2 - square) / pairs, 0.0, 0.95))


def _quantiles(values: Array, default: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(_round(x) for x in np.quantile(values, QUANTILES)) if len(values) >= LEAST else default


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2))) if len(values) else 0.0


def _round(number: Any) -> float:
    return round(float(number), 5)
