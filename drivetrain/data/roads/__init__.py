"""A recording's road: lanes by station, their borders and levels, what is drawn."""
