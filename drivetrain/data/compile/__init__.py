"""Recording → Scenario: arrays of a recording's own size, cropped and padded to fixed shapes."""
