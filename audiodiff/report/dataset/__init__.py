"""The HTML report of a curated dataset, and the players in it."""

from audiodiff.report.dataset.player import Player, make_player
from audiodiff.report.dataset.render import DatasetSummary, render_dataset_report

__all__ = ["DatasetSummary", "Player", "make_player", "render_dataset_report"]
