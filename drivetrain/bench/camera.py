"""The camera: pictures a second, one at a time and many in one call, of a crossing with 32 road users in sight.

`picture` is red, green and blue; `labels` adds depth, road users, kinds and lines of every pixel. On CPUs the pictures
of one call are drawn one after the other on a core (what one needs stays in its cache); elsewhere all at once.
`network` is what the small network makes of a picture, decoding aside.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from drivetrain.bench.measuring import copy_rate, median_seconds, peak_megabytes
from drivetrain.bench.synthetic import Grid, grid_scenario
from drivetrain.camera.appearance import Appearance, Randomisation
from drivetrain.camera.ground import Ground, lay_ground, stack_grounds
from drivetrain.camera.pinhole import of_field
from drivetrain.camera.render import Renderer, labelled, picture, view_from
from drivetrain.camera.things import Moment
from drivetrain.perception.network import MULTIPLE, Small
from drivetrain.types import Array, component

CROSSING = Grid(agents=40, steps=20, roads=2, lanes=2, spacing=85.0, dt=0.1, signals=8)
"""A small block; the camera looks along one of its roads."""
PARTS = ("picture", "labels")
NETWORK = "network"
PIXEL_BYTES = 8 + 8 + 8 + 8 + 3
"""A pixel's slope read, what is met first and the packed colour written and read, two words of ground read, 3 bytes."""


@component
class Shot:
    """One row of the table."""

    width: int
    height: int
    batch: int = 1
    part: str = "picture"  # of PARTS, or NETWORK


SHOTS = tuple(
    Shot(width, height, batch, part) for width, height in ((128, 72), (320, 240)) for part in PARTS for batch in (1, 16)
) + tuple(Shot(width, height, batch, NETWORK) for width, height in ((320, 240), (640, 480)) for batch in (1, 16))


@dataclasses.dataclass(frozen=True)
class CameraRow:
    """One measurement."""

    size: str
    part: str
    batch: int
    milliseconds: float  # of a call
    rate: float  # pictures a second
    core_rate: float  # pictures a second of processor time, whoever else uses the machine; of the host's elsewhere
    floor: float  # ms a call that copying what it must read and write takes; 0 of the network, which computes
    temporary_mb: float
    peak_mb: float  # of the process on a CPU, of the device elsewhere; since it began
    compile_seconds: float


def measure_cameras(seconds: float, shots: tuple[Shot, ...] = SHOTS) -> Iterator[CameraRow]:
    """Every shot in turn."""
    scene, rate = crossing(), copy_rate()
    for shot in shots:
        yield _row(shot, scene, rate, seconds)


def crossing() -> tuple[Ground, Moment]:
    """The ground, and the moment at which pictures are taken by its first vehicle."""
    scenario = grid_scenario(CROSSING)
    log = scenario.log
    agents = jax.tree.map(lambda leaf: leaf[0], log.agents)
    moment = Moment(agents, log.bodies, log.lights[0])
    return jax.tree.map(jnp.asarray, (stack_grounds([lay_ground(scenario.map)]), moment))


Program = Callable[..., Any]


def _row(shot: Shot, scene: tuple[Ground, Moment], rate: float, seconds: float) -> CameraRow:
    many, given = _seeing(shot) if shot.part == NETWORK else _drawing(shot, scene)
    begun = time.perf_counter()
    compiled = jax.jit(many).lower(*given).compile()
    compile_seconds = time.perf_counter() - begun
    elapsed = median_seconds(lambda: jax.block_until_ready(compiled(*given)), seconds)
    begun, calls = time.process_time(), 0
    while calls == 0 or time.process_time() - begun < 0.5 * seconds:
        jax.block_until_ready(compiled(*given))
        calls += 1
    busy = (time.process_time() - begun) / calls
    memory = compiled.memory_analysis()
    assert memory is not None
    return CameraRow(
        size=f"{shot.width}×{shot.height}",
        part=shot.part,
        batch=shot.batch,
        milliseconds=1e3 * elapsed,
        rate=shot.batch / elapsed,
        core_rate=shot.batch / max(busy, 1e-9),
        floor=0.0 if shot.part == NETWORK else 1e3 * shot.batch * shot.width * shot.height * PIXEL_BYTES / rate,
        temporary_mb=memory.temp_size_in_bytes / 1e6,
        peak_mb=peak_megabytes(),
        compile_seconds=compile_seconds,
    )


def _drawing(shot: Shot, scene: tuple[Ground, Moment]) -> tuple[Program, tuple[Any, ...]]:
    """What draws pictures, and what it is given."""
    grounds, moment = scene
    renderer = Renderer(of_field(shot.width, shot.height))
    looks = jax.vmap(Randomisation())(jax.random.split(jax.random.key(1), shot.batch))
    own = jnp.arange(shot.batch) % CROSSING.agents

    def one(given: tuple[Array, Appearance]):
        own, look = given
        row = jnp.int32(0)
        view = view_from(renderer, grounds, row, moment, own, look)
        return (picture if shot.part == "picture" else labelled)(renderer, grounds, row, view, look)

    def many(own: Array, looks: Appearance):
        if shot.batch == 1:
            return one(jax.tree.map(lambda leaf: leaf[0], (own, looks)))
        return jax.lax.map(one, (own, looks)) if jax.default_backend() == "cpu" else jax.vmap(one)((own, looks))

    return many, (own, looks)


def _seeing(shot: Shot) -> tuple[Program, tuple[Any, ...]]:
    """What looks at pictures, rows added to whole cells, and what it is given."""
    size = (-(-side // MULTIPLE) * MULTIPLE for side in (shot.height, shot.width))
    pictures = jax.random.randint(jax.random.key(2), (shot.batch, *size, 3), 0, 256, jnp.int32).astype(jnp.uint8)
    return lambda network, pictures: jax.vmap(network)(pictures), (Small().build(jax.random.key(3)), pictures)


HEADING = (
    f"{'size':>8} {'part':>8} {'batch':>6} {'ms':>9} {'pictures/s':>11} {'a core-s':>9} {'floor ms':>9} "
    f"{'temp. MB':>9} {'peak MB':>8} {'compile s':>10}"
)


def camera_line(row: CameraRow) -> str:
    """A row of the table."""
    figures = f"{row.milliseconds:>9.3f} {row.rate:>11,.0f} {row.core_rate:>9,.0f} {row.floor:>9.3f}"
    memory = f"{row.temporary_mb:>9,.1f} {row.peak_mb:>8,.0f}"
    return f"{row.size:>8} {row.part:>8} {row.batch:>6} {figures} {memory} {row.compile_seconds:>10.1f}"
