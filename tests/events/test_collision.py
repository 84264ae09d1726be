import jax
import jax.numpy as jnp
import numpy as np
import pytest
import shapely
from shapely import affinity

from drivetrain.events.collision import collision as fact
from drivetrain.types import replace

collision = jax.jit(fact)


def margin(scene, *poses, c=0):
    state = scene.state(*poses)
    return float(collision(scene.bank, state, state, jnp.int32(c)))


def box(x, y, angle):
    return affinity.translate(affinity.rotate(shapely.box(-2, -1, 2, 1), angle, (0, 0), use_radians=True), x, y)


@pytest.fixture(scope="module")
def scene(draw):
    return draw.scene(agents=4)


def test_clearance_is_the_distance_of_the_nearest_box(scene):
    me = (10.0, 1.0, 0.3)
    others = [(18.0, 2.0, -0.5), (10.5, 6.0, 1.2), (-3.0, 0.0, 0.0)]
    expected = min(box(*me).distance(box(*other)) for other in others)
    assert margin(scene, me, *others) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("other", "depth"),
    [((13.5, 0.0, 0.0), 0.5), ((10.0, 1.25, 0.0), 0.75), ((10.0, 0.0, 0.0), 2.0), ((12.0, 0.0, np.pi / 2), 1.0)],
)
def test_overlap_is_minus_the_least_translation(scene, other, depth):
    assert margin(scene, (10.0, 0.0, 0.0), other) == pytest.approx(-depth, abs=1e-5)


def test_touching_is_not_a_collision(scene):
    assert margin(scene, (10.0, 0.0, 0.0), (14.0, 0.0, 0.0)) == 0.0


def test_nobody_near_is_the_clip(scene):
    assert margin(scene, (10.0, 0.0, 0.0)) == 50.0
    assert margin(scene, (10.0, 0.0, 0.0), (90.0, 0.0, 0.0)) == 50.0


def test_those_who_are_not_there_do_not_count(scene):
    state = scene.state((10.0, 0.0, 0.0), (11.0, 0.0, 0.0), (20.0, 0.0, 0.0))
    gone = replace(state, agents=replace(state.agents, valid=state.agents.valid.at[1].set(False)))
    assert float(collision(scene.bank, gone, gone, jnp.int32(0))) == pytest.approx(6.0, abs=1e-5)


def test_controlled_agents_see_each_other(draw):
    scene = draw.scene(egos=2)
    poses = (10.0, 0.0, 0.0), (13.0, 0.0, 0.0)
    assert [margin(scene, *poses, c=c) for c in (0, 1)] == pytest.approx([-1.0, -1.0], abs=1e-5)


def test_millimetres_far_from_the_origin(draw):
    far = draw.scene(shift=(2000.0, -3000.0), turn=0.7)
    assert margin(far, (10.0, 0.0, 0.0), (14.02, 0.0, 0.0)) == pytest.approx(0.02, abs=1e-3)


@pytest.mark.parametrize(
    "other", [(10.0, 0.0, 0.0), (14.0, 0.0, 0.0), (14.0, 2.0, 0.0), (12.0, 0.5, 0.2), (17.0, 3.0, 0.0)]
)
def test_gradients_are_finite(scene, other):
    state = scene.state((10.0, 0.0, 0.0), other)

    def of_position(position):
        moved = replace(state, agents=replace(state.agents, position=position))
        return collision(scene.bank, state, moved, jnp.int32(0))

    assert bool(jnp.all(jnp.isfinite(jax.grad(of_position)(state.agents.position))))
