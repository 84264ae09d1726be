"""Rules for the agents that no policy drives, and rules that drive one as a baseline."""
