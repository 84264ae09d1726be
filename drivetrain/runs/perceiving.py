"""A run of the camera's network: trained on labelled pictures, kept, gone on with, and tried on others.

RUN/config.json      sets, shares, training
RUN/checkpoints/     the state after so many steps (`runs/checkpoints.py`)
RUN/metrics.jsonl    the loss and its parts, a line every `EVERY` steps
RUN/report.html      what `test` writes
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import jax
import numpy as np
from jaxtyping import UInt8

from drivetrain.atomic import write_atomically
from drivetrain.camera.sets import pillow
from drivetrain.evaluate.perception_page import Judged, perception_page
from drivetrain.perception.decoding import Decoding, decode
from drivetrain.perception.found import Found
from drivetrain.perception.labelled import Labelled
from drivetrain.perception.losses import Wrong
from drivetrain.perception.matching import Judging
from drivetrain.perception.network import Network, Seen
from drivetrain.perception.pixels import read_pixels
from drivetrain.perception.reading import read_labelled
from drivetrain.perception.scores import score
from drivetrain.perception.training import Pictures, State, Training, advance, begin
from drivetrain.perception.warping import drawn, fitted
from drivetrain.runs.checkpoints import load_checkpoint, newest_good, restore_newest, save_checkpoint
from drivetrain.runs.configuration import from_json, read_config, to_json
from drivetrain.runs.journal import Journal, read_metrics
from drivetrain.types import Array, InputError, component

EVERY = 50
"""Steps from one line of the journal to the next."""
KEPT = 500
"""Steps from one checkpoint to the next."""
Show = Callable[[int, str], None]
Progress = Callable[..., AbstractContextManager[Show]]


@component
class Chosen:
    """Pictures that a network learns from: all of a set, or every so manieth."""

    path: str
    share: float = 1.0  # how often one of them is drawn, in any unit
    every: int = 1  # 4: the first, the fifth … of the set

    def read(self) -> list[Labelled]:
        """The pictures. Raises `InputError` where there are none."""
        return one_in(list(read_labelled(self.path)), self.every) or _none(self.path)


@component
class Perceiving:
    """A run."""

    sets: tuple[Chosen, ...]
    training: Training = Training()
    after: str = ""  # a run whose network it begins with; empty: none


def one_in(pictures: list[Labelled], every: int) -> list[Labelled]:
    """Every so manieth picture, the first among them."""
    return pictures[:: max(every, 1)]


def _none(path: str) -> list[Labelled]:
    raise InputError(f"{path}: no pictures (name another set)")


def train(run: Path, plan: Perceiving, progress: Progress) -> None:
    """Train, or go on where an interrupted run stands. Raises `InputError` where another run is in the way."""
    sets = [chosen.read() for chosen in plan.sets]
    digest = _digest(sets)
    _settle(run, plan)
    training = plan.training
    pictures = Pictures(sets, [chosen.share for chosen in plan.sets], training)
    state, lines = _stand(run, plan, digest)
    journal, first = Journal(run, lines), int(state.step)
    parts: list[list[float]] = []
    with progress("train", total=training.steps, unit="steps", done=first) as show:
        for done, (pixels, targets) in enumerate(pictures.batches(first, training.steps), start=first + 1):
            state, total, wrong = advance(training, state, pixels, targets)
            parts.append([float(total), *map(float, jax.tree.leaves(wrong))])
            if done % EVERY == 0 or done == training.steps:
                means = np.mean(parts, axis=0).tolist()
                figures = dict(zip(("loss", *Wrong.__dataclass_fields__), means, strict=True))
                seconds = {"process_seconds": time.process_time()}
                journal.write("perception", done, figures | seconds)
                parts.clear()
                show(done, f"loss {means[0]:.3f}")
            if done % KEPT == 0 or done == training.steps:
                save_checkpoint(run / "checkpoints", done, state, {"lines": journal.lines, "pictures": digest})
    journal.close()


def _digest(sets: Sequence[Sequence[Labelled]]) -> str:
    """Of what is labelled, whatever folder it lies in."""
    words = hashlib.sha256()
    for one in (one for pictures in sets for one in pictures):
        lines = [line.points.round(3).tolist() for line in one.lines or ()]
        words.update(repr((one.file.name, one.width, one.height, one.things, lines)).encode())
    return words.hexdigest()


def _settle(run: Path, plan: Perceiving) -> None:
    written = to_json(plan)
    if (run / "config.json").exists():
        if read_config(run) != json.loads(json.dumps(written)):
            raise InputError(
                f"{run / 'config.json'}: another run than asked for (repeat its command, or choose another --out)"
            )
        return
    if run.is_dir() and any(run.iterdir()):
        raise InputError(f"{run}: not empty, and no run (choose another --out)")
    run.mkdir(parents=True, exist_ok=True)
    write_atomically(run / "config.json", (json.dumps(written, indent=1) + "\n").encode())


def _stand(run: Path, plan: Perceiving, digest: str) -> tuple[State, int]:
    """Where the run stands, and how many lines of its journal that state has seen."""
    restored = restore_newest(run / "checkpoints", lambda: begin(plan.training))
    if restored is not None:
        state, notes, file = restored
        if notes.get("pictures") != digest:
            raise InputError(f"{file}: pictures: they have changed since the run began (start a new run)")
        return state, int(notes["lines"])
    state = begin(plan.training)
    if plan.after:
        config, network = _network(Path(plan.after))
        if config.training.architecture != plan.training.architecture:
            raise InputError(f"{plan.after}: another architecture (give the same --training.architecture)")
        copy = lambda: jax.tree.map(jax.numpy.array, network)  # noqa: E731 - each is donated
        state = State(copy(), copy(), state.optimiser, state.step)
    return state, 0


def _network(run: Path) -> tuple[Perceiving, Network]:
    """A run's plan and its network, the moving mean of its newest checkpoint."""
    plan = from_json(read_config(run), str(run / "config.json"))
    if not isinstance(plan, Perceiving):
        raise InputError(f"{run}: no run of the camera's network (make one: drivetrain perception train)")
    for file, reason in newest_good(run / "checkpoints"):
        if not reason:
            state, _ = load_checkpoint(file, jax.eval_shape(lambda: begin(plan.training)))
            return plan, state.mean
    raise InputError(f"{run}: no checkpoint (train it: repeat its command)")


# -------------------------------------------------------------------------------------------------------------- testing


@jax.jit
def see(network: Network, picture: UInt8[Array, "H W 3"]) -> Seen:
    """What a network makes of one picture."""
    return network(picture)


def restored(run: Path) -> Network:
    """The network of a run. Raises `InputError` where there is none."""
    return _network(run)[1]


def find(
    network: Network, pictures: Sequence[Labelled], longest: int, decoding: Decoding, show: Show
) -> tuple[Found, ...]:
    """What a network finds in pictures, each seen with its longer side of `longest` pixels."""
    found = []
    for number, one in enumerate(pictures, start=1):
        warp = fitted(one.width, one.height, longest, one.camera.fx if one.camera is not None else float("nan"))
        pixels = drawn(read_pixels(one.file, (one.width, one.height)), warp, pillow())
        found.append(decode(see(network, pixels), warp, one.width, one.height, one.camera, decoding))
        show(number, one.file.name)
    return tuple(found)


def test(
    run: Path,
    sets: Sequence[tuple[str, list[Labelled]]],
    longest: int,
    decoding: Decoding,
    judging: Judging,
    progress: Progress,
) -> list[Judged]:
    """Try a run's network on sets, each a name and its pictures, and write the page `RUN/report.html`."""
    (plan, network), judged = _network(run), []
    for name, pictures in sets:
        with progress("look", total=len(pictures), unit="pictures") as show:
            found = find(network, pictures, longest, decoding, show)
        judged.append(Judged(name, pictures, found, score(pictures, found, judging)))
    facts = [("trained on", ", ".join(_named(chosen) for chosen in plan.sets))]
    facts += [
        ("steps", f"{plan.training.steps:,} of {plan.training.batch} pictures"),
        ("begun with", plan.after or "-"),
    ]
    facts += [("longer side of what it sees", f"{longest} pixels"), ("seed", str(plan.training.seed))]
    lead = "What the camera's network finds in pictures that it has not learnt from, the worst first."
    page = perception_page("The camera's network", lead, judged, read_metrics(run), facts)
    write_atomically(run / "report.html", page.encode())
    return judged


def _named(chosen: Chosen) -> str:
    few = f", one in {chosen.every}" if chosen.every > 1 else ""
    return f"{Path(chosen.path).name} (share {chosen.share:g}{few})"
