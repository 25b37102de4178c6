"""The contact sheet of a generated library: an HTML page of its takes, and the players in it."""

from audiodiff.report.library.player import TakePlayer, make_take_player
from audiodiff.report.library.render import LibrarySummary, render_library_report

__all__ = ["LibrarySummary", "TakePlayer", "make_take_player", "render_library_report"]
