"""Rays across lanes, against shapely."""

import numpy as np
import shapely

from drivetrain.data.readers.centre_lines.lane_sampling import (
    CentreLine,
    beside_of,
    cast,
    left_of,
    sample,
    told_of,
)
from drivetrain.data.recordings.polylines import arc_lengths


def test_rays_meet_what_shapely_says_they_meet():
    numbers = np.random.default_rng(0)
    origin, angle = numbers.uniform(-5, 5, (40, 2)), numbers.uniform(-np.pi, np.pi, 40)
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    start, end = numbers.uniform(-5, 5, (30, 2)), numbers.uniform(-5, 5, (30, 2))
    ray, segment, distance, share = cast(origin, direction, 4.0, start, end)
    found = dict(zip(zip(ray.tolist(), segment.tolist(), strict=True), zip(distance, share, strict=True), strict=True))
    expected = 0
    for i in range(40):
        for j in range(30):
            line, other = (
                shapely.LineString([origin[i], origin[i] + 4 * direction[i]]),
                shapely.LineString([start[j], end[j]]),
            )
            if line.intersects(other):
                expected += 1
                place = line.intersection(other)
                np.testing.assert_allclose(found[i, j][0], shapely.Point(origin[i]).distance(place), atol=1e-9)
                np.testing.assert_allclose(
                    start[j] + found[i, j][1] * (end[j] - start[j]), [place.x, place.y], atol=1e-9
                )
    assert expected == len(found) > 50
    assert (np.diff(ray) >= 0).all() and (np.diff(distance)[np.diff(ray) == 0] >= 0).all()


def test_samples_follow_an_arc():
    angle = np.linspace(0.0, np.pi / 2, 200)
    line = CentreLine(1, 30.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    length = arc_lengths(line.points)[-1]
    samples = sample([line], [np.array([0.0, length])])
    np.testing.assert_allclose(samples.position[[0, -1]], line.points[[0, -1]], atol=1e-9)
    assert np.abs(np.diff(samples.arc) - 2.0).max() < 0.1
    np.testing.assert_allclose(left_of(samples.heading), -samples.position / 30.0, atol=0.03)


def test_what_runs_beside_is_level_and_goes_the_same_way():
    def straight(y, first, last):
        x = np.linspace(first, last, 40)
        return np.stack([x, np.full_like(x, y)], axis=1)

    lanes = [straight(0.0, 0, 60), straight(3.5, 30, 60), straight(-3.5, 60, 0), straight(8.0, 0, 60)]
    centres = [CentreLine(number, line) for number, line in enumerate(lanes)]
    samples = sample(centres, [np.array([0.0, arc_lengths(line)[-1]]) for line in lanes])
    beside = beside_of(samples, samples, told_of(centres))
    x = samples.position[:, 0]
    own = samples.owner == 0
    np.testing.assert_array_equal(beside.lane[own & (x > 30.1), 0], 1)
    np.testing.assert_array_equal(beside.lane[own & (x < 29.9), 0], -1)
    np.testing.assert_array_equal(beside.lane[own, 1], -1)  # the lane on the right comes the other way
    np.testing.assert_allclose(beside.arc[own & (x > 30.1), 0], x[own & (x > 30.1)] - 30.0, atol=1e-6)
    np.testing.assert_allclose(beside.distance[samples.owner == 1, 0], 4.5)
