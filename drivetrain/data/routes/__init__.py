"""Routes: which lanes a recorded path took, which it may use, and how far along them it is."""
