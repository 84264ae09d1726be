"""What a camera on the driven vehicle would see at every step of a drive, for pages: small pictures beside the map.

They are drawn by `camera/` from what the page knows: the road, the log's other road users, the drive. `docs/camera.md`
says what such pictures are not.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt

from drivetrain.camera.appearance import PLAIN, Appearance
from drivetrain.camera.beside import Laying
from drivetrain.camera.ground import Ground, lay_ground, stack_grounds, with_room
from drivetrain.camera.pinhole import of_field
from drivetrain.camera.render import Renderer, picture, view_from
from drivetrain.camera.sets import TOGETHER, pillow
from drivetrain.camera.things import Moment
from drivetrain.camera.tiles import Tiling
from drivetrain.perception.pixels import data_address
from drivetrain.types import Array
from drivetrain.view.drawing import Drive, Episode, Scene
from drivetrain.view.film import drive_of, first_shown

RENDERER = Renderer(of_field(320, 180, 65.0), Tiling(things=TOGETHER), oversampling=2)
QUALITY = 72


def with_frames(
    scenes: Sequence[Scene],
    episodes: Sequence[Episode],
    driver: str,
    first: int,
    count: int,
    renderer: Renderer = RENDERER,
) -> list[Episode]:
    """The episodes, so many of a driver's with frames, from the `first` on in the order of the page.

    Without drives, `driver` is empty and frames follow the log. Episodes in which nobody is controlled are passed over.
    """
    order = [row for row in first_shown(episodes, driver) if episodes[row].tracks]
    chosen = set(order[first : first + count])
    return [
        replace(
            episode, frames=dict(episode.frames) | {driver: frames(scenes[episode.scene], episode, driver, renderer)}
        )
        if row in chosen
        else episode
        for row, episode in enumerate(episodes)
    ]


def frames(scene: Scene, episode: Episode, driver: str = "", renderer: Renderer = RENDERER) -> tuple[str, ...]:
    """A JPEG in a data address for every row of a drive, or of the log, from the first controlled vehicle."""
    image, drive = pillow(), drive_of(episode, driver)
    rows = episode.last - episode.first + 1 if drive is None else len(drive.position)
    grounds = jax.tree.map(jnp.asarray, stack_grounds([with_room(lay_ground(scene.map, Laying()))]))
    look = PLAIN(jax.random.key(0))
    own, written = np.int32(episode.tracks[0]), []
    for row in range(rows):
        pixels = np.asarray(_drawn(renderer, grounds, moment_at(scene, episode, drive, row), own, look))
        written.append(data_address(image.fromarray(pixels), QUALITY))
    return tuple(written)


def moment_at(scene: Scene, episode: Episode, drive: Drive | None, row: int) -> Moment:
    """Who is where at a row of a drive: the log's road users, and in place of the driven ones where they drove."""
    log = scene.log
    step = min(episode.first + row, int(log.steps) - 1)
    agents = jax.tree.map(lambda leaf: np.array(np.asarray(leaf)[step]), log.agents)
    tracks = list(episode.tracks)
    if drive is not None:
        agents.position[tracks], agents.heading[tracks] = drive.position[row], drive.heading[row]
        agents.valid[tracks] = drive.alive[row]
    return Moment(agents, log.bodies, np.asarray(log.lights)[step])


@partial(jax.jit, static_argnums=0)
def _drawn(renderer: Renderer, grounds: Ground, moment: Moment, own: Array, look: Appearance) -> UInt[Array, "h w 3"]:
    view = view_from(renderer, grounds, jnp.int32(0), moment, own, look)
    return picture(renderer, grounds, jnp.int32(0), view, look)
