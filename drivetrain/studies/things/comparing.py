"""The study of things of any class: what is taught, in which order, and what is measured.

    for each seed, a share of the kinds has no boxes (every kind is one of them for some seed)

    blind       boxes as they lie in training, whatever the picture shows
    scratch     boxes of the kinds that have some
    recognised  recognition of all kinds, then boxes of the kinds that have some             (the paper's)
    all boxes   recognition of all kinds, then boxes of all kinds: what is lost without them

    and the other way round: recognition alone, twice as long, and after boxes

Cuts with a thing that has no box in them teach no boxes: nothing says of such a thing that it is none. Recall is of the
test pictures' things, by kind; all intervals resample test pictures, those over seeds stand beside.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from drivetrain.evaluate.intervals import ratio
from drivetrain.perception.box_space import recall
from drivetrain.perception.crops import Crops, Cutting, cut
from drivetrain.perception.generic import (
    Generic,
    Teaching,
    finding,
    lessons_of,
    likely_boxes,
    recognition,
    seen_kinds,
    teach,
)
from drivetrain.perception.reading import read_labelled
from drivetrain.runs.site import Progress
from drivetrain.studies.cells import conclude, kept
from drivetrain.studies.things.page import things_page
from drivetrain.types import InputError, replace

COUNTS = (1, 10, 100)
"""Proposals of a picture."""
LEAST = 40
"""Cuts of a kind in training, and a tenth in test, below which it is left out."""


@dataclass(frozen=True)
class Things:
    """What is studied."""

    train: tuple[str, ...]  # sets of labelled pictures
    test: tuple[str, ...]
    seeds: int = 3
    teaching: Teaching = Teaching()
    cutting: Cutting = Cutting()
    most: int = 12000  # cuts that are learnt from
    tested: int = 1500  # cuts that are tested on


def things(plan: Things, out: Path, progress: Progress) -> Path:
    """Teach and measure, or go on where it was interrupted; the path of the page.

    Raises `InputError` where a set cannot be read or shows too few kinds, and where the folder holds another study.
    """
    train, test = _crops(plan)
    out.mkdir(parents=True, exist_ok=True)
    about = {"kinds": list(train.kinds), "cuts": [len(train.pictures), len(test.pictures)], "plan": repr(plan)}
    if kept(out / "plan.json", lambda: about) != json.loads(json.dumps(about)):
        raise InputError(f"{out}: plan.json: another study (choose another --out)")
    each = []
    with progress("things", total=plan.seeds, unit="seeds") as show:
        for seed in range(plan.seeds):
            each.append(kept(out / f"seed-{seed}.json", lambda seed=seed: _measured(plan, train, test, seed)))
            show(seed + 1, f"recall of {len(each[-1]['unboxed'])} kinds without boxes")
    results = about | {"counts": COUNTS, "seeds": each, "together": _together(each)}
    return conclude(out, results, things_page(results))


def _crops(plan: Things) -> tuple[Crops, Crops]:
    """What is learnt from and tested on, of the kinds that both show often enough."""
    sets = [[one for path in paths for one in read_labelled(path)] for paths in (plan.train, plan.test)]
    named = sorted({thing.kind for one in sets[0] for thing in one.things or ()})
    if not named:
        raise InputError(f"{plan.train[0]}: things: none is labelled (render one with --strewn)")
    whole = [cut(one, named, replace(plan.cutting, seed=seed)) for seed, one in enumerate(sets)]
    often = [np.bincount(crops.about, minlength=len(named)) for crops in whole]
    rows = np.flatnonzero((often[0] >= LEAST) & (often[1] >= LEAST // 10))
    if len(rows) < 2 * plan.seeds:
        raise InputError(f"{plan.train[0]}: {len(rows)} kinds with {LEAST} cuts each (draw more pictures)")
    kinds = [named[row] for row in rows]
    train, test = (cut(one, kinds, replace(plan.cutting, seed=seed)) for seed, one in enumerate(sets))
    return _some(train, plan.most), _some(test, plan.tested)


def _some(crops: Crops, most: int) -> Crops:
    """At most so many of them, drawn among all."""
    count = len(crops.pictures)
    return crops.only(np.sort(np.random.default_rng(0).choice(count, min(most, count), replace=False)))


def unboxed(kinds: int, seeds: int, seed: int) -> np.ndarray:
    """Which kinds have no boxes for a seed [kinds]: every kind for one of them."""
    order = np.random.default_rng(kinds).permutation(kinds)
    return np.isin(np.arange(kinds), order[seed::seeds])


def _measured(plan: Things, train: Crops, test: Crops, seed: int) -> dict[str, Any]:
    without = unboxed(len(train.kinds), plan.seeds, seed)
    rows = np.flatnonzero([not np.any(without[kind]) for kind in train.kind])
    boxed = train.only(np.resize(rows, len(train.kind)))  # again and again, so that all lessons are of one shape
    every = np.ones(len(without), bool)
    named, some = lessons_of(train, plan.teaching.space, every), lessons_of(boxed, plan.teaching.space, ~without)
    fresh = plan.teaching.build(len(train.kinds), plan.cutting.size, jax.random.key(seed))
    curves = {}

    def taught(name: str, network: Generic, lessons, loss) -> Generic:
        network, curves[name] = teach(plan.teaching, network, lessons, loss, seed)
        return network

    alone = taught("recognition", fresh, named, recognition)
    scratch = taught("scratch", fresh, some, finding)
    finders = {
        "scratch": scratch,
        "recognised": taught("recognised", alone, some, finding),
        "all boxes": taught("all boxes", alone, named, finding),
    }
    tellers = {
        "alone": alone,
        "twice as long": taught("twice as long", alone, named, recognition),
        "after boxes": taught("after boxes", scratch, named, recognition),
    }
    boxes = {name: likely_boxes(network, test.pictures) for name, network in finders.items()}
    blind = np.asarray(jnp.mean(jax.vmap(plan.teaching.space.target)(some.steps, some.there), axis=0))
    found = {name: [plan.teaching.space.proposals(one, max(COUNTS))[0] for one in each] for name, each in boxes.items()}
    found["blind"] = [plan.teaching.space.proposals(blind, max(COUNTS))[0]] * len(test.pictures)
    right = {name: seen_kinds(network, test.pictures) == test.about for name, network in tellers.items()}
    return {
        "unboxed": [kind for kind, out in zip(train.kinds, without, strict=True) if out],
        "cuts_with_boxes": len(rows),
        "recall": {name: _recalls(test, proposals, without, seed) for name, proposals in found.items()},
        "recognition": {
            name: ratio(each, np.ones(len(each)), test.source, seed).as_json() for name, each in right.items()
        },
        "helped": {
            name: ratio(
                1.0 * right["after boxes"] - right[name], np.ones(len(test.source)), test.source, seed
            ).as_json()
            for name in ("alone", "twice as long")
        },
        "curves": curves,
    }


def _recalls(test: Crops, found: list[np.ndarray], without: np.ndarray, seed: int) -> dict[str, Any]:
    """Recall of the things that had boxes and of those that had none, and of each kind."""
    source = np.repeat(test.source, [len(each) for each in test.kind])
    kind = np.concatenate(test.kind)
    groups: dict[str, np.ndarray] = {"unboxed": without[kind], "boxed": ~without[kind]}
    groups |= {name: kind == row for row, name in enumerate(test.kinds)}
    told: dict[str, Any] = {}
    for count in COUNTS:
        hit = np.concatenate(recall([*test.boxes], found, count))
        told[str(count)] = {
            name: ratio(hit[of], np.ones(np.count_nonzero(of)), source[of], seed).as_json()
            for name, of in groups.items()
        }
    return told


def _together(each: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds, with their own 95 % intervals (Student's t)."""

    def over(*path: str) -> dict[str, float | None]:
        return mean_and_interval([reduce(lambda at, name: at[name], path, one)["value"] for one in each])

    def recalls(name: str, count: str) -> dict[str, Any]:
        return {group: over("recall", name, count, group) for group in ("unboxed", "boxed")}

    found = {name: {count: recalls(name, count) for count in each[0]["recall"][name]} for name in each[0]["recall"]}
    right = {name: over("recognition", name) for name in each[0]["recognition"]}
    helped = {name: over("helped", name) for name in each[0]["helped"]}
    return {"recall": found, "recognition": right, "helped": helped}


STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}
"""Of so many seeds: the 97.5 % quantile of Student's t with one degree of freedom less."""


def mean_and_interval(values: Iterable[float]) -> dict[str, float | None]:
    """Mean of some seeds' figures, `low` and `high` of its 95 % interval (of one: None), and how many there are."""
    some = np.array([*values], float)
    mean, count = float(some.mean()), len(some)
    if count == 1:
        return {"value": mean, "low": None, "high": None, "n": 1}
    half = float(STUDENT.get(count, 1.96) * some.std(ddof=1) / count**0.5)
    return {"value": mean, "low": mean - half, "high": mean + half, "n": count}
