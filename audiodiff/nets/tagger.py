"""The network of the sound tagger: several small convolutional nets whose logits are averaged."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class TaggerConfig:
    """Sizes: `classes` that are told apart, `nets` that vote, `widths` in channels, `embedding` of one net."""

    classes: int
    nets: int = 3
    widths: tuple[int, ...] = (24, 40, 80, 120)
    embedding: int = 21


class TaggerNet(nn.Module):
    """One net: a stem and stages of two convolutions, each at half the resolution of the one before."""

    def __init__(self, config: TaggerConfig) -> None:
        super().__init__()
        self.config = config
        stem, *stages = config.widths
        layers: list[nn.Module] = [nn.Conv2d(1, stem, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(stem)]
        layers.append(nn.ReLU())
        before = stem
        for width in stages:
            layers += [nn.MaxPool2d(2), *_convolution(before, width), *_convolution(width, width)]
            before = width
        self.body = nn.Sequential(*layers)
        self.dropout = nn.Dropout(0.2)
        self.narrow = nn.Linear(2 * before, config.embedding)
        self.head = nn.Linear(config.embedding, config.classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised log-mel windows (B, F, N) to logits (B, classes) and embeddings (B, embedding)."""
        planes = self.body(x.unsqueeze(1)).mean(dim=2)  # (B, C, N / 16): what is heard at which time
        pooled = torch.cat([planes.mean(dim=2), planes.amax(dim=2)], dim=1)  # (B, 2C)
        embedding = self.narrow(self.dropout(pooled))
        return self.head(torch.relu(embedding)), embedding


class TaggerNets(nn.Module):
    """The nets that vote."""

    def __init__(self, config: TaggerConfig) -> None:
        super().__init__()
        self.config = config
        self.nets = nn.ModuleList(TaggerNet(config) for _ in range(config.nets))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Windows (B, F, N) to mean logits (B, classes) and the nets' embeddings side by side (B, nets * embedding)."""
        logits, embeddings = zip(*(net(x) for net in self.nets), strict=True)
        return torch.stack(logits).mean(dim=0), torch.cat(embeddings, dim=1)


def _convolution(before: int, after: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
