"""ScenarioNet scenes."""
