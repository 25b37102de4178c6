"""Paths, samplers and chunking: free functions under one convention, `model(x, y, t) -> x0`."""
