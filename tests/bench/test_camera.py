"""The benchmark of pictures measures pictures: those of a scene with many road users in sight."""

import jax
import jax.numpy as jnp
import numpy as np

from drivetrain.bench.camera import NETWORK, Shot, camera_line, crossing, measure_cameras


def test_every_shot_is_a_row():
    rows = list(measure_cameras(0.0, (Shot(16, 8), Shot(16, 8, 2, "labels"))))
    assert [(row.size, row.part, row.batch) for row in rows] == [("16×8", "picture", 1), ("16×8", "labels", 2)]
    for row in rows:
        assert row.rate == row.batch * 1e3 / row.milliseconds and row.floor > 0.0
        assert "16×8" in camera_line(row)


def test_the_network_is_a_row():
    (row,) = measure_cameras(0.0, (Shot(64, 40, 2, NETWORK),))
    assert (row.size, row.part, row.batch) == ("64×40", "network", 2) and row.rate > 0.0


def test_the_scene_is_full():
    _, moment = crossing()
    assert int(jnp.sum(moment.agents.valid)) >= 33
    assert np.isfinite(np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(moment.agents)])).all()
