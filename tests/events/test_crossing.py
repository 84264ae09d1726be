import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.events.crossing import crossings as fact
from drivetrain.events.crossing import place_by_line

crossings = jax.jit(fact)

LINE = jnp.array([20.0, 2.0, 20.0, -2.0])


def crossed(scene, *poses):
    """Whether line 0 is crossed in each step of a drive through `poses`."""
    states = [scene.state(pose) for pose in poses]
    return [
        bool(crossings(scene.bank, before, after, jnp.int32(0)).crossed[0])
        for before, after in zip(states, states[1:], strict=False)
    ]


@pytest.fixture(scope="module")
def scene(draw):
    return draw.scene(lines=[draw.at_20, draw.beside_20], kinds=[draw.light, draw.light])


def test_place_by_line():
    height, offset, length, distance = place_by_line(jnp.array([17.0, 6.0]), LINE)
    assert [float(v) for v in (height, offset, length, distance)] == pytest.approx([-3.0, 8.0, 4.0, 5.0])


def test_a_line_of_no_length_is_never_crossed():
    height, _, length, _ = place_by_line(jnp.array([3.0, 4.0]), jnp.zeros(4))
    assert [float(height), float(length)] == [0.0, 0.0]


# The front bumper is 2 m ahead of the position: at x = 18 it stands on the line.
@pytest.mark.parametrize(
    ("poses", "expected"),
    [
        ([(17, 0, 0), (19, 0, 0)], [True]),
        ([(17, 0, 0), (18, 0, 0), (19, 0, 0)], [False, True]),  # halts on the line
        ([(18, 0, 0), (18, 0, 0), (18, 0, 0), (18.01, 0, 0)], [False, False, True]),
        ([(19, 0, 0), (20, 0, 0)], [False]),  # already beyond
        ([(19, 0, 0), (17, 0, 0), (19, 0, 0)], [False, True]),  # back over it, and again
        ([(0, 0, 0), (100, 0, 0)], [True]),  # however fast
        ([(23, 0, np.pi), (17, 0, np.pi)], [False]),  # from the other side
        ([(17, 4, 0), (19, 4, 0)], [False]),  # in the next lane
        ([(17, 2.9, 0), (19, 2.9, 0)], [False]),  # ... though its right corner passes over the line's end
        ([(17, 1.9, 0), (19, 1.9, 0)], [True]),
        ([(17, 2.0, 0), (19, 2.0, 0)], [True]),  # through its very end
        ([(17, -2.0, 0), (19, -2.0, 0)], [True]),
        ([(17, -5.0, 0), (19, -5.0, 0)], [False]),
        # Diagonally, at 45°: the bumper is √2 ahead and √2 aside; it meets the line at y = 1.41, and at y = 2.41.
        ([(17, -1.59, np.pi / 4), (20.17, 1.59, np.pi / 4)], [True]),
        ([(17, -0.59, np.pi / 4), (20.17, 2.59, np.pi / 4)], [False]),
        ([(10, 0, 0), (10, 5, 0)], [False]),  # sideways, far before it
    ],
)
def test_crossed(scene, poses, expected):
    assert crossed(scene, *poses) == expected


def test_through_the_common_end_crosses_both(scene):
    before, after = scene.state((17, 2.0, 0)), scene.state((19, 2.0, 0))
    assert crossings(scene.bank, before, after, jnp.int32(0)).crossed.tolist() == [True, True, False]


def test_every_drive_through_the_line_crosses_it_once(scene):
    generator = np.random.default_rng(0)
    for _ in range(5):
        x = np.cumsum(generator.uniform(0.0, 1.0, 40)) + 10.0
        y = generator.uniform(-1.5, 1.5) + 0.01 * np.arange(40)
        assert sum(crossed(scene, *zip(x, y, np.zeros(40), strict=True))) == 1


@pytest.mark.parametrize("point", [(20.0, 0.0), (20.0, 2.0), (19.0, 0.0), (20.0, 5.0)])
def test_gradients_are_finite(point):
    slope = jax.grad(lambda p, ends: place_by_line(p, ends)[3], (0, 1))(jnp.array(point), LINE)
    padding = jax.grad(lambda p, ends: sum(place_by_line(p, ends)), (0, 1))(jnp.array(point), jnp.zeros(4))
    assert all(np.isfinite(np.asarray(leaf)).all() for leaf in (*slope, *padding))
