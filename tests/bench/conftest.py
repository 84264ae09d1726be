"""What of the events is in a compiled program: XLA leaves out what nobody reads, and then no figure is of it."""

import dataclasses
import re

import jax
import pytest

from drivetrain.types import Events

FACTS = {field.name for field in dataclasses.fields(Events)} - {"acceleration", "lateral", "goal", "manner"}
"""Those that are computed: two others are numbers of the state, which need no operation for one agent; and there
is no goal."""


def facts_in(compiled) -> set[str]:
    """The events of which an operation is left, by the names under which the operations were traced."""
    names = re.findall(r'op_name="([^"]*)"', compiled.as_text())
    return FACTS & {word for name in names for word in re.findall(r"\w+", name)}


@pytest.fixture
def named():
    """Programs with the names of now: the cache would give the same ones with the names of when they were compiled."""
    jax.config.update("jax_compilation_cache_include_metadata_in_key", True)
    yield
    jax.config.update("jax_compilation_cache_include_metadata_in_key", False)
