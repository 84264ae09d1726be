from fixtures_runs import dataset, run  # noqa: F401 - fixtures
