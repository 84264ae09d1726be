"""Studies: many runs of one question, each trained and measured once, and a page that answers it."""
