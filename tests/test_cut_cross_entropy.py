"""Losses and gradients against the plain formula in float64, on the host."""

import math
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fixtures_cross_entropy import agree, drawn, ours, peaked, plain
from fixtures_programs import held
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from drivetrain.cut_cross_entropy.blocks import Cut
from drivetrain.cut_cross_entropy.choosing import likeliest, several_likeliest
from drivetrain.cut_cross_entropy.filtered import negligible, rows_together
from drivetrain.cut_cross_entropy.loss import linear_cross_entropy
from drivetrain.types import InputError, replace

SMALL = Cut(tokens=4, entries=8)
TINY = 1e-30
"""A threshold that leaves nothing out, but for which the backward pass by hand is taken."""


@pytest.mark.parametrize("cut", [SMALL, Cut(), Cut(tokens=13, entries=29), Cut(tokens=1, entries=1)])
@pytest.mark.parametrize("least", [0.0, TINY])
def test_exact_whatever_the_blocks(cut, least):
    agree(drawn(), replace(cut, least=least))
    agree(drawn(), replace(cut, least=least, ordered=True))


@pytest.mark.parametrize(("n", "v", "d"), [(1, 29, 5), (13, 1, 5), (1, 1, 1), (8, 16, 3), (9, 17, 2)])
def test_exact_at_odd_sizes(n, v, d):
    agree(drawn(n, v, d), SMALL)
    if v > 1:  # alone, an entry is its softmax: nothing is left to give
        agree(drawn(n, v, d), replace(SMALL, least=TINY))


@pytest.mark.parametrize("scale", [0.0, 0.1, 10.0])
def test_exact_from_flat_to_peaked(scale):
    """With nothing seen all logits are their biases; peaked ones reach hundreds."""
    agree(drawn(scale=scale), SMALL, rtol=1e-4)
    agree(drawn(scale=scale), replace(SMALL, least=TINY), rtol=1e-4)


def test_ties_are_shared():
    embeddings, classifier, targets, bias = drawn()
    agree((embeddings, np.repeat(classifier[:1], 29, 0), targets, np.zeros_like(bias)), SMALL)


def test_ignored_targets_count_nothing_but_in_the_sum():
    embeddings, classifier, targets, bias = drawn()
    targets[[0, 5, 12]] = -100
    agree((embeddings, classifier, targets, bias), replace(SMALL, ignored=-100), ignored=-100)


@pytest.mark.parametrize("cap", [0.5, 30.0, 1e6])
def test_capped_logits(cap):
    agree(drawn(scale=2.0), replace(SMALL, cap=cap), rtol=1e-4, cap=cap)
    agree(drawn(scale=2.0), replace(SMALL, cap=cap, least=TINY), rtol=1e-4, cap=cap)


def test_without_a_bias():
    embeddings, classifier, targets, bias = drawn()
    loss = linear_cross_entropy(embeddings, classifier, targets, cut=SMALL).loss
    expected = plain(embeddings, classifier, targets, 0.0 * bias, np.ones(13), np.zeros(13), np.zeros(13))[0]
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


@settings(max_examples=6, deadline=None)
@given(st.integers(1, 9), st.integers(1, 20), st.integers(1, 6), st.integers(1, 12), st.booleans(), st.integers(0, 99))
def test_exact_for_any_sizes(n, v, tokens, entries, ordered, seed):
    agree(drawn(n, v, 3, seed=seed), Cut(tokens=tokens, entries=entries, ordered=ordered), rtol=1e-4)


# ------------------------------------------------------------------------------------------------------------ left out


def test_what_is_left_out_is_bounded_by_the_threshold():
    """Each left-out entry of |softmax − onehot| is below it, so a gradient is off by at most that, entry by entry."""
    case, cut = peaked(), Cut(tokens=16, entries=32, least=2.0**-12)
    weights = np.ones(64, np.float32), np.zeros(64, np.float32), np.zeros(64, np.float32)
    exact, filtered = ours(*case, *weights, replace(cut, least=0.0)), ours(*case, *weights, cut)
    share = float(negligible(*case, cut))
    assert 0.5 < share < 1.0
    np.testing.assert_array_equal(filtered[0], exact[0])
    most = [
        cut.least * np.abs(case[1]).sum(axis=0).max(),
        cut.least * np.abs(case[0]).sum(axis=0).max(),
        64 * cut.least,
    ]
    for mine, theirs, bound in zip(filtered[3:], exact[3:], most, strict=True):
        assert 0.0 < np.abs(np.asarray(mine) - np.asarray(theirs)).max() <= bound


def test_in_order_more_is_left_out():
    embeddings, classifier, targets, bias = peaked()
    mixed = np.random.default_rng(2).permutation(512)
    case = embeddings, classifier[mixed], np.argsort(mixed)[targets].astype(np.int32), bias[mixed]
    cut = Cut(tokens=16, entries=32, least=2.0**-12)
    assert float(negligible(*case, replace(cut, ordered=True))) > float(negligible(*case, cut)) + 0.3
    weights = np.ones(64, np.float32), np.zeros(64, np.float32), np.zeros(64, np.float32)
    for one, other in zip(ours(*case, *weights, cut), ours(*case, *weights, replace(cut, ordered=True)), strict=True):
        np.testing.assert_allclose(one, other, atol=64 * cut.least)


def test_a_block_that_gives_nothing_is_not_computed():
    text = jax.jit(jax.grad(lambda e: jnp.sum(linear_cross_entropy(e, *peaked()[1:], Cut(least=1e-3)).loss)))
    assert "conditional" in text.lower(peaked()[0]).compile().as_text()


def test_nothing_of_all_tokens_by_all_entries_is_held():
    """Of 8 MB of logits, temporaries take less than 3 %."""
    n, v, d = 512, 4096, 8
    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((n, d), (v, d))]

    def slopes(embeddings, classifier):
        targets = jnp.zeros(n, jnp.int32)
        loss = lambda e, c: jnp.sum(linear_cross_entropy(e, c, targets, cut=Cut(tokens=64, entries=128)).loss)  # noqa: E731
        return jax.grad(loss, (0, 1))(embeddings, classifier)

    memory = jax.jit(slopes).lower(*shapes).compile().memory_analysis()
    assert memory.temp_size_in_bytes < 0.03 * 4 * n * v + 4 * d * (n + v)


# ------------------------------------------------------------------------------------------- draws, batches, shards


def test_the_likeliest_and_draws():
    embeddings, classifier, _, bias = drawn(v=11)
    logits = embeddings @ classifier.T + bias
    np.testing.assert_array_equal(likeliest(embeddings, classifier, bias, SMALL), logits.argmax(axis=1))
    keys = jax.random.split(jax.random.key(0), 4000)
    draws = np.asarray(jax.vmap(lambda key: likeliest(embeddings, classifier, bias, SMALL, key))(keys))
    shares = np.stack([(draws == entry).mean(axis=0) for entry in range(11)], axis=1)
    expected = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    assert np.abs(shares - expected).max() < 5.0 * 0.5 / np.sqrt(4000)


def test_rows_of_a_vmap_are_put_together_and_leave_out_what_all_of_them_leave_out():
    """As if they were given at once; with a classifier each, each by itself."""
    embeddings, classifier, targets, bias = peaked()
    cut = Cut(tokens=16, entries=32, least=2.0**-12)
    weights = np.ones(64, np.float32), np.zeros(64, np.float32), np.zeros(64, np.float32)
    expected = ours(embeddings, classifier, targets, bias, *weights, cut)

    def of_rows(e, c, b):
        row = lambda row, target: rows_together(cut)(row[None], c, target[None], b)  # noqa: E731
        losses, *_ = jax.vmap(row)(e, targets)
        return jnp.sum(losses), losses

    (_, losses), slopes = jax.jit(jax.value_and_grad(of_rows, (0, 1, 2), has_aux=True))(embeddings, classifier, bias)
    np.testing.assert_allclose(losses.reshape(-1), expected[0], rtol=1e-5)
    for one, other in zip(slopes, expected[3:], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    own = np.stack([classifier, 2.0 * classifier])
    losses, *_ = jax.vmap(lambda c: rows_together(cut)(embeddings, c, targets, bias))(own)
    np.testing.assert_allclose(losses[1], linear_cross_entropy(embeddings, own[1], targets, bias).loss, rtol=1e-4)


def test_several_likeliest_of_all_blocks():
    embeddings, classifier, _, bias = drawn(v=29)
    logits = (embeddings @ classifier.T + bias).astype(np.float64)
    rows, logs = several_likeliest(embeddings, classifier, bias, 5, SMALL)
    order = np.argsort(-logits, axis=1)[:, :5]
    np.testing.assert_array_equal(rows, order)
    summed = np.log(np.exp(logits).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(logs, np.take_along_axis(logits, order, axis=1) - summed, rtol=1e-4, atol=1e-5)
    assert several_likeliest(embeddings, classifier, None, 99, SMALL)[0].shape == (13, 29)


def test_in_a_batch():
    cases = [drawn(seed=seed) for seed in range(3)]
    stacked = [np.stack(leaves) for leaves in zip(*cases, strict=True)]
    loss = jax.vmap(lambda *case: linear_cross_entropy(*case, replace(SMALL, least=1e-6)).loss)(*stacked)
    for row, case in enumerate(cases):
        np.testing.assert_allclose(loss[row], linear_cross_entropy(*case, SMALL).loss, rtol=1e-5)


def row_by_row(embeddings, classifier, targets, bias, cut):
    """A weighted sum over rows that are batched by two `vmap`s and share a classifier, as agents of a policy do."""

    def of_row(row, target):
        surprise = linear_cross_entropy(row[None], classifier, target[None], bias, cut)
        return surprise.loss[0], surprise.entropy[0]

    shape = (3, len(targets) // 3)
    both = jax.vmap(jax.vmap(of_row))(embeddings.reshape(*shape, -1), targets.reshape(shape))
    weights = jnp.arange(1.0, len(targets) + 1.0)
    return jnp.sum(weights * both[0].reshape(-1) - 2.0 * weights * both[1].reshape(-1))


def test_rows_batched_one_by_one_are_rows_together():
    embeddings, classifier, targets, bias = drawn(n=12)
    slopes = jax.jit(jax.grad(lambda e, c, b: row_by_row(e, c, targets, b, SMALL), (0, 1, 2)))(
        embeddings, classifier, bias
    )
    weights = np.arange(1.0, 13.0)
    expected = plain(embeddings, classifier, targets, bias, weights, 0.0 * weights, -2.0 * weights)[3:]
    for mine, theirs in zip(slopes, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)
    each = jax.vmap(
        lambda e, t: jax.grad(lambda c: linear_cross_entropy(e[None], c, t[None], bias, SMALL).loss[0])(classifier)
    )
    one_by_one = jax.jit(each)(embeddings, targets)  # the other way round: a gradient each
    whole = plain(embeddings, classifier, targets, bias, np.ones(12), np.zeros(12), np.zeros(12))[4]
    np.testing.assert_allclose(one_by_one.sum(axis=0), whole, rtol=1e-4, atol=1e-4)


def test_rows_batched_one_by_one_hold_no_logits_and_one_classifier():
    """Of 3 × 170 rows over 4,096 entries: neither [rows, V] nor [rows, V, d] nor a classifier a row."""
    n, v, d = 510, 4096, 8
    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((n, d), (v, d))]
    cut = Cut(entries=128)
    slopes = jax.grad(lambda e, c: row_by_row(e, c, jnp.zeros(n, jnp.int32), None, cut), (0, 1))
    lowered = jax.jit(slopes).lower(*shapes)
    memory = lowered.compile().memory_analysis()
    assert memory.temp_size_in_bytes < 0.1 * 4 * n * v + 4 * 4 * d * (n + v)
    sizes = [math.prod(aval.shape) for aval in held(jax.make_jaxpr(slopes)(*shapes).jaxpr)]
    assert max(sizes) <= max(n * 128, v * d)


def in_two_shards() -> None:
    """The losses and gradients of a vocabulary of which each of two devices has a half, against those of the whole."""
    embeddings, classifier, targets, bias = drawn(n=6, v=24)
    targets[0] = -1
    mesh, whole, half = Mesh(np.array(jax.devices()), ("words",)), P(), P("words")

    def shard(embeddings, classifier, bias):
        def weighed(embeddings, classifier, bias):
            surprise = linear_cross_entropy(embeddings, classifier, targets, bias, SMALL, over="words")
            return jnp.sum((surprise.loss + 0.5 * surprise.entropy) * jnp.arange(6.0)), surprise.loss

        slopes, loss = jax.grad(weighed, (0, 1, 2), has_aux=True)(embeddings, classifier, bias)
        return (loss, *slopes)

    specs = (whole, half, half), (whole, whole, half, half)
    run = jax.shard_map(shard, mesh=mesh, in_specs=specs[0], out_specs=specs[1], check_vma=False)
    mine = jax.jit(run)(embeddings, classifier, bias)
    expected = plain(embeddings, classifier, targets, bias, np.arange(6.0), np.zeros(6), 0.5 * np.arange(6.0))
    for one, other in zip(mine, [expected[0], *expected[3:]], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_vocabulary_in_shards():
    """In a process of its own: how many devices there are is settled when JAX starts."""
    program = "import jax; jax.config.update('jax_num_cpu_devices', 2); import test_cut_cross_entropy as own; own."
    program += in_two_shards.__name__ + "()"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_lower_precision_keeps_its_types():
    embeddings, classifier, targets, bias = drawn(n=32, v=64, d=16)
    halves = jnp.asarray(embeddings, jnp.bfloat16), jnp.asarray(classifier, jnp.bfloat16)
    cut = replace(SMALL, dtype="bfloat16")
    slopes = jax.grad(lambda e, c: jnp.mean(linear_cross_entropy(e, c, targets, bias, cut).loss), (0, 1))(*halves)
    exact = plain(
        *(np.asarray(x, np.float32) for x in halves), targets, bias, np.full(32, 1 / 32), np.zeros(32), np.zeros(32)
    )
    assert [slope.dtype for slope in slopes] == [jnp.bfloat16, jnp.bfloat16]
    for mine, theirs in zip(slopes, exact[3:5], strict=True):
        np.testing.assert_allclose(np.asarray(mine, np.float32), theirs, atol=0.02 * np.abs(theirs).max())


# -------------------------------------------------------------------------------------------------------------- hostile


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda e, c, t, b: (e[:, :3], c, t, b), "classifier"),
        (lambda e, c, t, b: (e[0], c, t, b), "embeddings"),
        (lambda e, c, t, b: (e, c, t[:4], b), "targets"),
        (lambda e, c, t, b: (e, c, t, b[:3]), "bias"),
        (lambda e, c, t, b: (e.astype(int), c, t, b), "embeddings of int"),
        (lambda e, c, t, b: (e, c, t.astype(float), b), "targets of float"),
        (lambda e, c, t, b: (e, c, t + 29, b), "target [0-9]+ of 29"),
        (lambda e, c, t, b: (e, c, t - 50, b), "target -[0-9]+ of 29"),
        (lambda e, c, t, b: (e[:0], c, t[:0], b), "0 tokens"),
    ],
)
def test_what_does_not_fit_is_refused(change, words):
    with pytest.raises(InputError, match=words):
        linear_cross_entropy(*change(*drawn()))


@pytest.mark.parametrize("cut", [Cut(tokens=0), Cut(entries=-1), Cut(least=-1.0), Cut(cap=-1.0)])
def test_a_cut_that_is_none_is_refused(cut):
    with pytest.raises(InputError, match="blocks of at least 1"):
        linear_cross_entropy(*drawn(), cut)


def test_a_target_out_of_range_in_a_compiled_program_is_seen():
    embeddings, classifier, targets, bias = drawn()
    targets[3] = 29
    loss = jax.jit(lambda t: linear_cross_entropy(embeddings, classifier, t, bias, SMALL).loss)(targets)
    assert np.isnan(loss[3]) and np.isfinite(np.delete(loss, 3)).all()
