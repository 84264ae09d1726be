"""`drivetrain bench`: scenes of stated size, and how fast each part is on the device at hand."""
