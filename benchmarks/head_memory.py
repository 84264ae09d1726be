"""What the loss of each head and its gradient hold for a minibatch: the compiled program's own temporaries.

python benchmarks/head_memory.py
"""

from typing import Any

import jax
import jax.numpy as jnp

from drivetrain.cut_cross_entropy.blocks import Cut
from drivetrain.policy.categorical import CategoricalLayer
from drivetrain.policy.dense import Dense
from drivetrain.policy.joint import JointLayer
from drivetrain.policy.vocabulary import ChoiceLayer

ROWS, WIDTH = 1024, 128
SIZES = (1024, 4096, 16_384, 65_536)
KEY = jax.random.key(0)


def mean_loss(layer: Any, features: jax.Array, samples: jax.Array) -> jax.Array:
    """Of all rows of a minibatch, asked one by one, as algorithms do."""
    return jnp.mean(jnp.sum(jax.vmap(lambda row, sample: layer(row).nll(sample))(features, samples), axis=-1))


def temporaries(layer: Any, columns: int) -> float:
    """MB; the layer in shapes alone."""
    given = jax.ShapeDtypeStruct((ROWS, WIDTH), jnp.float32), jax.ShapeDtypeStruct((ROWS, columns), jnp.int32)
    analysis = jax.jit(jax.value_and_grad(mean_loss, (0, 1))).lower(layer, *given).compile().memory_analysis()
    assert analysis is not None
    return analysis.temp_size_in_bytes / 1e6


def choice(entries: int) -> ChoiceLayer:
    """A vocabulary's head, in shapes."""
    row = jax.ShapeDtypeStruct((entries, WIDTH), jnp.float32), jax.ShapeDtypeStruct((entries,), jnp.float32)
    return ChoiceLayer(*row, Cut())  # type: ignore[arg-type]


def plain(*columns: int) -> Any:
    """Heads whose logits are held, in shapes."""
    return jax.eval_shape(lambda: CategoricalLayer(tuple(Dense(WIDTH, count, KEY) for count in columns)))


if __name__ == "__main__":
    print(f"columns apart {temporaries(plain(71, 31), 2):.1f} MB")
    joint = jax.eval_shape(lambda: JointLayer(Dense(WIDTH, 71 * 31, KEY), (71, 31)))
    print(f"joint grid {temporaries(joint, 2):.1f} MB")
    for size in SIZES:
        held = temporaries(choice(size), 1), temporaries(plain(size), 1), 4e-6 * ROWS * size
        print(f"{size:,} entries: {held[0]:.1f} MB; with plain logits {held[1]:.1f} MB; logits alone {held[2]:.1f} MB")
