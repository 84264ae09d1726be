"""Where the halves of an algorithm run. `local`: one process, one device."""
