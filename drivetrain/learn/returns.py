"""Returns and advantages of one trajectory of T steps. Batch with `vmap`.

`discount` is γ where life goes on after the step and 0 where the episode terminated.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from drivetrain.types import Array, record


def discounted_returns(
    reward: Float[Array, "T"], discount: Float[Array, "T"], bootstrap: Float[Array, ""] | float = 0.0
) -> Float[Array, "T"]:
    """Gₜ = rₜ + γₜ Gₜ₊₁, with the value `bootstrap` after the last step."""
    return _backwards(reward, discount, bootstrap)


def vtrace(
    value: Float[Array, "T"],
    next_value: Float[Array, "T"],
    reward: Float[Array, "T"],
    discount: Float[Array, "T"],
    ratio: Float[Array, "T"],
    trace: Float[Array, "T"],
    rho_bar: float = 1.0,
    c_bar: float = 1.0,
) -> tuple[Float[Array, "T"], Float[Array, "T"]]:
    """V-trace targets and advantages (Espeholt et al. 2018, eq. 1 and section 4.2; λ in remark 2).

    `ratio` is π(a|s) / μ(a|s); `trace` is λ, 0 where the next step is another life. The advantage is qₜ − V(sₜ) without
    the factor ρₜ: a clipped surrogate holds the ratio itself. On policy it is the
    generalised advantage (Schulman et al. 2016, eq. 16).
    """
    rho, c = jnp.minimum(rho_bar, ratio), trace * jnp.minimum(c_bar, ratio)
    correction = _backwards(rho * (reward + discount * next_value - value), discount * c, 0.0)
    later = jnp.append(correction[1:], 0.0)
    advantage = reward + discount * (next_value + trace * later) - value
    return value + correction, advantage


def leave_one_out(returns: Float[Array, "K"]) -> Float[Array, "K"]:
    """Advantages of K rollouts of one start: each return less the mean of the others (Kool et al. 2019, eq. 5)."""
    count = returns.shape[0]
    return (returns - jnp.mean(returns)) * (count / (count - 1))


@record
class Fit:
    """How well values fit their targets: means, so that parts of a batch add up."""

    error: Float[Array, ""]  # of value − target
    error_square: Float[Array, ""]
    target: Float[Array, ""]
    target_square: Float[Array, ""]


def fit(value: Float[Array, "*N"], target: Float[Array, "*N"], mask: Bool[Array, "*N"]) -> Fit:
    """Means over what the mask counts; zeros where that is nothing."""
    count = jnp.maximum(jnp.sum(mask, dtype=jnp.float32), 1.0)

    def mean(x: Array) -> Array:
        return jnp.sum(jnp.where(mask, x, 0.0)) / count

    error = value - target
    return Fit(mean(error), mean(error**2), mean(target), mean(target**2))


def explained(fit: Fit) -> dict[str, float]:
    """The mean square error, and 1 − Var(target − value) / Var(target): 1 is perfect, 0 no better than the mean."""
    error, error_square = float(fit.error), float(fit.error_square)
    variance = max(float(fit.target_square) - float(fit.target) ** 2, 1e-8)
    return {"value_error": error_square, "explained": 1.0 - (error_square - error**2) / variance}


def _backwards(step: Array, decay: Array, last: Array | float) -> Array:
    """xₜ = stepₜ + decayₜ xₜ₊₁ from the end."""

    def body(later: Array, now: tuple[Array, Array]) -> tuple[Array, Array]:
        x = now[0] + now[1] * later
        return x, x

    return jax.lax.scan(body, jnp.asarray(last, jnp.float32), (step, decay), reverse=True)[1]
