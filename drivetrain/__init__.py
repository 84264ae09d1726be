"""Drivetrain trains driving policies at scale, in JAX, from recorded traffic and from self-play."""

__version__ = "0.1.0"
