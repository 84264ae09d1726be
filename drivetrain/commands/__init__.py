"""What each word after `drivetrain` does: one file a command, each with `run(words)`."""
