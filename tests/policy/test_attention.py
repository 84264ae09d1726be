import jax
import jax.numpy as jnp
import numpy as np
import pytest

from drivetrain.policy.attention import CrossAttention, SelfAttention, masked_softmax

D, HEADS = 12, 3


def normalise(x):
    x = np.asarray(x, float)
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def block(module, x):
    hidden = np.maximum(normalise(x) @ np.asarray(module.first.weight, float) + np.asarray(module.first.bias), 0.0)
    return x + hidden @ np.asarray(module.second.weight, float) + np.asarray(module.second.bias)


def attend(query, keys, values):
    out = np.zeros((len(query), D))
    for head in range(HEADS):
        own = slice(head * D // HEADS, (head + 1) * D // HEADS)
        out[:, own] = softmax(query[:, own] @ keys[:, own].T / np.sqrt(D / HEADS)) @ values[:, own]
    return out


@pytest.fixture
def drawn():
    keys = jax.random.split(jax.random.key(0), 2)
    return jax.random.normal(keys[0], (2, D)), jax.random.normal(keys[1], (7, D)), np.arange(7) < 5


def test_cross_attention_is_textbook_attention_over_the_tokens_that_exist(drawn):
    latents, tokens, mask = drawn
    module = CrossAttention(D, HEADS, 16, jax.random.key(1))
    kept = normalise(tokens)[mask]
    keys = np.concatenate([kept @ np.asarray(w, float).T for w in module.key], axis=1)
    values = np.concatenate([kept @ np.asarray(w, float) for w in module.value], axis=1)
    query = normalise(latents) @ np.asarray(module.query.weight, float)
    seen = attend(query, keys, values) @ np.asarray(module.out.weight, float)
    expected = block(module.block, np.asarray(latents, float) + seen)
    np.testing.assert_allclose(module(latents, tokens, jnp.asarray(mask)), expected, atol=1e-5)


def test_self_attention_is_textbook_attention_over_the_tokens_that_exist(drawn):
    _, tokens, mask = drawn
    module = SelfAttention(D, HEADS, 16, jax.random.key(2))
    projected = normalise(tokens) @ np.asarray(module.project.weight, float)
    query, keys, values = np.split(projected, 3, axis=1)
    seen = attend(query, keys[mask], values[mask]) @ np.asarray(module.out.weight, float)
    expected = block(module.block, np.asarray(tokens, float) + seen)
    np.testing.assert_allclose(module(tokens, jnp.asarray(mask)), expected, atol=1e-5)


def test_softmax_of_nothing_is_nothing_with_a_finite_gradient():
    logits, nobody = jnp.array([[1.0, 2.0, 3.0]]), jnp.zeros(3, bool)
    assert not masked_softmax(logits, nobody).any()
    slope = jax.grad(lambda x: jnp.sum(masked_softmax(x, nobody) ** 2))(logits)
    np.testing.assert_array_equal(slope, 0.0)


def test_bfloat16_stays_near_float32(drawn):
    latents, tokens, mask = drawn
    exact = CrossAttention(D, HEADS, 16, jax.random.key(1))
    rough = CrossAttention(D, HEADS, 16, jax.random.key(1), "bfloat16")
    a, b = exact(latents, tokens, jnp.asarray(mask)), rough(latents, tokens, jnp.asarray(mask))
    assert b.dtype == jnp.float32
    np.testing.assert_allclose(a, b, atol=0.1)
    assert not np.allclose(a, b, atol=1e-6)
