"""Labelled sets of pictures from a dataset: seeded, a shard at a time, gone on with where they were interrupted.

    out/set.json                what it was made from and how; written first, under which nothing else is made
    out/00000/000017.jpg        pictures of a shard
    out/00000/labels.json       their labels, written when all of the shard's pictures are there

A picture is its number's alone: the same plan gives the same pictures and labels, in whichever order.
"""

import dataclasses
import hashlib
import importlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from drivetrain import __version__
from drivetrain.atomic import write_atomically
from drivetrain.camera.appearance import Appearance, Randomisation
from drivetrain.camera.beside import Laying
from drivetrain.camera.ground import Ground, lay_ground, stack_grounds, with_room
from drivetrain.camera.labels import Boxes, LaneLines, boxes_of, lines_of, told
from drivetrain.camera.peopling import people
from drivetrain.camera.pinhole import Mount, of_field
from drivetrain.camera.render import Labels, Renderer, labelled, view_from
from drivetrain.camera.strewing import strew
from drivetrain.camera.things import Moment
from drivetrain.camera.tiles import Tiling
from drivetrain.data.store.loading import entries_of
from drivetrain.data.store.manifest import Manifest, is_plain
from drivetrain.data.store.shards import read_manifest, read_scenarios
from drivetrain.types import VEHICLES, Array, InputError, Key, Scenario, component

FORMAT = 1
"""Version of the files."""
SUFFIXES = {"jpeg": "jpg", "png": "png"}
TOGETHER = 8
"""Tiles of labelled pictures ask about so many things: hardly any hidden thing is forgotten."""
Show = Callable[[int, str], None]


@component
class Plan:
    """What a set is made of."""

    pictures: int = 1000
    shard: int = 100  # pictures of a folder
    split: str | None = None  # of the dataset; None: all
    seed: int = 0
    format: str = "jpeg"  # or png
    width: int = 640
    height: int = 360
    degrees: float = 65.0  # that a picture spans from left to right
    mount: Mount = Mount()
    oversampling: int = 2  # rays along each side of a pixel
    users: int = 32  # road users drawn at most; as many are put on maps without traffic
    least: float = 0.1  # road users are labelled of which at least such a share is visible
    dense: bool = False  # also depth, road users and kinds of every pixel, an .npz a picture
    look: Randomisation = Randomisation()
    laying: Laying = Laying()
    strewn: int = 0  # things of every kind put on and beside the road before the camera, at most

    def renderer(self) -> Renderer:
        """How its pictures are made."""
        camera = of_field(self.width, self.height, self.degrees, self.mount)
        return Renderer(
            camera, Tiling(things=TOGETHER), self.users, oversampling=self.oversampling, strewn=self.strewn > 0
        )


def pillow() -> ModuleType:
    """Pillow's module Image. Raises `InputError` where it is not installed."""
    try:
        return importlib.import_module("PIL.Image")
    except ImportError:
        raise InputError("pillow: not installed (pip install 'drivetrain[pictures]')") from None


def render_set(folder: str | Path, out: str | Path, plan: Plan, show: Show) -> int:
    """Make a set, or go on with it; the number of pictures made now. `show` takes how many are done.

    Raises `InputError` on a plan that makes no pictures, and where another set is in the way.
    """
    _check(plan)
    manifest = read_manifest(folder)
    entries = entries_of(folder, manifest, plan.split, admitted_only=False)
    out = Path(out)
    _begin(out, Path(folder), manifest, plan)
    image, made = pillow(), 0
    shards = [range(first, min(first + plan.shard, plan.pictures)) for first in range(0, plan.pictures, plan.shard)]
    for number, pictures in enumerate(shards):
        if (out / f"{number:05d}" / "labels.json").is_file():
            show(pictures.stop, "")
            continue
        rows = sorted({picture * len(entries) // plan.pictures for picture in pictures})
        chosen = [entries[row] for row in rows]
        scenarios = dict(zip(rows, read_scenarios(folder, manifest, chosen), strict=True))
        place = out / f"{number:05d}"
        place.mkdir(exist_ok=True)
        labels = []
        for picture in pictures:
            row = picture * len(entries) // plan.pictures
            labels.append(_one(place, picture, plan, scenarios[row], entries[row].name, image))
            made += 1
            show(picture + 1, entries[row].name)
        body = {"format": FORMAT, "pictures": labels}
        write_atomically(place / "labels.json", (json.dumps(body, indent=None, allow_nan=False) + "\n").encode())
    return made


def _check(plan: Plan) -> None:
    for name, least in (
        ("pictures", 1),
        ("shard", 1),
        ("width", 16),
        ("height", 16),
        ("oversampling", 1),
        ("users", 1),
    ):
        if getattr(plan, name) < least:
            raise InputError(f"render: {name}: {getattr(plan, name)} (at least {least})")
    if not 0 <= plan.strewn <= 96:
        raise InputError(f"render: strewn: {plan.strewn} (0 to 96)")
    if plan.users > 128 or plan.oversampling > 4 or plan.width * plan.height > 1 << 24:
        raise InputError("render: at most 128 users, an oversampling of 4 and 16 million pixels (give smaller numbers)")
    if not 1.0 <= plan.degrees <= 150.0:
        raise InputError(f"render: degrees: {plan.degrees} (1 to 150)")
    if plan.format not in SUFFIXES:
        raise InputError(f"render: format: {plan.format} (use one of {', '.join(SUFFIXES)})")


def _begin(out: Path, folder: Path, manifest: Manifest, plan: Plan) -> None:
    """The set's own file, or that it is the same. Raises `InputError` where it is not."""
    names = hashlib.sha256("\n".join(entry.sha256 for entry in manifest.recordings).encode()).hexdigest()
    about = {
        "format": FORMAT,
        "dataset": folder.name if is_plain(folder.name) else "dataset",
        "recordings": names,
        "drivetrain": __version__,
        "licences": sorted({entry.licence for entry in manifest.recordings}),
        "plan": dataclasses.asdict(plan),
    }
    written = json.loads(json.dumps(about))
    file = out / "set.json"
    if file.exists():
        try:
            known = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{file}: not JSON: {error} (delete {out} to start over)") from None
        if isinstance(known, dict) and isinstance(known.get("plan"), dict):
            known["plan"] = {"strewn": 0} | known["plan"]  # sets from before it could be asked for
        differing = [key for key in written if not isinstance(known, dict) or known.get(key) != written[key]]
        if differing:
            raise InputError(
                f"{file}: {differing[0]}: another than asked for (repeat its command, or choose another --out)"
            )
        return
    if out.is_dir() and any(out.iterdir()):
        raise InputError(f"{out}: not empty, and no set of pictures (choose another --out)")
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(file, (json.dumps(about, indent=1) + "\n").encode())


def _one(place: Path, picture: int, plan: Plan, scenario: Scenario, name: str, image: ModuleType) -> dict[str, Any]:
    """Draw a picture and write it; what its shard says of it."""
    random = np.random.default_rng((plan.seed, picture))
    moment, own, step = _moment(scenario, random, plan)
    if plan.strewn:
        # By numbers of their own: what else a picture shows stays what it is without them.
        moment = strew(scenario.map, moment, int(own), np.random.default_rng((plan.seed, picture, 1)), plan.strewn)
    renderer = plan.renderer()
    drawn, labels, boxes, lines, look = _drawn(
        renderer, plan.look, _ground(scenario, plan.laying), moment, own, jax.random.key(int(random.integers(2**31)))
    )
    file = place / f"{picture:06d}.{SUFFIXES[plan.format]}"
    written = io.BytesIO()
    image.fromarray(np.asarray(drawn)).save(
        written, plan.format.upper(), **({"quality": 92} if plan.format == "jpeg" else {})
    )
    write_atomically(file, written.getvalue())
    if plan.dense:
        write_atomically(file.with_suffix(".npz"), _dense(labels))
    camera, words = renderer.camera, told(boxes, lines, renderer.camera, plan.least)
    shift, tilt = (np.asarray(part, np.float64).round(4).tolist() for part in (look.shift, look.tilt))
    return {
        "file": file.name,
        "recording": name,
        "step": step,
        "agent": int(own),
        "width": camera.width,
        "height": camera.height,
        "fx": camera.fx,
        "fy": camera.fy,
        "cx": camera.cx,
        "cy": camera.cy,
        "mount": dataclasses.asdict(camera.mount),
        "shift": shift,
        "tilt": tilt,
        "boxes": words.boxes,
        "lanes": words.lanes,
    }


@partial(jax.jit, static_argnums=(0, 1))
def _drawn(
    renderer: Renderer, look_of: Randomisation, grounds: Ground, moment: Moment, own: Array, key: Key
) -> tuple[Array, Labels, Boxes, LaneLines, Appearance]:
    look = look_of(key)
    row = jnp.int32(0)
    view = view_from(renderer, grounds, row, moment, own, look)
    drawn, labels = labelled(renderer, grounds, row, view, look)
    return drawn, labels, boxes_of(renderer, view), lines_of(renderer, grounds, row, view, labels.depth), look


def _dense(labels: Labels) -> bytes:
    written = io.BytesIO()
    np.savez_compressed(
        written,
        depth=np.asarray(labels.depth, np.float32),
        agent=np.asarray(labels.agent, np.int16),
        thing=np.asarray(labels.thing, np.uint8),
        paint=np.asarray(labels.paint, np.uint8),
    )
    return written.getvalue()


_LAST: dict[tuple[str, Laying], Ground] = {}


def _ground(scenario: Scenario, laying: Laying) -> Ground:
    """The ground of a map, kept for the next picture of it; with room, so that few sizes are compiled."""
    map_ = scenario.map
    parts = (map_.elements, map_.element_kind, map_.stations, map_.lines, map_.light_position)
    digest = hashlib.sha256(b"".join(np.asarray(part).tobytes() for part in parts)).hexdigest()
    if (digest, laying) not in _LAST:
        _LAST.clear()
        _LAST[digest, laying] = jax.tree.map(jnp.asarray, stack_grounds([with_room(lay_ground(map_, laying))]))
    return _LAST[digest, laying]


def _moment(scenario: Scenario, random: np.random.Generator, plan: Plan) -> tuple[Moment, np.int32, int]:
    """A moment of a recording, who carries the camera, and the step; people on a map without traffic."""
    log = scenario.log
    kind = np.asarray(log.bodies.kind)
    riders = np.asarray(log.agents.valid)[: int(log.steps)] & np.isin(kind, [v for v in VEHICLES if v != 4])
    steps = np.flatnonzero(riders.any(axis=1)) if riders.size else np.zeros(0, int)
    if not len(steps):
        return people(scenario.map, random, plan.users + 1), np.int32(0), 0
    step = int(random.choice(steps))
    own = np.int32(random.choice(np.flatnonzero(riders[step])))
    agents = jax.tree.map(lambda leaf: np.asarray(leaf)[step], log.agents)
    return Moment(agents, log.bodies, np.asarray(log.lights)[step]), own, step


def read_set(folder: str | Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Every picture's file and its labels, of the shards that are finished. Raises `InputError` on what is no set."""
    folder = Path(folder)
    if not (folder / "set.json").is_file():
        raise InputError(f"{folder}: no set of pictures (make one: drivetrain data render)")
    for file in sorted(folder.glob("[0-9]" * 5 + "/labels.json")):
        try:
            body = json.loads(file.read_text(encoding="utf-8"))
            pictures: Sequence[dict[str, Any]] = body["pictures"]
            yield from ((file.parent / picture["file"], picture) for picture in pictures)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{file}: not labels: {error} (delete it, and repeat data render)") from None
