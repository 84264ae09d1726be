"""Cross-entropy, draws and divergences over a large vocabulary whose logits are never held."""
