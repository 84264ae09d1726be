from fixtures_drives import bank, constant_run, log_run, roads, rows, scenarios  # noqa: F401 - fixtures
