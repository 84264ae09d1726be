"""The kernels for GPUs, run by XLA: values and gradients against the plain formula in float64. And they lower."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fixtures_cross_entropy import agree, drawn, ours, peaked

from drivetrain.cut_cross_entropy import kernels
from drivetrain.cut_cross_entropy.blocks import Cut
from drivetrain.cut_cross_entropy.loss import linear_cross_entropy
from drivetrain.types import InputError, replace

INTERPRETED = Cut(backend="interpreted")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Blocks of a size at which the interpreter has several of each; three parts."""
    for name, size in (("TOKENS", 4), ("ENTRIES", 8), ("WIDTH", 2), ("PART", 16)):
        monkeypatch.setattr(kernels, name, size)


@pytest.mark.parametrize("case", [{}, {"n": 8, "v": 32, "d": 4}, {"n": 1, "v": 1, "d": 1}, {"scale": 3.0}], ids=str)
def test_exact_whatever_the_sizes(case):
    agree(drawn(**case), INTERPRETED, 1e-4)


def test_capped_and_ignored():
    embeddings, classifier, targets, bias = drawn()
    targets = np.where(np.arange(len(targets)) % 3 == 0, -1, targets).astype(np.int32)
    agree((embeddings, classifier, targets, bias), replace(INTERPRETED, cap=2.0), 1e-4, cap=2.0)


def test_what_is_left_out_is_bounded_by_the_threshold():
    case, cut = peaked(), replace(INTERPRETED, least=2.0**-12)
    weights = np.ones(64, np.float32), np.zeros(64, np.float32), np.zeros(64, np.float32)
    exact, filtered = ours(*case, *weights, replace(cut, least=0.0)), ours(*case, *weights, cut)
    most = [cut.least * np.abs(each).sum(axis=0).max() for each in (case[1], case[0])]
    for mine, theirs, bound in zip(filtered[3:], exact[3:], [*most, 64 * cut.least], strict=True):
        assert 0.0 < np.abs(np.asarray(mine) - np.asarray(theirs)).max() <= bound


def test_without_a_bias_and_in_lower_precision():
    embeddings, classifier, targets, _ = drawn()
    cut = replace(INTERPRETED, dtype="bfloat16")

    def loss(embeddings, classifier):
        return jnp.sum(linear_cross_entropy(embeddings, classifier, targets, cut=cut).loss)

    low = embeddings.astype(jnp.bfloat16), classifier.astype(jnp.bfloat16)
    value, slopes = jax.value_and_grad(loss, (0, 1))(*low)
    exact = linear_cross_entropy(*(np.asarray(each, np.float32) for each in low), targets).loss
    assert float(value) == pytest.approx(float(jnp.sum(exact)), rel=1e-2)
    assert [slope.dtype for slope in slopes] == [jnp.bfloat16] * 2


def test_they_lower_for_a_gpu_with_products_that_are_left_out(monkeypatch):
    """By Triton, on a host that has none: four kernels, of the sizes that tensor cores want."""
    monkeypatch.undo()
    shapes = [jax.ShapeDtypeStruct(shape, jnp.bfloat16) for shape in ((200, 96), (3000, 96))]
    cut = Cut(backend="pallas", dtype="bfloat16", least=2.0**-12)

    def loss(embeddings, classifier):
        return jnp.sum(linear_cross_entropy(embeddings, classifier, jnp.zeros(200, jnp.int32), cut=cut).loss)

    traced = jax.jit(jax.grad(loss, (0, 1))).trace(*shapes)
    assert traced.lower(lowering_platforms=("cuda",)).as_text().count("triton") == 4


@pytest.mark.parametrize("options", [{"ordered": True}, {"over": "words"}])
def test_what_kernels_do_not_do_is_refused(options):
    cut = replace(INTERPRETED, ordered=options.pop("ordered", False))
    with pytest.raises(InputError, match="backend interpreted"):
        linear_cross_entropy(*drawn(), cut, **options)
