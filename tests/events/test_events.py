import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain import events as facts
from drivetrain.types import FAILURES, MARGINS, Bodies, happened, replace

detect, latch = jax.jit(facts.detect), jax.jit(facts.latch)
FIELDS = (
    "collision", "off_route", "off_road", "stop_line", "red_light", "progress", "overspeed", "acceleration", "lateral"
)  # fmt: skip
BEFORE = ((15.0, -0.5, 0.1), (30.0, 4.0, 0.0), (26.0, 0.5, 0.4))
AFTER = ((17.5, -0.2, 0.1), (33.0, 4.2, 0.0), (28.5, 0.9, 0.3))


def test_which_facts_are_margins():
    assert FIELDS[:5] == MARGINS
    assert FAILURES == ("collision", "off_route")


def numbers(events):
    return np.array([np.asarray(getattr(events, name)) for name in FIELDS])


@pytest.fixture(scope="module")
def scene(draw):
    return draw.scene(lines=[draw.at_20, draw.beside_20], kinds=[draw.light, draw.sign])


@pytest.fixture(scope="module")
def pair(draw):
    return draw.scene(lines=[draw.at_20, draw.beside_20], kinds=[draw.light, draw.sign], egos=2)


def seen(scene, before=BEFORE, after=AFTER, **changes):
    return detect(scene.bank, scene.state(*before, **changes), scene.state(*after, speed=17.0))


def test_each_fact_has_its_own_field(scene):
    """Every value in closed form: bumpers at x = 19 and 21, corners 1 m aside, nearest box 9 m off."""
    events = seen(scene, ((17, 0, 0), (30, 0, 0)), ((19, 0, 0), (32, 0, 0)))
    np.testing.assert_allclose(numbers(events)[:, 0], [9, 1, 2, 50, -1, 2, 2, 0, 0], atol=1e-4)


def test_events_do_not_depend_on_where_the_scene_lies(draw, scene):
    moved = draw.scene(
        lines=[draw.at_20, draw.beside_20], kinds=[draw.light, draw.sign], turn=2.1, shift=(300.0, -450.0)
    )
    np.testing.assert_allclose(numbers(seen(scene)), numbers(seen(moved)), atol=1e-3)


def test_order_of_the_others_does_not_matter(scene):
    straight = seen(scene)
    swapped = seen(scene, (BEFORE[0], BEFORE[2], BEFORE[1]), (AFTER[0], AFTER[2], AFTER[1]))
    np.testing.assert_array_equal(numbers(straight), numbers(swapped))


def test_order_of_all_agents_does_not_matter(scene):
    order = jnp.array([2, 0, 1])

    def permuted(state):
        return replace(
            state,
            agents=jax.tree.map(lambda leaf: leaf[order], state.agents),
            bodies=Bodies(*(leaf[order] for leaf in vars(state.bodies).values())),
            controlled=jnp.array([1], jnp.int32),
        )

    before, after = scene.state(*BEFORE), scene.state(*AFTER)
    plain = detect(scene.bank, before, after)
    turned = detect(scene.bank, permuted(before), permuted(after))
    np.testing.assert_allclose(numbers(plain), numbers(turned), atol=1e-5)


def test_padded_agents_and_lines_change_nothing(draw, scene):
    padded = draw.scene(
        lines=[draw.at_20, draw.beside_20, ((0, 0), (0, 0))], kinds=[draw.light, draw.sign, 0], agents=7
    )
    np.testing.assert_allclose(numbers(seen(scene)), numbers(seen(padded)), atol=1e-5)


def test_two_controlled_agents_are_each_as_if_alone(scene, pair):
    both = seen(pair)
    first = seen(scene)
    order = (1, 0, 2)
    second = seen(scene, [BEFORE[i] for i in order], [AFTER[i] for i in order])
    np.testing.assert_allclose(numbers(both)[:, 0], numbers(first)[:, 0], atol=1e-5)
    np.testing.assert_allclose(numbers(both)[:, 1], numbers(second)[:, 0], atol=1e-5)


def test_who_is_gone_has_no_events(pair):
    nothing = [50.0] * 5 + [0.0] * 4
    crash = ((17, 0, 0), (18, 0, 0))
    alive = {"alive": [True, False], "speed": 0.0}
    events = seen(pair, crash, crash, **alive)
    after = latch(pair.bank, pair.state(*crash, **alive), pair.state(*crash, speed=17.0))
    np.testing.assert_array_equal(numbers(events)[:, 1], nothing)
    assert bool(happened(events.collision[0]))
    assert after.stopped.tolist() == [[True, True], [False, False]]  # the living stands within 3 m of both


def test_padding_of_controlled_agents_has_no_events(pair):
    def padded(state):
        return replace(state, controlled=jnp.array([0, -1], jnp.int32), alive=jnp.array([True, False]))

    events = detect(pair.bank, padded(pair.state(*BEFORE)), padded(pair.state(*AFTER)))
    np.testing.assert_array_equal(numbers(events)[:, 1], [50.0] * 5 + [0.0] * 4)


def test_vmap_equals_one_by_one(scene):
    steps = [(BEFORE, AFTER), (AFTER, BEFORE), (((17, 0, 0), (18, 0, 0)), ((19, 0, 0), (20, 0, 0)))]
    befores, afters = ([scene.state(*step[i]) for step in steps] for i in (0, 1))

    def stack(states):
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)

    batched = jax.vmap(facts.detect, (None, 0, 0))(scene.bank, stack(befores), stack(afters))
    single = [numbers(detect(scene.bank, *step)) for step in zip(befores, afters, strict=True)]
    np.testing.assert_allclose(numbers(batched).swapaxes(0, 1), single, atol=1e-5)


@pytest.mark.parametrize(
    "poses",
    [
        ((30.0, 0.0, 0.0),),  # nobody near
        ((18.0, 0.0, 0.0), (22.0, 0.0, 0.0)),  # touching, the bumper on the line
        ((30.0, 0.0, 0.0), (30.0, 0.0, 0.0)),  # coincident
        ((30.0, -1.0, 0.0), (50.0, 0.0, 0.0)),  # corners on the border
        ((30.0, -2.0, 0.0), (50.0, 0.0, 0.0)),  # corners on the edge
        ((500.0, 500.0, 1.0), (50.0, 0.0, 0.0)),  # nothing near
    ],
)
@pytest.mark.parametrize("speed", [0.0, 15.0])
def test_gradients_are_finite(pair, poses, speed):
    before = pair.state(*poses, speed=speed) if len(poses) > 1 else pair.state(*poses, (-15.0, 0.0, 0.0), speed=speed)
    assert all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(slopes(pair.bank, before)))


@jax.jit
def slopes(bank, before):
    """Gradients of the sum of all facts by everything in the state that is a number."""

    def total(position, heading, motion, along):
        agents = replace(before.agents, position=position, heading=heading)
        events = facts.detect(bank, before, replace(before, agents=agents, motion=motion, arc_length=along))
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(events))

    agents = before.agents
    return jax.grad(total, (0, 1, 2, 3))(agents.position, agents.heading, before.motion, before.arc_length)
