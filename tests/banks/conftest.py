from fixtures_runs import dataset, run, towns  # noqa: F401 - fixtures
