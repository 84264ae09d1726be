"""What a camera on the driven vehicle would see: whose place it takes, and that it follows the drive."""

import base64
import io

import numpy as np
import pytest
import scenes
from PIL import Image

from drivetrain.camera.pinhole import of_field
from drivetrain.camera.render import Renderer
from drivetrain.camera.tiles import Tiling
from drivetrain.evaluate.through_camera import frames, moment_at, with_frames
from drivetrain.types import MARGINS
from drivetrain.view.drawing import Drive, Episode, Scene

RENDERER = Renderer(of_field(64, 40, 60.0), Tiling(things=2), users=4)


@pytest.fixture(scope="module")
def scene():
    agents = (scenes.along_x(5.25, 40.0), scenes.along_x(5.25, 60.0))
    compiled = scenes.scenario(scenes.straight_road(agents=agents))
    return Scene("road", 0.2, compiled.map, compiled.log)


@pytest.fixture(scope="module")
def episode(scene):
    """The log for four rows, and a drive that turns round on the spot after the first."""
    position = np.asarray(scene.log.agents.position)[2:6, [0]]
    heading = np.tile(np.array([[[-1.0, 0.0]]]), (4, 1, 1))
    heading[0] = [[1.0, 0.0]]
    number, none = np.zeros((4, 1)), np.zeros((4, 1, len(MARGINS)))
    alive = np.array([[True], [True], [True], [False]])
    drives = tuple(Drive(name, position, heading, number, number, none, alive) for name in ("one", "turned"))
    return Episode(0, (0,), 2, 5, drives=drives)


def pixels(frame):
    kind, _, data = frame.partition(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as opened:
        return np.asarray(opened).astype(int)


def test_driven_vehicles_are_where_they_drove_and_others_where_the_log_has_them(scene, episode):
    before = np.array(scene.log.agents.heading)
    moment = moment_at(scene, episode, episode.drives[1], 1)
    np.testing.assert_array_equal(moment.agents.heading[0], [-1.0, 0.0])
    np.testing.assert_array_equal(moment.agents.position[1], np.asarray(scene.log.agents.position)[3, 1])
    assert not moment_at(scene, episode, episode.drives[1], 3).agents.valid[0]
    np.testing.assert_array_equal(scene.log.agents.heading, before)
    np.testing.assert_array_equal(moment_at(scene, episode, None, 1).agents.heading, before[3])


def test_the_camera_turns_with_the_vehicle(scene, episode):
    seen = [pixels(frame) for frame in frames(scene, episode, "turned", RENDERER)]
    assert len(seen) == 4 and seen[0].shape == (40, 64, 3)
    assert np.abs(seen[0] - seen[1]).mean() > 5.0  # the car ahead is gone
    assert np.abs(seen[1] - seen[2]).mean() < np.abs(seen[0] - seen[1]).mean()
    assert len(frames(scene, episode, "", RENDERER)) == 4


def test_only_the_drives_that_are_asked_for_have_frames(scene, episode):
    whole = Episode(0, (), 0, 5)
    made = with_frames([scene], [whole, Episode(0, (0,), 2, 3), Episode(0, (1,), 2, 3)], "", 1, 5, RENDERER)
    assert [list(one.frames) for one in made] == [[], [], [""]] and len(made[2].frames[""]) == 2
    (again,) = with_frames([scene], [episode], "one", 0, 1, RENDERER)
    assert list(again.frames) == ["one"]
