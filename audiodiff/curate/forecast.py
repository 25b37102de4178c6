"""What a run would come to, from a run on a sample."""

from __future__ import annotations

from dataclasses import dataclass

from audiodiff.report.dataset.render import DatasetSummary
from audiodiff.report.dataset.run import DatasetTally


@dataclass(frozen=True, slots=True)
class Forecast:
    """Yield, storage and time of a whole run. `lanes` are (lane, clips, hours) scaled up from `sampled` recordings."""

    recordings: int
    sampled: int
    hours: float
    lanes: tuple[tuple[str, int, float], ...]
    reasons: tuple[tuple[str, int], ...]
    stored_gb: float
    minutes: float

    @property
    def text(self) -> str:
        """The forecast in a few lines of markdown."""
        lanes = "\n".join(f"- {lane}: {clips:,} clips, {hours:.2f} h" for lane, clips, hours in self.lanes if clips)
        reasons = ", ".join(f"{reason} {clips:,}" for reason, clips in self.reasons)
        return (
            f"**Forecast** from {self.sampled:,} of {self.recordings:,} recordings ({self.hours:.2f} h of audio):\n\n"
            f"{lanes}\n\nOut because of: {reasons or 'nothing'}. Storage: {self.stored_gb:.2f} GB. "
            f"Time on this machine: {self.minutes:.0f} min. Copies are rarer in a sample than in the whole."
        )


def forecast(recordings: int, summary: DatasetSummary, tally: DatasetTally, stored_bytes: int) -> Forecast:
    """Scale a finished run on a sample up to all recordings; `stored_bytes` are those it left in its destination."""
    scale = recordings / max(summary.recordings, 1)
    return Forecast(
        recordings,
        summary.recordings,
        scale * summary.audio_s / 3600,
        tuple((lane, round(scale * clips), scale * seconds / 3600) for lane, clips, seconds in tally.lanes),
        tuple((reason, round(scale * clips)) for reason, clips in tally.reasons[:6]),
        scale * stored_bytes / 1e9,
        scale * summary.wall_s / 60,
    )
