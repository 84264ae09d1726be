"""What a traced program computes."""

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr


def held(jaxpr):
    """The shape of everything that a program, or one inside it, computes."""
    for equation in jaxpr.eqns:
        yield from (variable.aval for variable in equation.outvars)
        for value in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda leaf: isinstance(leaf, ClosedJaxpr)
        ):
            if isinstance(value, ClosedJaxpr | Jaxpr):
                yield from held(value.jaxpr if isinstance(value, ClosedJaxpr) else value)
