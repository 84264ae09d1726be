"""Networks: shapes, what a cell sees, and that signals neither die nor grow on their way."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.perception.network import Paper, Small, gathered, local_response, spread


@pytest.mark.parametrize("architecture", [Small(), Paper(widths=(16, 24, 32, 48))], ids=["small", "paper"])
def test_every_eighth_pixel_has_its_numbers(architecture):
    network = architecture.build(jax.random.key(0))
    pictures = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3)).astype(np.uint8)
    seen = jax.vmap(network)(pictures)
    assert seen.vehicle.shape == (2, 8, 12) == seen.lane.shape == seen.depth.shape
    assert seen.sides.shape == seen.segment.shape == (2, 8, 12, 4) and seen.ends.shape == (2, 8, 12, 2)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(seen))
    assert (np.asarray(seen.sides) > 0.0).all()


def test_the_papers_own_sizes():
    network = jax.eval_shape(Paper().build, jax.random.key(0))
    assert [layer.weight.shape[-1] for layer in network.trunk.layers] == [96, 256, 384, 384, 384, 4096, 4096]
    features = jax.eval_shape(lambda n, x: n.trunk(x), network, jnp.zeros((480, 640, 3)))
    assert features.shape == (15, 20, 4096)
    seen = jax.eval_shape(lambda n, x: n(x), network, jnp.zeros((480, 640, 3), jnp.uint8))
    assert seen.vehicle.shape == (60, 80) and seen.sides.shape == (60, 80, 4) and seen.segment.shape == (60, 80, 4)


def test_sub_cells_stand_where_they_belong():
    pixels = np.arange(8 * 12 * 3, dtype=np.float32).reshape(8, 12, 3)
    cells = gathered(pixels, 4)
    assert cells.shape == (2, 3, 48)
    assert np.array_equal(np.asarray(cells)[1, 2].reshape(4, 4, 3), pixels[4:8, 8:12])
    assert np.array_equal(spread(cells, 4), pixels)


def test_local_response_is_the_formula():
    x = np.random.default_rng(1).normal(size=(2, 3, 7)).astype(np.float32) * 50.0
    square = np.pad(x**2, [(0, 0), (0, 0), (2, 2)])
    wanted = x / (1.0 + 1e-4 / 5.0 * sum(square[..., i : i + 7] for i in range(5))) ** 0.75
    assert np.allclose(local_response(x), wanted, rtol=1e-5)


def test_signals_keep_their_size():
    network = Small().build(jax.random.key(3))
    noise = jax.random.normal(jax.random.key(4), (192, 320, 3))
    features = np.asarray(network.trunk(noise))
    assert 0.3 < features.std() < 5.0


def test_what_is_far_away_in_the_picture_is_seen():
    """Every 32nd pixel and three blocks: a cell sees more than 300 pixels around it."""
    network = Small().build(jax.random.key(0))
    picture = np.full((384, 640, 3), 90, np.uint8)
    other = picture.copy()
    other[:, 460:470] = 255
    changed = np.abs(np.asarray(network(other).vehicle - network(picture).vehicle)).max(axis=0)
    assert changed[320 // 8] > 0.0
