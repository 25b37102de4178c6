"""The networks by name; each follows the denoiser convention of `audiodiff.diffusion`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from audiodiff.nets.bandsplit import BandSplit, BandSplitConfig
from audiodiff.nets.unet import UNet, UNetConfig

NetConfig = BandSplitConfig | UNetConfig
Net = BandSplit | UNet
"""What all share: `net(x, y, t) -> x0`, its `config`, its `reach` and its `stride` in frames, and being a module."""

NETS: dict[str, tuple[type[NetConfig], Callable[[Any], Net]]] = {
    "BandSplit": (BandSplitConfig, BandSplit),
    "UNet": (UNetConfig, UNet),
}
"""Name in a checkpoint to the sizes of a network and the network that is made of them."""


def new_net(config: NetConfig) -> Net:
    """The network of these sizes, initialised at random."""
    (make,) = [make for kind, make in NETS.values() if kind is type(config)]
    return make(config)
