"""Argoverse 2: motion forecasting scenarios, sensor logs, and the vector map of both."""
