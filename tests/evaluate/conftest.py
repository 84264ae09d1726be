from fixtures_drives import bank, constant_run, log_run, roads, rows, scenarios  # noqa: F401 - fixtures
from fixtures_runs import towns  # noqa: F401 - a fixture
from fixtures_worlds import lived  # noqa: F401 - a fixture
