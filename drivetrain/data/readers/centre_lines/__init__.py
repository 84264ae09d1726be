"""Lanes from centre lines, for data sets that draw no borders: what their readers share."""
