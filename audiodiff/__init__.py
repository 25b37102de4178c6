"""Audio curation, restoration and generation with diffusion models.

This package is the library: pure functions over audio, no orchestrator. It runs in a notebook or on a
bare GPU box. `tasks/` wraps it for Prefect, `flows/` is what a user runs.
"""

__version__ = "0.1.0"
