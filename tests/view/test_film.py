"""Pictures show what is where it is: known points of a hand-drawn road have the colours of what stands on them."""

import io
import sys
from dataclasses import replace

import numpy as np
import pytest
import scenes

from drivetrain.types import MARGINS, InputError, LightState
from drivetrain.view.canvas import LAMPS, road_of
from drivetrain.view.drawing import Drive, Scene
from drivetrain.view.film import HEIGHT, SCALE, WIDTH, Shot, drive_of, film, first_shown, still
from drivetrain.view.page import ego_episodes
from drivetrain.view.style import colour

Image = pytest.importorskip("PIL.Image", reason="pillow is not installed")
STEPS = 11


def shot_of(drawn, ego=1, margin=5.0, aside=0.0, driver="bc"):
    """An ego of a drawing, driven as it was recorded but for some metres aside, with one margin at its fifth moment."""
    compiled = scenes.scenario(drawn)
    episode = ego_episodes(0, compiled)[ego]
    rows = slice(episode.first, episode.first + STEPS)
    position = np.asarray(compiled.log.agents.position)[rows, list(episode.tracks)] + np.array([0.0, aside])
    heading = np.asarray(compiled.log.agents.heading)[rows, list(episode.tracks)]
    margins = np.full((STEPS, 1, len(MARGINS)), 5.0)
    margins[5, 0, MARGINS.index("collision")] = margin
    speed = np.zeros((STEPS, 1))
    drive = Drive(driver, position, heading, speed, speed, margins, np.ones((STEPS, 1), bool))
    shown = Scene("drawn", 0.2, compiled.map, compiled.log)
    return Shot(shown, replace(episode, drives=(drive,)), drive, "")


def pixel(content, metres, frame=0):
    """The colour at so many metres from the ego, along the road and to its left."""
    image = Image.open(io.BytesIO(content))
    image.seek(frame)
    return image.convert("RGB").getpixel(
        (WIDTH // 2 + round(SCALE * metres[0]), HEIGHT // 2 - round(SCALE * metres[1]))
    )


def near(one, other):
    """Whether two colours are the same but for what a film's palette takes from them."""
    return np.abs(np.array(one) - np.array(other)).max() <= 12


def test_a_still_shows_everyone_where_they_are():
    """The ego in the middle of lane 1, the other 30 m ahead, lane 2 to the left, nothing beyond the road."""
    content = still(shot_of(scenes.straight_road()), 0)
    assert Image.open(io.BytesIO(content)).size == (WIDTH, HEIGHT)
    assert pixel(content, (-1.0, 0.0)) == colour("accent")
    assert pixel(content, (29.0, 0.0)) == colour("car")
    assert pixel(content, (-10.0, 0.0)) == colour("route", colour("road"))
    assert pixel(content, (0.0, -5.0)) == colour("sky")
    assert pixel(content, (20.0, -1.75)) == colour("edge")  # the right border of lane 1


def test_a_film_lasts_as_long_as_the_drive_and_turns_red_where_it_fails():
    content = film(shot_of(scenes.straight_road(), margin=-1.0))
    image = Image.open(io.BytesIO(content))
    assert image.n_frames == 2 * (STEPS - 1) + 1
    times = []
    for frame in range(image.n_frames - 1):
        image.seek(frame)
        times.append(image.info["duration"])
    assert sum(times) == 200 * (STEPS - 1)
    assert near(pixel(content, (-1.0, 0.0), 9), colour("accent"))
    assert near(pixel(content, (-1.5, 0.0), 10), colour("bad")) and near(pixel(content, (-1.5, 0.0), 20), colour("bad"))
    # Between two steps, the road has moved by half of one: 1 m of the car ahead, which keeps its distance.
    assert near(pixel(content, (29.0, 0.0), 1), colour("car"))


def test_the_log_goes_along_as_a_ghost_but_with_itself():
    driven = still(shot_of(scenes.straight_road(), aside=3.5), 0)
    assert pixel(driven, (-1.0, 0.0)) == colour("accent")
    outline = [pixel(driven, (x, -2.5)) for x in np.arange(-2.0, 2.0, 0.05)]  # the right one's left side
    assert min(map(sum, outline)) < 250 < sum(colour("road"))
    own = still(shot_of(scenes.straight_road(), aside=3.5, driver="log"), 0)
    assert all(near(pixel(own, (x, -2.5)), colour("route", colour("road"))) for x in np.arange(-2.0, 2.0, 0.05))


def test_a_light_is_shown_as_it_is():
    states = [LightState.GREEN] * 8 + [LightState.RED] * 42
    for moment, light in ((0, LightState.GREEN), (9, LightState.RED)):
        shot = shot_of(scenes.crossing(states=states, agents=(scenes.along_x(0.0, -40.0, speed=5.0),)))
        ahead = 40.0 - 5.0 * 0.2 * moment  # the line is at x = 0
        assert pixel(still(shot, moment), (ahead, 1.0)) == colour(LAMPS[light])


def test_a_recording_alone_is_shown_whole():
    compiled = scenes.scenario(scenes.straight_road())
    whole, *_ = ego_episodes(0, compiled)
    content = still(Shot(Scene("drawn", 0.2, compiled.map, compiled.log), whole, None, "drawn"), 0)
    image = Image.open(io.BytesIO(content)).convert("RGB")
    found = {colour for _, colour in image.getcolors(WIDTH * HEIGHT)}
    assert {colour("road"), colour("sky")} <= found and colour("accent") not in found


def test_failures_come_first():
    safe, failed = shot_of(scenes.straight_road()).episode, shot_of(scenes.straight_road(), margin=-0.1).episode
    assert first_shown([safe, failed, safe], "bc") == [1, 0, 2]
    assert first_shown([safe, failed], "idm") == [] and drive_of(safe, "idm") is None
    assert first_shown([safe, failed], "") == [0, 1]


def test_a_long_road_is_drawn_in_pieces_that_meet():
    road = road_of(scenes.scenario(scenes.straight_road(lanes=1, length=400.0)).map)
    starts = sorted(shape.points[:, 0].min() for shape in road.surface)
    ends = sorted(shape.points[:, 0].max() for shape in road.surface)
    assert starts[0] <= 0.0 and ends[-1] >= 400.0 and starts[1:] == ends[:-1]
    assert max(end - start for start, end in zip(starts, ends, strict=True)) < 50.0


def test_without_pillow_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.delitem(sys.modules, "PIL.Image", raising=False)
    with pytest.raises(InputError, match=r"drivetrain\[pictures\]"):
        still(shot_of(scenes.straight_road()))
