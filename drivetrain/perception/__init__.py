"""Pictures → vehicles, lanes, things of any class: networks, decoding, training, scores."""
