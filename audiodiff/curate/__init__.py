"""From a pile of recordings to a dataset: examine each, decide over all, deliver what is kept."""
