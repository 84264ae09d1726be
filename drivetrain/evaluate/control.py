"""A negative control: do the events see drives that nobody may drive?

Every ego that may be driven is driven wrongly in each of `KINDS` that its map has room for, by the events that judge
everybody else. A wrong drive is seen where it is off route, or off the road, at any of its steps.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from drivetrain.banks.part import Lot, Part
from drivetrain.drivers.placed import Placed
from drivetrain.env import Env
from drivetrain.evaluate.benchmark import Portion, evaluate
from drivetrain.evaluate.wrong_drives import (
    Poses,
    Recorded,
    aside,
    off_the_road,
    oncoming,
    recorded_drive,
    wrong_corner,
)

RECORDINGS = 32
"""In memory at once."""
KINDS: dict[str, Callable[[Recorded], Poses | None]] = {
    "a lane to the left": lambda drive: aside(drive, 1),
    "a lane to the right": lambda drive: aside(drive, -1),
    "into oncoming lanes": oncoming,
    "off the road": off_the_road,
    "around another corner": wrong_corner,
}


@dataclass(frozen=True)
class Seen:
    """Of the wrong drives of one kind, how many the events see."""

    drives: int = 0
    seen: int = 0
    off_route: int = 0
    off_road: int = 0
    steps: int = 0  # of all drives
    steps_seen: int = 0

    def __add__(self, other: "Seen") -> "Seen":
        return Seen(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


def run_control(folder: str | Path, progress: Callable[[int, str], None] = lambda done, words: None) -> dict[str, Seen]:
    """The control on every ego of a dataset that may be driven. `progress(done, word)` hears of egos."""
    found, done = dict.fromkeys(KINDS, Seen()), 0
    for lot in Part((str(folder),), None, RECORDINGS):
        drives = [recorded(lot, row) for row in lot.rows().tolist()]
        for kind, wrongly in KINDS.items():
            found[kind] += _seen(lot, [wrongly(drive) for drive in drives])
            progress(done, kind)
        done += len(drives)
        progress(done, "control")
    return found


def recorded(lot: Lot, row: int) -> Recorded:
    """The recorded drive of one episode of a lot, from its second step on: the first is where everybody begins."""
    episodes, logs = lot.bank.episodes, lot.bank.logs
    log, track = int(episodes.log[row]), int(episodes.track[row, 0])
    steps = slice(int(episodes.first[row]) + 1, int(episodes.last[row]) + 1)
    agents = logs.agents
    poses = np.concatenate([np.asarray(part)[log, steps, track] for part in (agents.position, agents.heading)], axis=1)
    map_, egos = lot.roads[log]
    return recorded_drive(map_, egos, int(episodes.ego[row, 0]), poses, float(logs.bodies.width[log, track]))


def _seen(lot: Lot, wrong: list[Poses | None]) -> Seen:
    """What the events see of one wrong drive an episode."""
    rows = np.array([row for row, poses in zip(lot.rows().tolist(), wrong, strict=True) if poses is not None], int)
    if not len(rows):
        return Seen()
    episodes = lot.bank.episodes
    table = np.zeros((len(episodes.map), lot.bank.logs.agents.valid.shape[1] + 1, 4), np.float32)
    for row, poses in zip(lot.rows().tolist(), wrong, strict=True):
        if poses is not None:
            first = int(episodes.first[row]) + 1
            table[row, first : first + len(poses)] = poses
    driven = evaluate(Env(), lot.bank, Placed(jnp.asarray(table)), Portion(rows, first=lot.first, steps=lot.steps))
    assert driven.drives is not None
    mask, events = driven.drives.mask[..., 0], driven.drives.events
    route, road = ((getattr(events, name)[..., 0] < 0.0) & mask for name in ("off_route", "off_road"))
    return Seen(
        drives=len(rows),
        seen=int((route | road).any(axis=1).sum()),
        off_route=int(route.any(axis=1).sum()),
        off_road=int(road.any(axis=1).sum()),
        steps=int(mask.sum()),
        steps_seen=int((route | road).sum()),
    )


def control_table(found: dict[str, Seen]) -> str:
    """The control as lines of text."""
    lines = [f"{'driven wrongly':<22} {'drives':>6} {'seen':>8} {'off route':>10} {'off road':>9} {'of steps':>9}"]
    for kind, seen in [*found.items(), ("all", sum(found.values(), Seen()))]:
        shares = [100.0 * part / max(seen.drives, 1) for part in (seen.seen, seen.off_route, seen.off_road)]
        steps = 100.0 * seen.steps_seen / max(seen.steps, 1)
        words = "{:>6.1f} % {:>8.1f} % {:>7.1f} % {:>7.1f} %".format(*shares, steps) if seen.drives else "       –"
        lines.append(f"{kind:<22} {seen.drives:>6} {words}")
    return "\n".join(lines)
