"""The HTML report of a run, and the previews in it."""

from audiodiff.report.preview import Preview, make_preview, previews_from_parquet, previews_to_parquet
from audiodiff.report.render import RunSummary, render_report

__all__ = ["Preview", "RunSummary", "make_preview", "previews_from_parquet", "previews_to_parquet", "render_report"]
