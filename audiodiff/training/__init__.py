"""Training: packs of audio, degraded batches, the loop, and checkpoints."""
