"""Things of every kind: where they lie, that each is seen and labelled as what it is, and that nothing else changes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.camera.kinds import LOOKS, Kind
from drivetrain.camera.labels import LaneLines, boxes_of, name_of, told
from drivetrain.camera.render import labelled, view_from
from drivetrain.camera.shapes import AGENT, PARTS, STREWN_THING, Material, Part, Shape
from drivetrain.camera.strewing import FAR, FREE, NEAR, strew
from drivetrain.camera.things import Strewn
from drivetrain.types import AgentKind, replace


def alone(kind, place, turn=0.0):
    """One thing of a kind, as large as it is on average."""
    looks = LOOKS[kind]
    angle = looks.turned + turn
    return Strewn(
        jnp.asarray([place], jnp.float32),
        jnp.asarray([[np.cos(angle), np.sin(angle)]], jnp.float32),
        jnp.asarray([looks.size], jnp.float32),
        jnp.asarray([int(looks.shapes[0])], jnp.int32),
        jnp.asarray([looks.tints[0]], jnp.float32),
        jnp.asarray([int(kind)], jnp.int32),
    )


@pytest.fixture(scope="module")
def seen(road):
    """Draws a moment with strewn things: the picture, labels and boxes, in one program."""
    renderer = replace(road.renderer, strewn=True)

    @jax.jit
    def draw(moment):
        row = jnp.int32(0)
        view = view_from(renderer, road.grounds, row, moment, jnp.int32(0), road.look)
        drawn, labels = labelled(renderer, road.grounds, row, view, road.look)
        return drawn, labels, boxes_of(renderer, view)

    return draw


@pytest.fixture(scope="module")
def empty(road):
    """The road without other cars: only the camera's is there."""
    agents = road.moment.agents
    return replace(road.moment, agents=replace(agents, valid=agents.valid & (jnp.arange(len(agents.valid)) == 0)))


def ahead(moment, metres):
    return np.asarray(moment.agents.position)[0] + metres * np.asarray(moment.agents.heading)[0]


def test_every_kind_has_looks_and_every_shape_parts_within_its_box():
    assert set(LOOKS) == set(Kind) and len(Kind) >= 20
    assert len(PARTS) == len(Shape)
    drawn = PARTS[PARTS[..., Part.WIDTH] > 0.0]
    assert (drawn[:, Part.FLOOR] < drawn[:, Part.ROOF]).all() and (drawn[:, Part.ROOF] <= 1.0).all()
    for end, lean in ((Part.FRONT, Part.FRONT_LEAN), (Part.REAR, Part.REAR_LEAN)):
        assert (np.maximum(drawn[:, end], drawn[:, end] - drawn[:, lean]) <= 1.0 + 1e-6).all()
    assert (drawn[:, Part.WIDTH] <= 1.0).all()
    length = drawn[:, Part.FRONT] + drawn[:, Part.REAR]
    assert (length > 0.0).all() and (length - drawn[:, Part.FRONT_LEAN] - drawn[:, Part.REAR_LEAN] > -1e-6).all()
    assert max(Material) < 32 and STREWN_THING + max(Kind) < 64
    assert all(min(looks.size) > 0.0 and looks.often > 0.0 for looks in LOOKS.values())


@pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.name.lower())
def test_every_kind_is_seen_and_labelled_as_what_it_is(road, seen, empty, kind):
    """From a distance at which it fills much of the picture; its box is that of its pixels, its depth their least."""
    looks = LOOKS[kind]
    away = max(2.2 * max(looks.size), 4.0)
    drawn, labels, boxes = seen(replace(empty, strewn=alone(kind, ahead(empty, away), 0.6)))
    bare, _, _ = seen(replace(empty, strewn=replace(alone(kind, ahead(empty, away)), kind=jnp.asarray([-1]))))
    own = np.asarray(labels.thing) == STREWN_THING + kind
    assert own.sum() >= 6 and np.abs(np.asarray(drawn, int) - np.asarray(bare, int))[own].mean() > 4.0
    (one,) = told(boxes, _no_lines(), road.renderer.camera).boxes
    rows, columns = np.nonzero(own)
    assert one["kind"] == kind.name.lower() and one["agent"] == -1
    np.testing.assert_allclose(
        one["box"], [columns.min() - 0.5, rows.min() - 0.5, columns.max() + 0.5, rows.max() + 0.5]
    )
    assert one["depth"] == pytest.approx(float(np.asarray(labels.depth)[own].min()), abs=0.01)
    assert away - 0.4 - max(looks.size) < one["depth"] < away


def _no_lines():
    nothing = np.zeros((1,))
    pair = np.zeros((1, 2))
    none = np.zeros(1, bool)
    return LaneLines(pair, nothing, pair, np.zeros(1, int), np.full(1, -1), none, none)


def test_without_strewn_things_the_picture_is_the_same(road, drawn, seen):
    _, plain, labels = drawn
    nobody = replace(alone(Kind.DOG, (0.0, 0.0)), kind=jnp.asarray([-1], jnp.int32))
    again, more, _ = seen(replace(road.moment, strewn=nobody))
    np.testing.assert_array_equal(again, plain)
    np.testing.assert_array_equal(more.thing, labels.thing)


def test_what_is_painted_as_strewn_is_nothing_else(road, drawn, seen):
    """A strewn thing changes its own pixels and those of its shadow, and no other's."""
    _, plain, _ = drawn
    cone = alone(Kind.CONE, ahead(road.moment, 7.0) + np.array([0.0, 1.2]))
    again, labels, _ = seen(replace(road.moment, strewn=cone))
    changed = np.any(np.asarray(again, int) != np.asarray(plain, int), axis=-1)
    own = np.asarray(labels.thing) == STREWN_THING + Kind.CONE
    assert own.any() and changed[own].mean() > 0.9
    assert changed[: own.nonzero()[0].min() - 2].sum() == 0


def test_names_of_kinds():
    assert name_of(AgentKind.PEDESTRIAN) == "pedestrian"
    assert [name_of(STREWN_THING - AGENT + kind) for kind in (Kind.CAR, Kind.DEBRIS)] == ["car", "debris"]


def test_things_lie_before_the_vehicle_and_within_nothing(road):
    first, again, other = (
        strew(road.scenario.map, road.moment, 0, np.random.default_rng(seed), 40).strewn for seed in (1, 1, 2)
    )
    for one, same in zip(jax.tree.leaves(first), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(one, same)
    assert not np.array_equal(first.place, other.place)
    there = first.kind >= 0
    assert 20 <= there.sum() <= 40 and len(set(first.kind[there].tolist())) > 8
    to = first.place[there] - np.asarray(road.moment.agents.position)[0]
    assert to[:, 0].min() > NEAR - 3.0 and to[:, 0].max() < FAR + 3.0
    valid = np.asarray(road.moment.agents.valid)
    bodies = np.stack([road.moment.bodies.length, road.moment.bodies.width], -1)[valid]
    place = np.concatenate([first.place[there], np.asarray(road.moment.agents.position)[valid]])
    radius = 0.5 * np.linalg.norm(np.concatenate([first.size[there, :2], bodies]), axis=1)
    apart = np.linalg.norm(place[:, None] - place[None], axis=-1) - radius[:, None] - radius[None]
    mine = np.arange(len(place)) < there.sum()
    np.fill_diagonal(apart, np.inf)
    assert apart[mine].min() > FREE - 1e-3


def test_where_there_is_no_lane_ahead_nothing_lies(road):
    agents = road.moment.agents
    away = replace(road.moment, agents=replace(agents, position=agents.position + 5000.0))
    assert (strew(road.scenario.map, away, 0, np.random.default_rng(0), 5).strewn.kind == -1).all()
