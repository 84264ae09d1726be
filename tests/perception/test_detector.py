"""From what is found in a picture to a report; and a network that knows nothing yet, in a compiled program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.camera.pinhole import Camera, of_field
from drivetrain.perception import detector
from drivetrain.perception.detector import PIECES, NetworkDetector
from drivetrain.perception.found import Detection, Found, FoundLine
from drivetrain.perception.labelled import Line
from drivetrain.perception.network import Small
from drivetrain.perception.report import STATIONS
from drivetrain.types import InputError, replace

CAMERA = of_field(96, 64, 60.0)


def network():
    return Small(widths=(4, 4, 8, 8), blocks=(1, 1, 1), head=4).build(jax.random.key(0))


def of_ground(x, y):
    """A point of the ground as (column, row, depth)."""
    return CAMERA.cx - CAMERA.fx * y / x, CAMERA.cy + CAMERA.fy * CAMERA.mount.z / x, x


def test_what_is_found_becomes_a_report(monkeypatch):
    left = np.array([of_ground(x, 1.8 + 0.02 * x) for x in (4.0, 12.0, 25.0, 45.0)])
    right = np.array([of_ground(x, -1.5) for x in (5.0, 22.0)])
    box = (CAMERA.cx - 10.0, 20.0, CAMERA.cx + 5.0, 40.0)
    found = Found(
        things=(Detection(box, 0.9, 20.0), Detection((0.0, 0.0, 5.0, 5.0), 0.1, 9.0), Detection(box, 0.5, 30.0)),
        lines=tuple(FoundLine(Line(points, np.ones(len(points), bool)), 0.8) for points in (left, right)),
    )
    monkeypatch.setattr(detector, "decode", lambda *_: found)
    looks = NetworkDetector(network(), CAMERA, vehicles=3)
    report = jax.jit(lambda looks, picture: looks(picture))(looks, jnp.zeros((64, 96, 3), jnp.uint8))
    assert report.seen.tolist() == [True, True, False] and report.depth.tolist() == [20.0, 30.0, 0.0]
    assert float(report.left[0]) == pytest.approx(10.0 / CAMERA.fx, rel=1e-4)
    assert float(report.right[0]) == pytest.approx(-5.0 / CAMERA.fx, rel=1e-4)
    np.testing.assert_array_equal(report.lines, [[True] * 6, [True] * 4 + [False] * 2])
    np.testing.assert_allclose(report.aside[0], 1.8 + 0.02 * np.asarray(STATIONS), atol=1e-3)
    np.testing.assert_allclose(report.aside[1, :4], -1.5, atol=1e-3)


def test_more_than_there_is_room_for_is_cut():
    many = np.array([of_ground(3.0 + 0.1 * k, 1.0) for k in range(PIECES + 40)])
    found = Found((), (FoundLine(Line(many, np.ones(len(many), bool)), 0.9),))
    pieces, there = detector._pieces(found, CAMERA)
    assert pieces.shape == (4, PIECES) and there.all()
    pieces, there = detector._pieces(Found(), CAMERA)
    assert not there.any() and not pieces.any()


def test_an_untrained_network_reports_in_a_scan():
    looks = NetworkDetector(network(), CAMERA, least=0.0, vehicles=3)
    pictures = jnp.asarray(np.random.default_rng(0).integers(0, 255, (3, 64, 96, 3)), jnp.uint8)
    reports = jax.jit(lambda looks: jax.lax.map(looks, pictures))(looks)
    assert reports.depth.shape == (3, 3) and reports.aside.shape == (3, 2, len(STATIONS))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(reports))


def test_a_lens_that_bends_is_refused():
    with pytest.raises(InputError, match="detector: camera: it distorts"):
        NetworkDetector(network(), replace(Camera(), k1=-0.1))
