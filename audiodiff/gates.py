"""Rules that turn scores into accepted, review or rejected, each with a reason an archivist can read.

A gate is one row of a table; a preset is a tuple of gates. A score that is NaN does not apply and fails no gate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from audiodiff.errors import ConfigError
from audiodiff.records import Faithfulness, Lane, Scores

ANTIPHASE_CORRELATION = -0.9  # of 65 stereo files of the kit, bare vinyl hiss is lowest (-0.73), then music (-0.17)
LOUDER_LU = 3.0  # removing damage adds no energy; undoing clipping of an eighth of all samples added 2.3 LU
QUIETER_LU = 6.0  # noise as loud as the programme is 3 LU of it; more than twice that was programme
PEAK_LIMIT_DB = 0.0  # above full scale a fixed-point file or a player's converter clips
PEAK_MARGIN_DB = 0.1  # a source that was over already may stay there
BANDWIDTH_LOST = 0.35  # lets crackle at 24 kHz over a voice of 16.4 kHz go (0.32); half an octave is 0.29
TELEPHONE_HZ = 3_000.0  # whatever noise was removed, no programme is narrower than a telephone's
CLIPPED_MORE = 1e-4  # five flat samples in a second: below, a coincidence of equal samples
OPINION_DROP = 0.1  # the tolerance set for this project; the network is not exact enough for less
NOISE_RISE_DB = 1.0  # about the smallest step of level that is heard
NOISE_AUDIBLE_DB = -75.0  # below this, digital silence turned into dither is not a fault
NOISE_REMOVED_DB = 3.0  # from this on, the source's noise has been lowered and not just scattered
SILENCE_ADDED = 0.5  # cleaned pauses fall silent, and are seldom half of a recording; swallowed speech is
WORDS_KEPT = 0.35  # of 40 harmless changes the lowest is 0.39; other words of the same speaker reach 0.08
PITCH_MOVED = 0.3  # harmless changes move 1 % of frames at most, a semitone 94 % at least
ONSETS_MARGIN = -0.3  # noise at 5 dB and crackle removed from music go down to -0.26; 80 ms late is -0.28 to -1.3


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of an item when it is judged: both signals' scores and the decoder's reason codes.

    `left_alone`: nothing was restored, for there was no fault. `shift`: samples by which the restoration lags.
    `faithful` compares an excerpt of both, None if that was not done.
    """

    before: Scores
    after: Scores
    problems: tuple[str, ...] = ()
    left_alone: bool = False
    shift: int = 0
    faithful: Faithfulness | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """One rule: `reason` is the ledger's code, `explain` what the archivist reads.

    `fails` says whether the item goes to `lane`; `keep_original` that its source is the better copy.
    """

    reason: str
    lane: Lane
    explain: str
    fails: Callable[[Measured], bool]
    keep_original: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The worst lane of the failed gates, all their reasons in the gates' order, and which audio to publish."""

    lane: Lane
    reasons: tuple[str, ...]
    keep_original: bool


def judge(measured: Measured, preset: str) -> Verdict:
    """Hold an item against a preset's gates; raises `ConfigError` for an unknown preset.

    Rejected items show the output that was rejected; only items in review fall back on the original.
    """
    failed = [gate for gate in gates(preset) if gate.fails(measured)]
    lane = max((gate.lane for gate in failed), key=_SEVERITY.index, default=Lane.ACCEPTED)
    keep_original = lane is Lane.REVIEW and any(gate.keep_original for gate in failed)
    return Verdict(lane, tuple(gate.reason for gate in failed), keep_original)


def gates(preset: str) -> tuple[Gate, ...]:
    """Return a preset's gates; raises `ConfigError` listing the known presets."""
    if preset not in PRESETS:
        raise ConfigError(f"preset {preset!r} is unknown; known are {', '.join(sorted(PRESETS))}")
    return PRESETS[preset]


def explain(reason: str) -> str:
    """Return the sentence for a reason code, the code itself if no gate has it."""
    if reason.startswith("error:") and reason not in _EXPLANATIONS:
        return "Something went wrong that is not known to be the recording's fault; the next run tries it again."
    return _EXPLANATIONS.get(reason, reason)


def _problem(code: str) -> Callable[[Measured], bool]:
    return lambda m: code in m.problems


def _silent(scores: Scores) -> bool:
    return scores.silent_fraction >= 1


def _silenced(m: Measured) -> bool:
    return _silent(m.after) and not _silent(m.before)


def _loudness_moved(m: Measured) -> bool:
    change = m.after.lufs - m.before.lufs
    return change > LOUDER_LU or change < -QUIETER_LU


def _peak_over(m: Measured) -> bool:
    return m.after.true_peak_db > max(PEAK_LIMIT_DB, m.before.true_peak_db + PEAK_MARGIN_DB)


def _bandwidth_lost(m: Measured) -> bool:
    # Crackle and bursts of noise reach higher than the programme under them, so once the noise is lower a
    # narrower band is expected, down to a telephone's.
    denoised = m.before.noise_floor_db - m.after.noise_floor_db > NOISE_REMOVED_DB
    least_hz = m.before.bandwidth_hz * (1 - BANDWIDTH_LOST)
    return m.after.bandwidth_hz < (min(least_hz, TELEPHONE_HZ) if denoised else least_hz)


def _new_clipping(m: Measured) -> bool:
    return m.after.clipped_fraction - m.before.clipped_fraction > CLIPPED_MORE


def _noise_raised(m: Measured) -> bool:
    louder_db = max(0.0, m.after.lufs - m.before.lufs)  # turned up as a whole is the loudness gate's matter
    rise_db = m.after.noise_floor_db - m.before.noise_floor_db - louder_db
    return m.after.noise_floor_db > NOISE_AUDIBLE_DB and rise_db > NOISE_RISE_DB


def _silence_added(m: Measured) -> bool:
    return m.after.silent_fraction - m.before.silent_fraction > SILENCE_ADDED


def _opinion_dropped(m: Measured) -> bool:
    return m.before.dnsmos_ovrl - m.after.dnsmos_ovrl > OPINION_DROP


def _words_changed(m: Measured) -> bool:
    return m.faithful is not None and m.faithful.words < WORDS_KEPT  # NaN compares as false


def _pitch_changed(m: Measured) -> bool:
    return m.faithful is not None and m.faithful.pitch > PITCH_MOVED


def _onsets_changed(m: Measured) -> bool:
    return m.faithful is not None and m.faithful.onsets < ONSETS_MARGIN


_SEVERITY = (Lane.ACCEPTED, Lane.REVIEW, Lane.REJECTED, Lane.FAILED)

SOURCE_GATES = (
    Gate(
        "mislabelled",
        Lane.ACCEPTED,
        "The file's name or header says another format than it holds; it was read as what it is.",
        _problem("mislabelled"),
    ),
    Gate("truncated", Lane.REVIEW, "The file ends early; what there is was restored.", _problem("truncated")),
    Gate(
        "corrupt_frames",
        Lane.REVIEW,
        "Parts of the file could not be read and were left out or filled.",
        _problem("corrupt_frames"),
    ),
    Gate(
        "non_finite_samples",
        Lane.REVIEW,
        "The file holds values that are no numbers; they were read as silence.",
        _problem("non_finite_samples"),
    ),
    Gate(
        "silent_source",
        Lane.REVIEW,
        "The recording is silent throughout; there is nothing to restore.",
        lambda m: _silent(m.before),
        keep_original=True,
    ),
    Gate(
        "antiphase",
        Lane.REVIEW,
        "The two channels are in opposite phase and cancel in mono: probably a swapped lead.",
        lambda m: m.before.channel_correlation < ANTIPHASE_CORRELATION,
    ),
)

NOTES = (
    Gate(
        "left_alone",
        Lane.ACCEPTED,
        "No fault was found: the recording was left as it is, sample by sample.",
        lambda m: m.left_alone,
    ),
)

OUTPUT_GATES = (
    Gate(
        "non_finite_output",
        Lane.REJECTED,
        "The restoration produced values that are no numbers.",
        lambda m: math.isnan(m.after.true_peak_db),  # Meter: only then
    ),
    Gate("silent_output", Lane.REJECTED, "The restoration is silent, the recording is not.", _silenced),
)

NO_WORSE_GATES = (
    Gate(
        "shifted",
        Lane.REVIEW,
        "The restoration is late or early, or its polarity is reversed: a delay of the engine that is not made up for.",
        lambda m: m.shift != 0,
        keep_original=True,
    ),
    Gate(
        "loudness_moved",
        Lane.REVIEW,
        f"The restoration is more than {LOUDER_LU:g} LU louder or {QUIETER_LU:g} LU quieter than the recording.",
        _loudness_moved,
        keep_original=True,
    ),
    Gate(
        "peak_over",
        Lane.REVIEW,
        "The restoration's peaks are above full scale, and above the recording's.",
        _peak_over,
        keep_original=True,
    ),
    Gate(
        "bandwidth_lost",
        Lane.REVIEW,
        "The restoration is duller: high frequencies of the recording are gone.",
        _bandwidth_lost,
        keep_original=True,
    ),
    Gate(
        "new_clipping",
        Lane.REVIEW,
        "The restoration is clipped where the recording is not.",
        _new_clipping,
        keep_original=True,
    ),
    Gate(
        "noise_raised",
        Lane.REVIEW,
        "The restoration is noisier in its quiet passages than the recording.",
        _noise_raised,
        keep_original=True,
    ),
    Gate(
        "silence_added",
        Lane.REVIEW,
        "Much of the restoration is silent where the recording is not: words may be missing.",
        _silence_added,
        keep_original=True,
    ),
)

SPEECH_GATES = (
    Gate(
        "opinion_dropped",
        Lane.REVIEW,
        f"The restored speech is predicted to sound worse (DNSMOS down by more than {OPINION_DROP:g}).",
        _opinion_dropped,
        keep_original=True,
    ),
)

FAITHFUL_GATES = (
    Gate(
        "words_changed",
        Lane.REVIEW,
        "Words of the recording are not heard in the restoration, or others are.",
        _words_changed,
        keep_original=True,
    ),
    Gate(
        "pitch_changed",
        Lane.REVIEW,
        "The pitch of the restoration differs from the recording's.",
        _pitch_changed,
        keep_original=True,
    ),
    Gate(
        "onsets_changed",
        Lane.REVIEW,
        "Notes of the restoration begin earlier or later than in the recording.",
        _onsets_changed,
        keep_original=True,
    ),
)

_COMMON = SOURCE_GATES + NOTES + OUTPUT_GATES + NO_WORSE_GATES + FAITHFUL_GATES

PRESETS: dict[str, tuple[Gate, ...]] = {
    "archive": _COMMON,
    "speech": _COMMON + SPEECH_GATES,
}

_FAILURES = {
    "undecodable": "The file holds nothing that can be decoded as audio.",
    "empty": "The file is empty, or has a header and no samples.",
    "no_audio": "The file is readable and has no audio track.",
    "unsupported_channels": "The recording has more than eight channels, or none.",
    "unsupported_rate": "The sample rate is outside 8 to 192 kHz.",
    "missing": "The file could not be opened.",
    "error:missing": "The file was there when the run was planned and is gone; the next run looks again.",
}
"""What `MediaError` and vanished sources mean: items without audio, which no gate ever sees."""

_EXPLANATIONS = _FAILURES | {gate.reason: gate.explain for table in PRESETS.values() for gate in table}
