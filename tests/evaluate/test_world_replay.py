"""Lives from moments made by hand, and a world that is written and read back."""

import jax
import numpy as np
from fixtures_worlds import drawn

from drivetrain.evaluate.replay import read_replay
from drivetrain.evaluate.world_replay import LEAST, Life, lives, write_world


def test_lives_begin_and_end_where_they_do():
    moments = jax.tree.map(lambda leaf: leaf[0], drawn())
    assert lives(moments) == [Life(0, 0, 4), Life(1, 0, 7), Life(0, 6, 9)]


def test_a_world_is_read_back_life_by_life(lived, tmp_path):
    worlds, moments = lived
    world = jax.tree.map(lambda leaf: leaf[0], moments)
    write_world(tmp_path / "replay.safetensors", worlds, 0, world, "driver")
    (scene,), episodes = read_replay(tmp_path / "replay.safetensors")
    every = lives(world)
    shown = [(column, life) for column, life in enumerate(every) if life.last - life.first + 1 >= LEAST]
    assert scene.name == "crossing" and len(episodes) == len(shown) > 1
    assert np.asarray(scene.log.agents.valid).sum() == np.asarray(world.alive).sum()
    for episode, (column, life) in zip(episodes, shown, strict=True):
        assert episode.tracks == (column,) and (episode.first, episode.last) == (life.first, life.last)
        (drive,) = episode.drives
        rows = slice(life.first, life.last + 1)
        np.testing.assert_array_equal(drive.position[:, 0], np.asarray(world.position)[rows, life.agent])
        if np.asarray(world.ended)[life.last, life.agent]:
            ending = min(np.asarray(world.events.off_route)[[life.last - 1, life.last], life.agent])
            assert drive.margins[-1, 0, 1] == ending
        goals = np.asarray(worlds.bank.routes.goals)[int(world.route[life.first, life.agent]), 1:, 1:3]
        for place in drive.goal[:, 0]:  # each is one of its drive's
            assert np.isnan(place).all() or (np.abs(goals - place) < 1e-3).all(axis=1).any()
