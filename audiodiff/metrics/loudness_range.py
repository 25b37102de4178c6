"""Loudness range, by FFmpeg."""

from __future__ import annotations

import math
from fractions import Fraction

import av
import numpy as np
from av.filter import Graph

from audiodiff.waveform import Waveform

_LRA_S = 4.0  # the 3 s windows of Tech 3342, and enough of them to differ


def loudness_range_lu(sound: Waveform) -> float:
    """Loudness range of (C, T) in LU by FFmpeg's `ebur128`, NaN below 4 s; source: EBU Tech 3342."""
    if sound.duration_s < _LRA_S:
        return math.nan
    heard = sound if sound.channels <= 2 else sound.mono()
    layout = "mono" if heard.channels == 1 else "stereo"
    graph, rate = Graph(), sound.sample_rate
    source = graph.add_abuffer(sample_rate=rate, format="flt", layout=layout, time_base=Fraction(1, rate))
    sink = graph.add("abuffersink")
    graph.link_nodes(source, graph.add("ebur128", "metadata=1:framelog=quiet"), sink).configure()
    metadata: dict[str, str] = {}
    for start in range(0, heard.frames, rate):
        packed = np.ascontiguousarray(heard.samples[:, start : start + rate].T).reshape(1, -1)  # (1, T C)
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
        frame.sample_rate, frame.pts = rate, start
        source.push(frame)
        metadata = _last_metadata(sink) or metadata
    if float(metadata.get("lavfi.r128.I", -70.0)) <= -70.0:  # nothing passed the gate
        return math.nan
    return float(metadata["lavfi.r128.LRA"])


def _last_metadata(sink: av.filter.FilterContext) -> dict[str, str]:
    metadata: dict[str, str] = {}
    while True:
        try:
            metadata = sink.pull().metadata
        except (BlockingIOError, av.error.EOFError):  # the filter wants more input
            return metadata
