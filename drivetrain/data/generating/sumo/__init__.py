"""Traffic that SUMO simulates, recorded."""
