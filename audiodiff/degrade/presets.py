"""Named kinds of recording, each a list of steps: with what chance, which fault, within which limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from audiodiff.degrade.base import Fault
from audiodiff.degrade.channels import Azimuth, GainOffset, Imbalance
from audiodiff.degrade.codec import Codec
from audiodiff.degrade.crackle import Crackle, Scratch, Thumps
from audiodiff.degrade.digital import Alias, Quantise
from audiodiff.degrade.distortion import BandLimit, Clip, SlewLimit
from audiodiff.degrade.echo import PrintThrough
from audiodiff.degrade.equalise import Equalisation
from audiodiff.degrade.gaps import Dropouts, PacketLoss
from audiodiff.degrade.noise import Hiss, Hum, Noise
from audiodiff.degrade.room import Room
from audiodiff.degrade.speed import WowFlutter

Draw = Callable[[np.random.Generator], Fault]
Step = tuple[float, Draw]
"""The chance of a fault, and what draws it."""

FAMILIES: dict[str, type[Fault]] = {
    "room": Room,
    "clip": Clip,
    "slew": SlewLimit,
    "bandlimit": BandLimit,
    "equalisation": Equalisation,
    "noise": Noise,
    "print_through": PrintThrough,
    "wow_flutter": WowFlutter,
    "dropouts": Dropouts,
    "hum": Hum,
    "hiss": Hiss,
    "crackle": Crackle,
    "scratch": Scratch,
    "thumps": Thumps,
    "azimuth": Azimuth,
    "imbalance": Imbalance,
    "gain_offset": GainOffset,
    "alias": Alias,
    "quantise": Quantise,
    "codec": Codec,
    "packet_loss": PacketLoss,
}
"""Every simulated fault by name, in the order a recording suffers them: room, medium, playback, transfer."""


def within(family: type[Fault], **limits: tuple[float, float]) -> Draw:
    """A draw of the family with some fields drawn uniformly between narrower limits."""

    def draw(rng: np.random.Generator) -> Fault:
        fault = family.draw(rng)
        drawn = {name: float(rng.uniform(low, high)) for name, (low, high) in limits.items()}
        whole = {name: round(value) for name, value in drawn.items() if isinstance(getattr(fault, name), int)}
        return replace(fault, **drawn | whole)  # type: ignore[type-var]  # every fault is a dataclass

    return draw


def coded(*codecs: str) -> Draw:
    """A draw of one of the codecs at one of its bit rates."""
    return lambda rng: Codec.of(str(rng.choice(codecs)), rng)


PRESETS: dict[str, tuple[Step, ...]] = {
    "clean": (),
    "archive": (
        (0.2, Clip.draw), (0.35, BandLimit.draw), (0.5, Noise.draw), (0.2, Hum.draw), (0.3, Hiss.draw),
        (0.3, Crackle.draw),
    ),
    "shellac78": (
        (0.3, within(Clip, level_db=(4.0, 12.0))),
        (1.0, within(BandLimit, high_hz=(3_500.0, 8_000.0), low_hz=(60.0, 180.0), slope_db_per_octave=(12.0, 60.0))),
        (0.8, within(Equalisation, bass_hz=(200.0, 800.0), bass_db=(-12.0, 6.0), treble_db=(-6.0, 12.0))),
        (0.7, within(WowFlutter, wow_hz=(1.28, 1.33), wow_percent=(0.1, 1.0), flutter_percent=(0.02, 0.1))),
        (1.0, within(Noise, snr_db=(5.0, 25.0), tilt_db_per_octave=(-2.0, 0.5))),
        (1.0, within(Crackle, per_second=(10.0, 150.0), level_db=(-6.0, 8.0))),
        (0.4, within(Scratch, turns_per_minute=(77.9, 78.5))),
        (0.3, within(Thumps, level_db=(-5.0, 8.0))),
    ),
    "vinyl": (
        (0.5, within(WowFlutter, wow_hz=(0.55, 0.56), wow_percent=(0.03, 0.4), flutter_percent=(0.02, 0.08))),
        (0.8, within(Noise, snr_db=(25.0, 50.0), tilt_db_per_octave=(-6.0, -3.0))),
        (0.4, within(Hum, snr_db=(25.0, 50.0))),
        (1.0, within(Crackle, per_second=(0.5, 20.0), longest_ms=(0.1, 1.0))),
        (0.4, within(Scratch, turns_per_minute=(33.2, 33.5))),
        (0.3, within(Thumps, level_db=(-5.0, 5.0))),
        (0.3, within(Imbalance, difference_db=(-3.0, 3.0))),
    ),
    "cassette": (
        (0.4, within(Clip, level_db=(2.0, 10.0))),
        (1.0, within(BandLimit, high_hz=(7_000.0, 14_000.0), low_hz=(0.0, 60.0), slope_db_per_octave=(10.0, 60.0))),
        (0.5, within(Equalisation, bass_db=(-3.0, 3.0), treble_db=(-9.0, 6.0))),
        (0.8, within(WowFlutter, wow_percent=(0.05, 0.5), flutter_percent=(0.03, 0.3))),
        (0.4, Dropouts.draw),
        (1.0, within(Hiss, snr_db=(20.0, 45.0))),
        (0.3, within(Hum, snr_db=(25.0, 45.0))),
        (0.5, Azimuth.draw),
        (0.3, Imbalance.draw),
    ),
    "reel_hiss": (
        (0.3, within(Clip, level_db=(6.0, 12.0))),
        (0.4, within(BandLimit, high_hz=(10_000.0, 16_000.0), low_hz=(0.0, 40.0))),
        (0.4, within(Equalisation, bass_db=(-4.0, 4.0), treble_db=(-4.0, 4.0))),
        (0.5, PrintThrough.draw),
        (0.4, within(WowFlutter, wow_percent=(0.03, 0.15), flutter_percent=(0.02, 0.1))),
        (0.4, within(Dropouts, depth_db=(3.0, 25.0))),
        (1.0, within(Hiss, snr_db=(15.0, 40.0))),
        (0.3, within(Hum, snr_db=(25.0, 50.0))),
        (0.3, within(Azimuth, delay_us=(10.0, 60.0))),
    ),
    "telephone": (
        (0.3, Clip.draw),
        (1.0, within(BandLimit, high_hz=(3_000.0, 3_600.0), low_hz=(200.0, 350.0))),
        (0.6, within(Noise, snr_db=(10.0, 35.0))),
        (1.0, coded("gsm", "alaw", "mulaw", "amr")),
        (0.3, PacketLoss.draw),
    ),
    "radio_am": (
        (0.5, within(Clip, level_db=(2.0, 8.0))),
        (1.0, within(Noise, snr_db=(5.0, 30.0), tilt_db_per_octave=(-3.0, 0.0))),
        (0.7, within(Crackle, per_second=(1.0, 30.0), longest_ms=(0.5, 2.0))),
        (1.0, within(BandLimit, high_hz=(3_000.0, 5_500.0), low_hz=(60.0, 200.0))),
        (0.5, within(Hum, snr_db=(15.0, 40.0))),
    ),
    "voip": (
        (0.4, Room.draw),
        (0.3, Clip.draw),
        (0.6, within(Noise, snr_db=(10.0, 40.0))),
        (1.0, coded("opus", "g722", "gsm", "amr")),
        (0.7, PacketLoss.draw),
    ),
    "mp3_64k": ((1.0, lambda _: Codec("mp3", 64.0)),),
    "camcorder": (
        (0.7, Room.draw),
        (1.0, within(Noise, snr_db=(0.0, 25.0))),
        (0.3, within(Hum, snr_db=(15.0, 40.0))),
        (0.4, within(Clip, level_db=(4.0, 12.0))),
        (0.5, coded("aac", "mp3", "adpcm")),
    ),
    "field_recorder": (
        (0.3, Room.draw),
        (1.0, within(Noise, snr_db=(0.0, 25.0), tilt_db_per_octave=(-6.0, -2.0))),
        (0.5, Thumps.draw),
        (0.4, within(Clip, level_db=(2.0, 12.0))),
        (0.7, within(GainOffset, gain_db=(-30.0, 0.0))),
    ),
    "dictaphone": (
        (0.6, Room.draw),
        (1.0, within(Noise, snr_db=(5.0, 25.0))),
        (0.5, Clip.draw),
        (1.0, within(BandLimit, high_hz=(3_000.0, 5_000.0), low_hz=(100.0, 350.0))),
        (0.4, WowFlutter.draw),
        (0.5, coded("adpcm", "amr", "gsm")),
    ),
    "early_digital": ((0.6, Alias.draw), (0.8, Quantise.draw), (0.3, Clip.draw)),
    "web_copy": ((1.0, coded("mp3", "aac", "vorbis", "opus")), (0.5, coded("mp3", "aac", "vorbis", "opus"))),
} | {name: ((1.0, family.draw),) for name, family in FAMILIES.items()}  # fmt: skip
"""Every preset; a fault's own name draws just that fault."""
