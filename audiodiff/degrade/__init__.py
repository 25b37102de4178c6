"""Degradation simulation: what recordings suffer, drawn apart from applied, so any damaged file can be made again.

A fault is a frozen dataclass. Its fields are the draw, which goes into the file's row; `Fault.draw(rng)` makes one;
`fault.apply(signal, sample_rate)` is deterministic. One module per family; `chain` composes and stores them.
"""
