from fixtures_drives import bank, constant_run, log_run, rows, scenarios  # noqa: F401 - fixtures
