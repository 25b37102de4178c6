"""Integrated loudness and true peak by FFmpeg's `ebur128` filter, the implementation broadcasters use."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.filter import Graph

from audiodiff.metrics.streams import Samples

# The number of channels alone does not tell a layout; these carry the channel weights of BS.1770-4, table 3.
# A sixth channel is taken for an LFE and not counted, as in every 5.1 file.
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
_GATE_LUFS = -70.0  # BS.1770's absolute gate; the filter reports exactly this when nothing passed it
_MIN_S = 0.4  # one gating block
# The K filter is defined at 48 kHz; the filter's version of it for low rates reads 0.1 LU (16 kHz) to 0.2 LU
# (8 kHz) too loud, so those are resampled first.
_RESAMPLED_BELOW_HZ = 44_100


class Loudness:
    """Streams (C, T) blocks to a loudness and a true peak.

    Source: ITU-R BS.1770-4; gating as in EBU R 128, true peak by oversampling to 192 kHz (annex 2).
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._rate = sample_rate
        self._channels = channels
        self._layout = _LAYOUTS[channels]
        self._frames = 0
        self._sample_peak = 0.0
        self._metadata: dict[str, str] = {}
        self._graph = Graph()
        self._source = self._graph.add_abuffer(
            sample_rate=sample_rate, format="flt", layout=self._layout, time_base=Fraction(1, sample_rate)
        )
        self._sink = self._graph.add("abuffersink")
        resampling = [("aresample", "48000")] if sample_rate < _RESAMPLED_BELOW_HZ else []
        self._graph.link_nodes(
            self._source,
            *(self._graph.add(*named) for named in resampling),
            self._graph.add("ebur128", "metadata=1:peak=true:framelog=quiet"),
            self._sink,
        ).configure()

    def push(self, block: Samples) -> None:
        """Measure a block (C, T) of finite samples."""
        packed = np.ascontiguousarray(block.T).reshape(1, -1)  # (1, T C): PyAV 18.1 raises IndexError on 8 planes
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=self._layout)
        frame.sample_rate = self._rate
        frame.pts = self._frames
        self._frames += block.shape[1]
        self._sample_peak = max(self._sample_peak, float(np.abs(block).max()))
        self._source.push(frame)
        self._drain()

    def finish(self) -> tuple[float, float]:
        """Return LUFS and dBTP; ends the measurement.

        LUFS is NaN below 0.4 s (one gating block) and -inf if no block is louder than -70 LUFS; the true
        peak of digital silence is -inf.
        """
        heard_s = self._frames / self._rate
        # Zeros push out what is still inside the filters: first the resampler's few samples, which complete the
        # last gating block, then, once the loudness is read, the rest of a tenth of a second for its peak.
        self.push(np.zeros((self._channels, self._rate // 100), np.float32))
        lufs = float(self._metadata.get("lavfi.r128.I", _GATE_LUFS))
        self.push(np.zeros((self._channels, self._rate // 5), np.float32))
        # The filter prints linear peaks with three decimals; the sample peak keeps quiet recordings honest.
        peak = max(float(self._metadata.get("lavfi.r128.true_peak", 0)), self._sample_peak)
        true_peak_db = 20 * float(np.log10(peak)) if peak else -np.inf
        return (np.nan if heard_s < _MIN_S else lufs if lufs > _GATE_LUFS else -np.inf), true_peak_db

    def _drain(self) -> None:
        while True:
            try:
                self._metadata = self._sink.pull().metadata
            except (BlockingIOError, av.error.EOFError):  # the filter wants more input
                return
