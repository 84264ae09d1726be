"""Who drives in an evaluation: a trained policy, and drivers that give its figures a meaning."""

from drivetrain.drivers.constant import ConstantVelocity
from drivetrain.drivers.idm import IdmDriver
from drivetrain.drivers.log import LogDriver

BASELINES = {"log": LogDriver(), "constant": ConstantVelocity(), "idm": IdmDriver()}
"""By the names of `drivetrain evaluate` and `evaluation.json`."""
