"""What one controlled agent sees: one modality a file, all in the agent's own frame."""
