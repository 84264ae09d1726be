"""An experiment is one function that returns a run's whole configuration: a tree of components."""

from drivetrain.recipes.quickstart import quickstart

RECIPES = {"quickstart": quickstart}
"""By the names of `drivetrain train`."""
