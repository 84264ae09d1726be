from fixtures_runs import dataset, errands, run, towns  # noqa: F401 - fixtures
