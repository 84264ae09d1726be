import jax
import jax.numpy as jnp
import numpy as np
import pytest
from camera_rays import convex

from drivetrain.camera.appearance import PLAIN, Randomisation
from drivetrain.camera.casting import FARTHEST
from drivetrain.camera.labels import boxes_of, lines_of, told
from drivetrain.camera.pinhole import project, slopes, to_camera
from drivetrain.camera.render import picture, view_from
from drivetrain.camera.shapes import AGENT, PARTS, Part, Thing
from drivetrain.types import AgentKind, replace


def planes_of(things, row, part):
    """Half spaces of a part in the map's frame, from the table of shapes."""
    cos, sin = np.asarray(things.heading[row], np.float64)
    half, wide, high = np.asarray(things.size[row], np.float64) * [0.5, 0.5, 1.0]
    shape = PARTS[int(things.shape[row])][part].astype(np.float64)
    centre = np.append(np.asarray(things.place[row], np.float64), 0.0)
    ahead, left, up = np.array([cos, sin, 0.0]), np.array([-sin, cos, 0.0]), np.array([0.0, 0.0, 1.0])
    floor, roof = shape[Part.FLOOR] * high, shape[Part.ROOF] * high
    tall = max(roof - floor, 1e-3)
    front = ahead + shape[Part.FRONT_LEAN] * half / tall * up
    rear = -ahead + shape[Part.REAR_LEAN] * half / tall * up
    limits = [
        (front, shape[Part.FRONT] * half + shape[Part.FRONT_LEAN] * half / tall * floor),
        (rear, shape[Part.REAR] * half + shape[Part.REAR_LEAN] * half / tall * floor),
        (left, shape[Part.WIDTH] * wide),
        (-left, shape[Part.WIDTH] * wide),
        (up, roof),
        (-up, -floor),
    ]
    return [(normal, limit + float(np.dot(normal, centre))) for normal, limit in limits]


def oracle(road, view):
    """Depth and road user of every pixel: every ray against every part of every thing, one by one."""
    camera = road.renderer.camera
    turn, origin = np.asarray(view.eye.turn, np.float64), np.asarray(view.eye.place, np.float64)
    parts = [
        (int(view.things.agent[row]), planes_of(view.things, row, part))
        for row in np.flatnonzero(np.asarray(view.things.valid))
        for part in (0, 1)
    ]
    depth = np.full((camera.height, camera.width), float(FARTHEST))
    agent = np.full(depth.shape, -1)
    for (line, column), slope in zip(np.ndindex(depth.shape), slopes(camera).reshape(-1, 2), strict=True):
        ray = turn @ np.array([*slope, 1.0])
        best = -origin[2] / ray[2] if ray[2] < -1e-4 else float(FARTHEST)
        for number, planes in parts:
            met = convex(origin, ray, planes)
            if met is not None and met < best:
                best, agent[line, column] = met, number
        depth[line, column] = best
    return depth, agent


def test_depths_and_road_users_are_those_of_plain_rays(road, drawn):
    view, _, labels = drawn
    depth, agent = oracle(road, view)
    assert {0, 1, 2, 3, 4} & set(agent.ravel().tolist()) >= {1, 2, 3}
    same = np.asarray(labels.agent) == agent
    assert same.mean() > 0.997  # rays that graze an edge may differ
    near = same & (depth < 300.0)
    np.testing.assert_allclose(np.asarray(labels.depth)[near], depth[near], rtol=1e-3)
    assert (np.asarray(labels.thing)[agent >= 0] >= AGENT).mean() > 0.99


def test_sky_is_above_and_road_below(drawn):
    _, _, labels = drawn
    thing = np.asarray(labels.thing)
    assert (thing[:5] == Thing.SKY).all()
    assert np.isin(thing[-4:, 24:40], (Thing.ROAD, Thing.PAINT)).all()
    assert np.isin(thing, (Thing.VERGE, Thing.KERB)).any()


def test_pictures_are_seeded_and_appearances_differ(road, drawn):
    _, first, labels = drawn
    _, again, _ = road.draw(road.moment, road.look)
    np.testing.assert_array_equal(first, again)
    _, other, same = road.draw(
        road.moment, replace(Randomisation()(jax.random.key(1)), shift=road.look.shift, tilt=road.look.tilt)
    )
    assert np.abs(np.asarray(first, float) - np.asarray(other, float)).mean() > 3.0
    # Heights of vehicles depend on the seed; where they are does not.
    assert (np.asarray(same.agent) == np.asarray(labels.agent)).mean() > 0.98


def test_batched_pictures_are_the_single_ones(road):
    looks = jax.vmap(PLAIN)(jax.random.split(jax.random.key(0), 2))

    def one(look):
        row = jnp.int32(0)
        return picture(
            road.renderer,
            road.grounds,
            row,
            view_from(road.renderer, road.grounds, row, road.moment, jnp.int32(0), look),
            look,
        )

    both = np.asarray(jax.jit(jax.vmap(one))(looks), int)
    for number in range(2):
        alone = np.asarray(road.draw(road.moment, jax.tree.map(lambda leaf, n=number: leaf[n], looks))[1], int)
        assert np.abs(both[number] - alone).max() <= 2


def test_permuting_road_users_permutes_their_numbers(road, drawn):
    order = np.array([0, 3, 1, 4, 2])
    agents = jax.tree.map(lambda leaf: leaf[order], road.moment.agents)
    bodies = jax.tree.map(lambda leaf: leaf[order], road.moment.bodies)
    bodies = replace(bodies, kind=jnp.where(bodies.kind == AgentKind.TRUCK, bodies.kind, AgentKind.BUS))
    same = replace(road.moment.bodies, kind=jnp.where(road.moment.bodies.kind == AgentKind.TRUCK, 2, AgentKind.BUS))
    look = road.look
    _, _, before = road.draw(replace(road.moment, bodies=same), look)
    _, _, after = road.draw(replace(road.moment, agents=agents, bodies=bodies), look)
    back = np.append(order, -1)[np.asarray(after.agent)]
    assert (back == np.asarray(before.agent)).mean() > 0.98  # heights of a shape differ by a few per cent


def test_a_rectangle_is_round_what_is_visible_and_within_the_projected_corners(road, drawn):
    view, _, labels = drawn
    boxes = jax.jit(boxes_of, static_argnums=0)(road.renderer, view)
    agent = np.asarray(labels.agent)
    seen = 0
    for row in np.flatnonzero(np.asarray(boxes.shown)):
        lines, columns = np.nonzero(agent == int(boxes.agent[row]))
        x0, y0, x1, y1 = np.asarray(boxes.box[row])
        np.testing.assert_allclose(
            [x0, y0, x1, y1], [columns.min() - 0.5, lines.min() - 0.5, columns.max() + 0.5, lines.max() + 0.5]
        )
        cos, sin = np.asarray(view.things.heading[row])
        size = np.asarray(view.things.size[row])
        corner = [
            [
                *(
                    np.asarray(view.things.place[row])
                    + a * size[0] * np.array([cos, sin])
                    + b * size[1] * np.array([-sin, cos])
                ),
                c * size[2],
            ]
            for a in (-0.5, 0.5)
            for b in (-0.5, 0.5)
            for c in (0, 1)
        ]
        pixel = np.asarray(project(road.renderer.camera, to_camera(view.eye, jnp.asarray(corner, jnp.float32)))[0])
        assert (pixel.min(0) <= [x0 + 1.0, y0 + 1.0]).all() and (pixel.max(0) >= [x1 - 1.0, y1 - 1.0]).all()
        seen += 1
    assert seen >= 3
    visible = {int(boxes.agent[row]): float(boxes.visible[row]) for row in range(len(boxes.agent)) if boxes.shown[row]}
    assert visible[1] > 0.99  # nothing is before the car ahead
    assert visible.get(4, 0.0) < 0.5  # the one before that hides behind it


def test_lines_of_lanes_are_where_the_map_has_them(road, drawn):
    view, _, labels = drawn
    lines = jax.jit(lines_of, static_argnums=0)(road.renderer, road.grounds, jnp.int32(0), view, labels.depth)
    inside = np.asarray(lines.inside)
    assert inside.sum() > 20
    # Borders at y = 0, 3.5, 7 and 10.5; the camera is at y = 5.25.
    aside = np.asarray(lines.place)[inside, 1]
    assert np.abs(aside[:, None] - (np.array([0.0, 3.5, 7.0, 10.5]) - 5.25)).min(1).max() < 0.02
    lanes = told(boxes_of(road.renderer, view), lines, road.renderer.camera).lanes
    roles = {lane["role"]: lane for lane in lanes}
    assert roles["ego_left"]["aside"] == pytest.approx(1.75, abs=0.02)
    assert roles["ego_right"]["aside"] == pytest.approx(-1.75, abs=0.02)
    assert roles["ego_left"]["paint"] == "dashed" and "solid" in roles["left2"]["paint"]
    assert not all(all(lane["visible"]) for lane in lanes)  # vehicles hide some of it


def test_paint_is_where_lines_are_projected_to(road, drawn):
    view, picture_, labels = drawn
    pixels, depth = project(
        road.renderer.camera, to_camera(view.eye, jnp.array([[x, 10.5, 0.0] for x in (46.0, 48.0, 50.0)]))
    )
    paint = np.asarray(labels.paint)
    for column, line in np.round(np.asarray(pixels)).astype(int):
        if 0 <= column < 64 and 0 <= line < 40:
            assert paint[line, max(column - 1, 0) : column + 2].any()
    assert (depth > 0).all() and picture_.dtype == np.uint8


@pytest.mark.parametrize("field", ["blur", "noise"])
def test_the_lens_changes_a_picture_and_no_label(road, drawn, field):
    _, first, labels = drawn
    _, other, same = road.draw(road.moment, replace(road.look, **{field: jnp.float32(0.5)}))
    assert (np.asarray(first) != np.asarray(other)).mean() > 0.2
    np.testing.assert_array_equal(labels.agent, same.agent)
