"""From a dataset's files to scenarios on disk. NumPy only: nothing here calls JAX's numerics or starts a backend.

    recordings   the neutral form of a drive, its file, smoothing, another time step
    readers      a package a dataset: files → recordings
    generating   recordings from a simulator
    roads        a recording's lanes by station, their levels, what is drawn
    routes       which lanes a path took, which it may use, how far along it is
    compile      Recording → Scenario: arrays of its own size, cropped and padded to a capacity
    store        shards and manifest; converting to them, loading, streaming and selecting from them

A room imports from those above it. Readers draw lanes themselves (`readers/centre_lines` where the source has none), so
they need nothing of `roads`; a clip is cut from a dataset's scenario, not from a recording, so it stands in `store`.
"""
