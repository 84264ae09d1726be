"""`drivetrain perception`: a network that finds vehicles and lines between lanes in a camera's pictures."""

import json
from pathlib import Path
from typing import Annotated

import tyro

from drivetrain.atomic import write_atomically
from drivetrain.evaluate.perception_page import Judged
from drivetrain.perception.decoding import Decoding
from drivetrain.perception.matching import Judging
from drivetrain.perception.reading import read_labelled
from drivetrain.perception.scores import Figure
from drivetrain.perception.training import Training
from drivetrain.progress import progress
from drivetrain.runs import perceiving
from drivetrain.types import InputError

TRAINING = Training()
DECODING = Decoding()
JUDGING = Judging(farthest=40.0)


def run(words: list[str]) -> None:
    """Train a network, or try one."""
    tyro.extras.subcommand_cli_from_dict({"train": train, "test": test}, prog="drivetrain perception", args=words)


def train(
    sets: Annotated[tuple[str, ...], tyro.conf.Positional],
    out: str,
    few: tuple[str, ...] = (),
    every: int = 4,
    share: float = 0.5,
    after: str = "",
    training: Training = TRAINING,
) -> None:
    """Train a network to find vehicles and lines. Interrupted, it goes on when repeated.

    Args:
        sets: labelled pictures, in any form that is read (docs/perception.md)
        out: folder of the run
        few: sets of which only one picture in --every is learnt from, so that it can be tried on the others
        every: which: the first, and each that so many later comes
        share: how often a picture of --few is drawn, to one of the other sets
        after: a run whose network this one begins with
        training: how
    """
    if every < 1 or share <= 0.0:
        raise InputError("perception: every, share: at least 1, and above 0")
    if not sets and not few:
        raise InputError("perception: no pictures (name sets)")
    chosen = [perceiving.Chosen(path) for path in sets]
    chosen += [perceiving.Chosen(path, share * max(len(sets), 1) / len(few), every) for path in few]
    perceiving.train(Path(out), perceiving.Perceiving(tuple(chosen), training, after), progress)
    print(f"{out}: {training.steps:,} steps of {training.batch} pictures")


def test(
    run: Annotated[str, tyro.conf.Positional],
    sets: Annotated[tuple[str, ...], tyro.conf.Positional],
    few: tuple[str, ...] = (),
    every: int = 4,
    longest: int = 640,
    decoding: Decoding = DECODING,
    judging: Judging = JUDGING,
    as_json: Annotated[str | None, tyro.conf.arg(name="json")] = None,
) -> None:
    """Try a network on labelled pictures: a line a figure, and the page RUN/report.html, the worst pictures first.

    Args:
        run: folder of the run
        sets: labelled pictures
        few: sets of which one picture in --every was learnt from: it is tried on the others
        every: which
        longest: pixels of a picture's longer side, as the network sees it
        decoding: what is taken for something
        judging: what is right
        as_json: file for the figures
    """
    read = [(Path(path).name, list(read_labelled(path))) for path in sets]
    for path in few:
        pictures = list(read_labelled(path))
        learnt = {one.file for one in perceiving.one_in(pictures, every)}
        read.append((f"{Path(path).name}, not learnt from", [one for one in pictures if one.file not in learnt]))
    judged = perceiving.test(Path(run), read, longest, decoding, judging, progress)
    for one in judged:
        print(f"{one.name}: {one.scores.pictures} pictures")
        for line in _told(one):
            print(f"  {line}")
    if as_json is not None:
        body = {one.name: one.scores.as_json() for one in judged}
        write_atomically(Path(as_json), (json.dumps(body, indent=1) + "\n").encode())
    print(f"{run}/report.html")


def _told(one: Judged) -> list[str]:
    """The figures of a set."""
    told = []
    for least, bands in one.scores.things.items():
        every = bands["all"]
        told.append(f"{every.things:5} vehicles, overlap {least}: average precision {_said(every.average_precision)}")
        if least == "0.5" and every.depth_median.value is not None:
            told.append(f"      distance, median error {_said(every.depth_median)}")
    for unit, limit in (
        ("metres", f"{one.scores.judging.metres:g} m"),
        ("pixels", f"{one.scores.judging.pixels:g} px"),
    ):
        for which, lines in one.scores.lines.get(unit, {}).items():
            told.append(f"{lines.lines:5} lines ({which}), {limit}: F1 {_said(lines.f1)}")
    return told


def _said(figure: Figure) -> str:
    if figure.value is None:
        return "-"
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"
