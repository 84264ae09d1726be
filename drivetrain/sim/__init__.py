"""The simulator: what is given (bank), how agents move (dynamics, traffic), and one step of it (simulator)."""
