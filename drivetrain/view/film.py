"""A drive as moving pictures (`film`), or one moment of it (`still`).

The camera follows the first ego; where there is none, it shows the whole road.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from drivetrain.types import FAILURES, MARGINS, Array
from drivetrain.view.canvas import Camera, Canvas, Road, pillow, road_of
from drivetrain.view.drawing import Drive, Episode, Scene
from drivetrain.view.style import colour

WIDTH, HEIGHT = 720, 405
SCALE = 7.0  # pixels a metre, where an ego is followed
SECONDS = 0.1  # of a picture at most: longer steps are filled in
COLOURS = 96  # of a film, at most 256
FAILING = [MARGINS.index(name) for name in FAILURES]


@dataclass(frozen=True)
class Shot:
    """A drive that is shown: which scene, which episode of it, by which driver (None: as recorded), and its title."""

    scene: Scene
    episode: Episode
    drive: Drive | None
    title: str

    def moments(self) -> int:
        """Rows that can be shown."""
        recorded = self.episode.last - self.episode.first + 1
        return recorded if self.drive is None else min(recorded, len(self.drive.position))


def film(shot: Shot) -> bytes:
    """A GIF in real time, which begins again when it is over."""
    pictures = _pictures(shot)
    image = pillow()[0]
    # One palette for all, from pictures of its start, its middle and its end: nothing flickers, and it stays small.
    some = [pictures[round(share * (len(pictures) - 1))] for share in (0.0, 0.5, 1.0)]
    strip = image.new("RGB", (WIDTH, HEIGHT * len(some)))
    for row, picture in enumerate(some):
        strip.paste(picture, (0, HEIGHT * row))
    palette = strip.quantize(COLOURS)
    frames = [picture.quantize(palette=palette, dither=image.Dither.NONE) for picture in pictures]
    steps = 1000.0 * shot.scene.dt / _between(shot.scene.dt)
    ends = [round(steps * (number + 1) / 10.0) * 10 for number in range(len(frames))]  # a GIF counts hundredths
    times = [end - before for before, end in zip([0, *ends], ends, strict=False)]
    written = io.BytesIO()
    frames[0].save(written, "GIF", save_all=True, append_images=frames[1:], duration=times, loop=0, optimize=False)
    return written.getvalue()


def still(shot: Shot, moment: int | None = None) -> bytes:
    """A PNG of one moment (None: the last)."""
    row = shot.moments() - 1 if moment is None else moment
    written = io.BytesIO()
    _picture(shot, road_of(shot.scene.map, shot.episode.routes), row).save(written, "PNG")
    return written.getvalue()


def first_shown(episodes: Sequence[Episode], driver: str) -> list[int]:
    """Episodes that a driver has driven, in the order of the page: failures first, then other events."""

    def rank(row: int) -> int:
        drive = drive_of(episodes[row], driver)
        if drive is None:
            return 2
        happened = _happened(drive)
        return 0 if happened[..., FAILING].any() else 1 if happened.any() else 2

    rows = [row for row, episode in enumerate(episodes) if not driver or drive_of(episode, driver) is not None]
    return sorted(rows, key=rank)


def drive_of(episode: Episode, driver: str) -> Drive | None:
    """The drive of a driver, where there is one."""
    return next((drive for drive in episode.drives if drive.driver == driver), None)


def _happened(drive: Drive) -> Bool[np.ndarray, "n C facts"]:
    """Which margins are below zero; nothing has happened at the start, nor after an agent's end."""
    below = (np.asarray(drive.margins) < 0.0) & np.asarray(drive.alive)[..., None]
    below[0] = False
    return below


def _between(dt: float | int) -> int:
    """Pictures a step."""
    return max(round(dt / SECONDS), 1)


def _pictures(shot: Shot) -> list[Any]:
    road, each = road_of(shot.scene.map, shot.episode.routes), _between(shot.scene.dt)
    return [_picture(shot, road, number / each) for number in range((shot.moments() - 1) * each + 1)]


def _picture(shot: Shot, road: Road, row: float | int) -> Any:
    """One moment, `row` steps after the start."""
    scene, tracks, drive = shot.scene, list(shot.episode.tracks), shot.drive
    agents, bodies, step = scene.log.agents, scene.log.bodies, shot.episode.first + row
    recorded, seen = _poses(agents.position, agents.heading, agents.valid, step)
    sizes = np.stack([np.asarray(bodies.length), np.asarray(bodies.width)], axis=-1)
    egos, lives = recorded[tracks], seen[tracks]
    if drive is not None:
        egos, lives = _poses(drive.position, drive.heading, drive.alive, row)
    canvas = Canvas(follow(egos[0]) if tracks else _overview(road))
    canvas.road(road, np.asarray(scene.log.lights)[int(step)])
    others = np.setdiff1d(np.flatnonzero(seen), tracks)
    if drive is None:
        canvas.users(recorded[others], sizes[others], np.asarray(bodies.kind)[others])
        _egos(canvas, egos[lives], sizes[tracks][lives], np.zeros(int(lives.sum()), bool))
    else:
        happened = _happened(drive)[: int(row) + 1]
        for c in range(len(tracks)):
            canvas.line(drive.position[: int(row) + 1, c], colour("accent"), 0.28, 2.0)
        canvas.users(recorded[others], sizes[others], np.asarray(bodies.kind)[others])
        failed = np.array([happened[:, c, FAILING].any() for c in range(len(tracks))], bool)
        _egos(canvas, egos[lives], sizes[tracks][lives], failed[lives])
        for track in tracks if drive.driver != "log" else ():
            if seen[track]:
                canvas.ghost(recorded[track], sizes[track], colour("ghost"))
        _mark(canvas, drive, happened)
    canvas.bar()
    canvas.text((14, 24), shot.title, 13, colour("ink"))
    canvas.text((WIDTH - 14, 24), f"{row * scene.dt:.1f} s", 13, colour("soft"), "rs")
    return canvas.done()


def _egos(
    canvas: Canvas, poses: Float[np.ndarray, "n 4"], sizes: Float[np.ndarray, "n 2"], failed: Bool[np.ndarray, "n"]
) -> None:
    for pose, size, bad in zip(poses, sizes, failed, strict=True):
        canvas.agent(pose, size, colour("bad" if bad else "accent"), colour("panel"))


def _mark(canvas: Canvas, drive: Drive, happened: Bool[np.ndarray, "n C facts"]) -> None:
    """A ring where each fact began."""
    began = happened.copy()
    began[1:] &= ~happened[:-1]
    for moment, c, fact in np.argwhere(began):
        name = "bad" if fact in FAILING else "warn"
        canvas.ring(drive.position[moment, c], 1.2, 9.0, line=colour(name))


def follow(pose: Float[np.ndarray, "4"]) -> Camera:
    """On one road user."""
    return Camera(float(pose[0]), float(pose[1]), SCALE, WIDTH, HEIGHT)


def _overview(road: Road) -> Camera:
    """On the whole road."""
    low, high = road.box()
    (x, y), size = (low + high) / 2, np.maximum(high - low, 20.0)
    return Camera(float(x), float(y), float(min(0.92 * min(WIDTH / size[0], HEIGHT / size[1]), 60.0)), WIDTH, HEIGHT)


def _poses(position: Array, heading: Array, valid: Array, step: float | int) -> tuple[Float[np.ndarray, "n 4"], Array]:
    """x, y, cos, sin of everyone between two steps, and who is there; who is there in one of them alone stays put."""
    before, share = int(step), step - int(step)
    after = min(before + 1, len(valid) - 1)
    here, there = np.asarray(valid[before], bool), np.asarray(valid[after], bool)
    now, then = (np.concatenate([position[row], heading[row]], axis=-1, dtype=np.float64) for row in (before, after))
    poses = np.where((here & there)[:, None], (1.0 - share) * now + share * then, now)
    poses[:, 2:] /= np.maximum(np.linalg.norm(poses[:, 2:], axis=1, keepdims=True), 1e-9)
    return poses, here
