"""The inverse of a model of motion: the one action that, held, keeps to the log over a horizon."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Float

from drivetrain.geometry import Scalar, cross
from drivetrain.sim.dynamics.base import Pose
from drivetrain.sim.reading import Placement
from drivetrain.types import Array, component


@component
class ConstantActionFit:
    """Least squares over the horizon for one constant action of two columns, by Gauss–Newton through the model.

    Inverting step by step would swing ever wider where an action is integrated more than once before the position
    shows it; a constant action over a whole horizon would lag. So later places count, and count less (`fade`).
    """

    price: tuple[float, float]  # m that weigh like one unit of each column away from the first guess
    iterations: int = 3
    fade: float = 0.3  # s in which the weight of a place falls by 1/e along the horizon
    heading_weight: float = 2.0  # m of position error that weigh like one radian of heading error
    speed_weight: float = 0.0  # m of position error that weigh like one m/s of speed error

    def action(
        self,
        advance: Callable[[Pose, Array], Pose],
        pose: Pose,
        targets: Placement,
        guess: Float[Array, "2"],
        dt: Scalar,
    ) -> Float[Array, "2"]:
        """The action, sought from `guess`, whose poses by `advance(pose, action)` come nearest to the targets [H]."""
        importance = targets.valid * jnp.exp(-dt / self.fade * jnp.arange(len(targets.valid)))

        def residual(action: Array) -> Array:
            def onward(pose: Pose, target: tuple[Placement, Array]) -> tuple[Pose, Array]:
                pose = advance(pose, action)
                wanted, weight = target
                row = jnp.append(
                    pose.position - wanted.position, self.heading_weight * cross(wanted.heading, pose.heading)
                )
                if self.speed_weight:
                    error = pose.motion.speed - jnp.sum(wanted.velocity * wanted.heading)
                    row = jnp.append(row, self.speed_weight * error)
                return pose, weight * row

            _, rows = jax.lax.scan(onward, pose, (targets, importance))
            return jnp.concatenate([rows.reshape(-1), jnp.array(self.price) * (action - guess)])

        def iterate(action: Array, _) -> tuple[Array, None]:
            errors = residual(action)
            slopes = jax.jacfwd(residual)(action)
            normal, downhill = slopes.T @ slopes, slopes.T @ errors
            determinant = normal[0, 0] * normal[1, 1] - normal[0, 1] ** 2
            inverse = jnp.array([[normal[1, 1], -normal[0, 1]], [-normal[0, 1], normal[0, 0]]])
            return action - inverse @ downhill / jnp.maximum(determinant, 1e-12), None

        return jax.lax.scan(iterate, guess, length=self.iterations)[0]
