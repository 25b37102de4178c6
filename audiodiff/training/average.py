"""Average two checkpoints of one network: what a last stage has gained, without all that it has forgotten.

`python -m audiodiff.training.average BEFORE AFTER OUT` writes the mean of their weights.
Source: Wortsman et al., "Model soups", arXiv:2203.05482; for a checkpoint and its own fine-tuning, arXiv:2109.01903.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from audiodiff.engines.checkpoint import load_restorer, save_restorer
from audiodiff.errors import ConfigError


def average(before: Path, after: Path, target: Path) -> None:
    """Write the checkpoint halfway between two; ConfigError if they are not of the same network and conventions."""
    first, second = load_restorer(before), load_restorer(after)
    ours, theirs = (
        (one.net.config, one.spectrum, one.bridge, one.sample_rate, one.level, one.doubt) for one in (first, second)
    )
    if ours != theirs:
        raise ConfigError(f"{before} and {after} differ in network, spectrum, bridge, rate, level or doubt")
    other = second.net.state_dict()
    first.net.load_state_dict({name: (tensor + other[name]) / 2 for name, tensor in first.net.state_dict().items()})
    save_restorer(first.net, first.spectrum, first.bridge, first.sample_rate, first.level, first.doubt, target)


def main() -> None:
    """Parse the arguments and average."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="checkpoint that a last stage began from")
    parser.add_argument("after", type=Path, help="checkpoint that it ended at")
    parser.add_argument("out", type=Path, help="checkpoint to write")
    args = parser.parse_args()
    average(args.before, args.after, args.out)


if __name__ == "__main__":
    main()
