"""Labelled pictures as others write them: a format a file, all give `Labelled`."""
