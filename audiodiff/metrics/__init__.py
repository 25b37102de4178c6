"""Measurements of audio, with and without a reference.

- `meter`: `Meter`, every reference-free score of one signal, as a stream
- `loudness`: integrated loudness and true peak (BS.1770)
- `level`: silence, noise floor, agreement of the channels
- `clipping`: flat tops
- `bandwidth`: how far up the recording really reaches
- `dnsmos`: opinion scores of speech (P.835)
- `paired`: SI-SDR, log-spectral distance, alignment against a reference
- `streams`: what the streaming metrics share, framing and level histograms
"""
