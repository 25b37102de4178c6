"""Where the seconds of the input went: every second in one stage, in the order the stages take from it."""

from __future__ import annotations

from audiodiff.curate.records import Clip
from audiodiff.records import Lane

ACCEPTED = "accepted"
STAGES = ("unreadable", "silence or too short", "filtered", "duplicates", "leakage", "licence", ACCEPTED)

# What a reason's code holds, if its stage is not the filters.
_CODES = {
    "silen": "silence or too short",
    "short": "silence or too short",
    "no_voice": "silence or too short",
    "rest": "silence or too short",
    "duplicate": "duplicates",
    "leak": "leakage",
    "evaluation": "leakage",
    "licen": "licence",
    "attribution": "licence",
}


def stage_of(clip: Clip) -> str:
    """The stage that a stretch ended in: that of its first reason, in review as well as rejected."""
    if clip.lane is Lane.ACCEPTED:
        return ACCEPTED
    if clip.lane is Lane.FAILED:
        return "unreadable"
    code = clip.reasons[0] if clip.reasons else ""
    return next((stage for part, stage in _CODES.items() if part in code), "filtered")
