"""Observations and steps of real recordings at the paper's size, against NumPy and shapely over all that there is."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shapely
import shapely.affinity

from drivetrain.data.compile.compiling import compile_recording
from drivetrain.data.compile.padding import extent, from_arrays, pad, to_arrays
from drivetrain.data.readers import READERS
from drivetrain.data.recordings.resampling import resample
from drivetrain.data.recordings.smoothing import smooth
from drivetrain.env import Env
from drivetrain.observe.agents import observe_agents
from drivetrain.observe.road import observe_road
from drivetrain.observe.sight import PAPER
from drivetrain.sim.building import make_bank
from drivetrain.sim.reading import log_at
from drivetrain.sim.roads import Indexing, index_road
from drivetrain.types import OBSERVED, replace

ROOT = Path(__file__).resolve().parents[2]
WAYMO = ROOT.parent / "shared/data/womd_samples/gpudrive_nocturne_json"
RECORDINGS = {
    "ngsim": ("commonroad", ROOT / "datasets/ngsim/scenes"),
    "bologna": ("recording", ROOT / "datasets/bologna/recordings"),
    "waymo": ("nocturne", WAYMO),
}
MOMENTS = 160
ENV = Env(observer=PAPER)


def crowded(name: str):
    """The largest file of a dataset, compiled: the most traffic."""
    reader, folder = RECORDINGS[name]
    if not folder.is_dir():
        pytest.skip(f"no recordings in {folder}")
    file = max((path for path in folder.iterdir() if path.suffix == ".xz"), key=lambda path: path.stat().st_size)
    return compile_recording(resample(smooth(READERS[reader].read(str(file)))[0], 0.2))[0]


@pytest.fixture(scope="module", params=list(RECORDINGS))
def real(request):
    """A scene, its bank, and episodes and steps at which its egos are looked at."""
    scene = crowded(request.param)
    bank = make_bank([scene], 0.2)
    draw = np.random.default_rng(0)
    episode = draw.integers(len(bank.episodes.map), size=MOMENTS)
    first, last = np.asarray(bank.episodes.first)[episode], np.asarray(bank.episodes.last)[episode]
    return scene, bank, episode, draw.integers(first, last + 1)


def looked_at(bank, episode, time, see):
    """What `see(state)` gives at each moment of the log, and the states."""

    @jax.jit
    @jax.vmap
    def at(episode, time):
        state = replace(ENV.reset(bank, episode, jax.random.key(0)), time=time, agents=log_at(bank, episode, time))
        return see(state), state

    return jax.tree.map(np.asarray, at(jnp.asarray(episode), jnp.asarray(time)))


def metres(feature):
    """What `compress` came from."""
    return feature / (0.2 - np.abs(feature) / 20.0)


def world(state, row: int, x, y):
    """Coordinates in the frame of the controlled agent of one moment, in the map's."""
    own = state.controlled[row, 0]
    (cos, sin), here = state.agents.heading[row, own].astype(float), state.agents.position[row, own].astype(float)
    return here[0] + cos * x - sin * y, here[1] + sin * x + cos * y


def boxes(state, row: int) -> np.ndarray:
    """Every agent's outline at one moment, by shapely."""
    length, width = state.bodies.length[row].astype(float), state.bodies.width[row].astype(float)
    position, heading = state.agents.position[row].astype(float), state.agents.heading[row].astype(float)
    forward = heading * length[:, None] / 2
    left = np.stack([-heading[:, 1], heading[:, 0]], -1) * width[:, None] / 2
    corners = [
        position + forward + left,
        position - forward + left,
        position - forward - left,
        position + forward - left,
    ]
    return shapely.polygons(np.stack(corners, 1))


@pytest.mark.parametrize("count", [32, 64, 256])
def test_the_nearest_agents_are_those_of_all_and_their_clearance_is_shapelys(real, count):
    """Nearest by the gap to the other's bounding circle; within it, nobody left out is nearer than who is seen."""
    _, bank, episode, time = real
    tokens, state = looked_at(bank, episode, time, lambda state: observe_agents(state, 0, count))
    seen = 0
    for row in range(MOMENTS):
        own, valid = state.controlled[row, 0], state.agents.valid[row].copy()
        position = state.agents.position[row].astype(float)
        radius = 0.5 * np.hypot(state.bodies.length[row], state.bodies.width[row]).astype(float)
        gap = np.hypot(*(position - position[own]).T) - radius
        valid[own] = False
        others = np.flatnonzero(valid)
        mask, features = tokens.mask[row], tokens.features[row].astype(float)[:, tokens.mask[row]]
        assert mask.sum() == min(count, len(others))
        if not mask.any():
            continue
        x, y = world(state, row, metres(features[0]), metres(features[1]))
        apart = np.hypot(x[:, None] - position[others, 0], y[:, None] - position[others, 1])
        found = others[apart.argmin(axis=1)]
        assert len(set(found.tolist())) == len(found) and apart.min(axis=1).max() < 0.25  # far off they are compressed
        last = np.sort(gap[others])[len(found) - 1]
        assert set(others[gap[others] < last - 1e-3].tolist()) <= set(found.tolist())
        assert gap[found].max() <= last + 1e-3

        outlines = boxes(state, row)
        distance = shapely.distance(outlines[own], outlines[found])
        near = (distance > 1e-3) & (distance < 60.0)
        np.testing.assert_allclose(metres(features[8])[near], distance[near], atol=0.02)
        assert (features[8][distance == 0.0] <= 1e-4).all()
        seen += len(found)
    assert seen > MOMENTS


def test_the_nearest_road_elements_are_those_of_all(real):
    """As sets, wherever the index is exact: nothing is missed within its reach, nothing further is seen."""
    scene, bank, episode, time = real
    count = PAPER.road
    tokens, state = looked_at(bank, episode, time, lambda state: observe_road(bank, state, 0, count))
    segments = np.asarray(scene.map.elements, float)[np.isin(np.asarray(scene.map.element_kind), OBSERVED)]
    lines = shapely.linestrings(segments.reshape(-1, 2, 2))
    origin, size, reach = (
        np.asarray(bank.roads.origin[0]),
        np.asarray(bank.roads.size[0]),
        np.asarray(bank.roads.reach[0]),
    )
    whole = 0
    for row in range(MOMENTS):
        here = state.agents.position[row, state.controlled[row, 0]]
        cell = np.clip(np.floor((here - origin) / float(bank.cell)).astype(int), 0, size - 1)
        exact = float(reach[cell[0] + cell[1] * size[0]])
        distance = shapely.distance(lines, shapely.points(here.astype(float)))
        limit = min(np.sort(distance)[min(count, len(distance)) - 1], exact)
        wanted = np.flatnonzero(distance < limit - 1e-3)
        mask, features = tokens.mask[row], tokens.features[row].astype(float)[:, tokens.mask[row]]
        x0, y0 = world(state, row, metres(features[0]), metres(features[1]))
        x1, y1 = world(state, row, metres(features[2]), metres(features[3]))
        found = np.stack([x0, y0, x1, y1], -1)
        misfit = np.abs(found[:, None] - segments[None, wanted]).max(axis=-1)
        assert len(wanted) <= mask.sum()
        assert misfit.min(axis=0, initial=9.0).max(initial=0.0) < 0.1
        if mask.all():
            assert metres(features[7]).max() <= max(np.sort(distance)[count - 1], exact) + 0.05 or exact < limit + 1e-3
        whole += len(wanted) >= min(count, len(distance)) - 8
    print(f"{whole} of {MOMENTS} whole sets of {count} within the exact radius")
    assert whole > 0


def test_the_reach_of_every_cell_is_true(real):
    """Whatever is nearer to a cell than its reach is in its block: every element against every cell, by shapely."""
    scene, _, _, _ = real
    for indexing in (Indexing(), Indexing(width=48)):
        index = index_road(scene.map, indexing)
        known = np.isin(scene.map.element_kind, OBSERVED)
        segments = np.asarray(scene.map.elements)[known]
        lines = shapely.linestrings(segments.astype(float).reshape(-1, 2, 2))
        for row in np.random.default_rng(1).integers(len(index.reach), size=120):
            low = index.origin + indexing.cell * np.array([row % index.size[0], row // index.size[0]])
            distance = shapely.distance(lines, shapely.box(*low, *(low + indexing.cell)))
            block = {tuple(column) for column in index.block[row, :4, index.block[row, 4] > 0].tolist()}
            assert block >= {tuple(ends) for ends in segments[distance < index.reach[row] - 1e-3].tolist()}
            assert index.reach[row] <= indexing.radius


# --------------------------------------------------------------------------------------------------------- consistency


@jax.jit
def driven(bank, episode, actions):
    """Positions, events and rewards of a few steps, and what is seen at the end."""

    def step(state, action):
        state, events = ENV.step(bank, state, action)
        return state, (state.agents.position[state.controlled], events, ENV.rewards(bank, events, None))

    state, facts = jax.lax.scan(step, ENV.reset(bank, episode, jax.random.key(0)), actions)
    return facts, ENV.observe(bank, state)


@pytest.fixture(scope="module")
def group():
    """Several egos of one crowded scene, controlled together, and their actions."""
    scene = crowded("bologna")
    actions = np.random.default_rng(3).normal(0.0, [1.0, 0.05], (6, 4, 2)).astype(np.float32)
    return scene, make_bank([scene], 0.2, controlled=4), jnp.asarray(actions)


def close(one, two, atol=2e-4):
    for left, right in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=atol)


def sets(observation):
    """An observation whose sets stand in an order of their own."""

    def ordered(tokens):
        features = np.round(np.where(tokens.mask[:, None], tokens.features, 9.0), 3)
        order = np.lexsort(features.swapaxes(0, 1)[::-1], axis=-1)
        return np.take_along_axis(np.asarray(tokens.features), order[:, None], axis=2), np.sum(tokens.mask, axis=1)

    return observation.ego, ordered(observation.agents), ordered(observation.road), observation.route


def test_a_scan_is_a_loop_and_a_batch_its_rows(group):
    _, bank, actions = group
    facts, seen = driven(bank, 0, actions)
    step, see, rewards = jax.jit(ENV.step), jax.jit(ENV.observe), jax.jit(ENV.rewards)
    state = ENV.reset(bank, 0, jax.random.key(0))
    for row, action in enumerate(actions):
        state, events = step(bank, state, action)
        now = (state.agents.position[state.controlled], events, rewards(bank, events, None))
        close(jax.tree.map(lambda leaf, row=row: leaf[row], facts), now)
    close(seen, see(bank, state))
    episodes = jnp.arange(min(3, len(bank.episodes.map)))
    batch = jax.jit(jax.vmap(driven, (None, 0, None)))(bank, episodes, actions)
    for episode in episodes:
        close(jax.tree.map(lambda leaf, e=episode: leaf[e], batch), driven(bank, episode, actions))


@pytest.mark.long
def test_without_compilation_it_is_the_same(group):
    _, bank, actions = group
    state = ENV.reset(bank, 0, jax.random.key(0))
    with jax.disable_jit():
        after, events = ENV.step(bank, state, actions[0])
        seen = ENV.observe(bank, after)
    other, facts = jax.jit(ENV.step)(bank, state, actions[0])
    close((after.agents, events), (other.agents, facts))
    close(seen, jax.jit(ENV.observe)(bank, other))


def test_padding_changes_nothing(group):
    scene, bank, actions = group
    arrays = to_arrays(scene)
    has = extent(arrays)
    more = replace(has, agents=has.agents + 13, steps=has.steps + 7, elements=has.elements + 70, lines=has.lines + 3)
    more = replace(more, stations=has.stations + 50, lanes=has.lanes + 9, egos=has.egos + 2)
    padded = make_bank([from_arrays(pad(arrays, more, "scene"))], 0.2, controlled=4)
    facts, seen = driven(bank, 0, actions)
    others, view = driven(padded, 0, actions)
    close(facts, others)
    close(sets(seen), sets(view))


def test_agents_in_another_order_see_and_do_the_same(group):
    scene, bank, actions = group
    order = np.random.default_rng(5).permutation(len(scene.log.bodies.length))
    log = scene.log
    agents = jax.tree.map(lambda leaf: np.asarray(leaf)[:, order], log.agents)
    bodies = jax.tree.map(lambda leaf: np.asarray(leaf)[order], log.bodies)
    place = np.argsort(order).astype(np.int32)
    track = np.where(scene.egos.track >= 0, place[scene.egos.track], -1).astype(np.int32)
    shuffled = {**to_arrays(scene), "egos.track": track}
    for name in ("position", "heading", "velocity", "valid"):
        shuffled[f"log.agents.{name}"] = getattr(agents, name)
    for name in ("length", "width", "kind"):
        shuffled[f"log.bodies.{name}"] = getattr(bodies, name)
    facts, seen = driven(bank, 0, actions)
    others, view = driven(make_bank([from_arrays(shuffled)], 0.2, controlled=4), 0, actions)
    close(facts, others)
    close(sets(seen), sets(view))
