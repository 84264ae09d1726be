"""Learning: returns, one algorithm a file, and the update that both share."""
