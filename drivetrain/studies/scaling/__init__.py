"""Size of the model × hours of data × steps: the questions of figures 5 and 6 of arXiv 2312.15122."""
