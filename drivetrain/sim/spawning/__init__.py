"""Where agents begin, one rule a file: as recorded, or anywhere on a map."""
