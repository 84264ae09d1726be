"""Cuts about things: where they are in them, which others are, and what is left out."""

import numpy as np
import pytest
from PIL import Image

from drivetrain.perception.crops import OUTSIDE, Cutting, cut
from drivetrain.perception.labelled import Boxed, Labelled
from drivetrain.types import InputError

RED, BLUE = (250, 10, 10), (10, 10, 250)


@pytest.fixture
def picture(tmp_path):
    """A red thing and a blue one beside it, and small, hidden and cut things of the same kinds."""
    pixels = np.full((120, 160, 3), 200, np.uint8)
    pixels[40:70, 60:90] = RED
    pixels[40:70, 95:115] = BLUE
    Image.fromarray(pixels).save(tmp_path / "a.png")
    things = (
        Boxed((59.5, 39.5, 89.5, 69.5), "ball"),
        Boxed((94.5, 39.5, 114.5, 69.5), "cube"),
        Boxed((5.0, 5.0, 9.0, 9.0), "cube"),
        Boxed((130.0, 90.0, 150.0, 110.0), "ball", visible=0.3),
        Boxed((-0.5, 80.0, 20.0, 110.0), "ball", truncated=True),
        Boxed((20.0, 80.0, 50.0, 110.0), "unknown"),
    )
    return Labelled(tmp_path / "a.png", 160, 120, things)


def test_a_cut_is_about_its_thing_and_boxes_lie_on_what_they_name(picture):
    crops = cut([picture], ("ball", "cube"), Cutting(size=96, each=20, small=0.2, alone=9.0))
    assert len(crops.pictures) == 40 and crops.about.tolist() == [0, 1] * 20
    for pixels, boxes, kinds in zip(crops.pictures, crops.boxes, crops.kind, strict=True):
        for box, kind in zip(boxes, kinds, strict=True):
            x0, y0, x1, y1 = np.round(96 * box).astype(int)
            inside = pixels[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2].reshape(-1, 3)
            assert np.abs(inside.astype(int) - (RED if kind == 0 else BLUE)).max() < 40
        longer = np.max(boxes[0, 2:] - boxes[0, :2])
        assert 0.19 < longer < 0.81 and np.all((boxes >= 0.0) & (boxes <= 1.0))
    assert max(len(boxes) for boxes in crops.boxes) == 2
    apart = cut([picture], ("ball", "cube"), Cutting(size=96, each=20, small=0.2))
    assert 0 < len(apart.pictures) < 40  # those in which the other is as large are left out
    places = np.array([0.5 * (boxes[0, 0] + boxes[0, 2]) for boxes in crops.boxes])
    assert places.std() > 0.05  # not always in the middle


def test_beyond_the_border_there_is_grey_and_the_seed_gives_the_same(picture):
    cutting = Cutting(size=32, each=30, small=0.2, large=0.21)
    crops, again = cut([picture], ("cube",), cutting), cut([picture], ("cube",), cutting)
    assert np.array_equal(crops.pictures, again.pictures)
    assert np.any(np.all(crops.pictures == OUTSIDE, axis=-1))
    some = crops.only(np.array([3, 5]))
    assert np.array_equal(some.pictures, crops.pictures[[3, 5]]) and len(some.boxes) == 2


def test_where_nothing_is_large_enough_it_is_said(picture):
    with pytest.raises(InputError, match=r"none shows a cube … that is large and whole enough"):
        cut([picture], ("cube",), Cutting(least=50.0))
