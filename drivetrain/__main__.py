"""`python -m drivetrain` is the command `drivetrain`."""

import sys

from drivetrain.cli import main

sys.exit(main())
