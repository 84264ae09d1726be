"""The loss over a large vocabulary: cut, against the plain formula, and against that with its logits computed twice.

A row is one way of computing it at one size: milliseconds forward, and of value and gradients; the program's own
temporaries, also as a share of the logits; and the bytes that inputs and gradients must take in any case. *skipped* is
the share of blocks whose gradient is left out, of a head as it is drawn and of one that some steps of descent have made
sure of its targets (`trained`).
"""

import dataclasses
import time
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp

from drivetrain.bench.measuring import median_seconds
from drivetrain.cut_cross_entropy.blocks import Cut
from drivetrain.cut_cross_entropy.filtered import negligible
from drivetrain.cut_cross_entropy.loss import linear_cross_entropy
from drivetrain.types import Array, Key, replace

LEAST = 2.0**-12
"""The paper's threshold (for bfloat16)."""


@dataclasses.dataclass(frozen=True)
class Size:
    """N tokens of width D over V entries."""

    tokens: int = 2048
    entries: int = 65_536
    width: int = 128
    dtype: str = "float32"

    @property
    def logits_mb(self) -> float:
        """What the logits take, float32."""
        return 4e-6 * self.tokens * self.entries


SIZES = (Size(entries=16_384), Size())
PAPER = Size(8192, 256_000, 2304, "bfloat16")
"""The paper's own case (Gemma 2): for GPUs."""


@dataclasses.dataclass(frozen=True)
class HeadRow:
    """One measurement."""

    tokens: int
    entries: int
    width: int
    head: str  # as drawn, or trained
    way: str
    forward: float  # ms
    both: float  # ms: value and gradients
    temporary_mb: float
    logit_share: float  # temporaries, as a share of the logits
    least_mb: float  # inputs and gradients
    skipped: float  # share of blocks
    compile_seconds: float


def plain(embeddings: Array, classifier: Array, targets: Array) -> Array:
    """The mean loss of logits that are held whole."""
    logits = jnp.matmul(embeddings, classifier.T, preferred_element_type=jnp.float32)
    right = jnp.take_along_axis(logits, targets[:, None], axis=1)[:, 0]
    return jnp.mean(jax.nn.logsumexp(logits, axis=1) - right)


def cut_by(cut: Cut) -> Callable[[Array, Array, Array], Array]:
    """The mean loss of logits held a block at a time."""
    return lambda embeddings, classifier, targets: jnp.mean(
        linear_cross_entropy(embeddings, classifier, targets, cut=cut).loss
    )


def measure_heads(sizes: tuple[Size, ...], seconds: float, trained: int) -> Iterator[HeadRow]:
    """Every way at every size, of a head as drawn and after so many steps of descent (0: not); on a GPU kernels too.

    What the device has no room for takes no time: its milliseconds are not a number.
    """
    for size in sizes:
        head = draw(size, jax.random.key(0))
        for name in ("drawn", *(["trained"] if trained else [])):
            if name == "trained":
                head = descend(size, head, trained)
            yield _row(size, name, "plain", None, plain, head, seconds)
            yield _row(size, name, "plain, twice", None, jax.checkpoint(plain), head, seconds)  # type: ignore[attr-defined]
            exact = Cut(dtype=size.dtype)
            filtered = replace(exact, least=LEAST)
            cuts = {"cut": exact, "cut, filtered": filtered, "cut, in order": replace(filtered, ordered=True)}
            if jax.default_backend() == "gpu":
                cuts |= {"kernels": replace(exact, backend="pallas")}
                cuts |= {"kernels, filt.": replace(filtered, backend="pallas")}
            for way, cut in cuts.items():
                yield _row(size, name, way, cut, cut_by(cut), head, seconds)


def draw(size: Size, key: Key) -> tuple[Array, Array, Array]:
    """Embeddings, classifier, targets; a few entries are the targets of most tokens (Zipf)."""
    keys = jax.random.split(key, 3)
    embeddings = jax.random.normal(keys[0], (size.tokens, size.width))
    classifier = jax.random.normal(keys[1], (size.entries, size.width)) / size.width
    share = 1.0 / jnp.arange(1.0, size.entries + 1.0)
    rank = jax.random.choice(keys[2], size.entries, (size.tokens,), p=share / jnp.sum(share))
    targets = jax.random.permutation(jax.random.fold_in(key, 1), size.entries)[rank]
    return embeddings.astype(size.dtype), classifier.astype(size.dtype), targets


def descend(size: Size, head: tuple[Array, Array, Array], steps: int) -> tuple[Array, Array, Array]:
    """The same after steps of Adam-like descent (by the sign of the gradient) on embeddings and classifier."""
    slope = jax.grad(cut_by(Cut(dtype=size.dtype)), (0, 1))

    def step(pair: tuple[Array, Array], rate: Array) -> tuple[tuple[Array, Array], None]:
        moved = jax.tree.map(lambda x, s: x - (rate * jnp.sign(s)).astype(x.dtype), pair, slope(*pair, head[2]))
        return moved, None

    rates = jnp.linspace(0.03, 0.0, steps)
    pair, _ = jax.jit(lambda pair: jax.lax.scan(step, pair, rates))(head[:2])
    return *pair, head[2]


def _row(
    size: Size, head: str, way: str, cut: Cut | None, loss: Callable, given: tuple[Array, Array, Array], seconds: float
) -> HeadRow:
    begun = time.perf_counter()
    forward = jax.jit(loss).lower(*given).compile()
    both = jax.jit(jax.value_and_grad(loss, (0, 1))).lower(*given).compile()
    compile_seconds = time.perf_counter() - begun
    memory = both.memory_analysis()
    assert memory is not None
    skipped = 0.0
    if cut is not None and cut.least:
        skipped = float(jax.jit(negligible, static_argnames="cut")(*given, cut=cut))

    def milliseconds(program: Callable) -> float:
        try:
            return 1e3 * median_seconds(lambda: jax.block_until_ready(program(*given)), seconds)
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            return float("nan")

    return HeadRow(
        tokens=size.tokens,
        entries=size.entries,
        width=size.width,
        head=head,
        way=way,
        forward=milliseconds(forward),
        both=milliseconds(both),
        temporary_mb=memory.temp_size_in_bytes / 1e6,
        logit_share=memory.temp_size_in_bytes / 1e6 / size.logits_mb,
        least_mb=2e-6 * sum(leaf.nbytes for leaf in given[:2]),
        skipped=skipped,
        compile_seconds=compile_seconds,
    )


def head_line(row: HeadRow) -> str:
    """A row of the table."""
    size = f"{row.tokens:>6} {row.entries:>8} {row.width:>6} {row.head:>8} {row.way:>14}"
    memory = f"{row.temporary_mb:>9,.1f} {row.logit_share:>8.1%} {row.least_mb:>8,.1f}"
    return f"{size} {row.forward:>10.1f} {row.both:>10.1f} {memory} {row.skipped:>8.1%} {row.compile_seconds:>10.1f}"


HEADING = (
    f"{'tokens':>6} {'entries':>8} {'width':>6} {'head':>8} {'way':>14} {'forward ms':>10} {'both ms':>10} "
    f"{'temp. MB':>9} {'logits':>8} {'least MB':>8} {'skipped':>8} {'compile s':>10}"
)
