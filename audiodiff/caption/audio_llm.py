"""`AudioLlmCaptioner`: what a model behind an OpenAI-compatible endpoint hears."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import soundfile

from audiodiff.caption import Heard
from audiodiff.curate.records import Caption
from audiodiff.errors import ConfigError, EngineError
from audiodiff.waveform import Waveform

KEY = "AUDIODIFF_LLM_API_KEY"
"""The environment variable with the endpoint's key; without one no key is sent."""

PROMPT = """\
Describe what is heard in this recording in one English sentence of at most 25 words. Say only what can be heard: the \
source, what it does, and the surroundings. Do not guess names, places, reasons or moods, do not repeat spoken words, \
and do not mention the recording itself. Answer with JSON alone: {"caption": "..."}, or {"caption": null} if you hear \
nothing that you can name."""

CONFIDENCE = 0.6
"""Of every caption: such models give no probability, and what they say of themselves is none. As much as a title's."""

RATE_HZ = 16_000
"""What the listening models of Whisper's line take (Qwen2-Audio, Voxtral, Phi-4 multimodal)."""

LONGEST_S = 30.0
"""What one window of Whisper's encoder holds, which is 1.3 MB of base64."""

_RETRIED = frozenset({408, 409, 429, 500, 502, 503, 504, 529})
_LONGEST_WAIT_S = 60.0
_MOST_CHARACTERS = 300

_REFUSAL = re.compile(
    r"\b(?:i'?m sorry|i am sorry|sorry,|apologi[sz]e|as an ai|i (?:can'?t|cannot|am unable|'?m unable|do not|don'?t)|"
    r"unable to|cannot (?:hear|determine|describe)|no audio|not able to)",
    re.IGNORECASE,
)


class AudioLlmCaptioner:
    """Asks a chat-completions endpoint that takes `input_audio`, some clips at a time; its weights are not known.

    A refusal, an empty answer, or one that is not the JSON asked for is no caption. A busy or broken server is asked
    `tries` times, waiting `wait_s` and twice as long each time, or what `Retry-After` says; then, and at once for any
    other refusal of the request, it raises EngineError, which fails the shard: nothing goes uncaptioned unnoticed.
    """

    name = "audio_llm"
    sha256 = ""

    def __init__(
        self, url: str, model: str, *, at_once: int = 4, timeout_s: float = 120.0, tries: int = 5, wait_s: float = 1.0
    ) -> None:
        self.url, self.model = url.rstrip("/"), model
        self.at_once, self.timeout_s, self.tries, self.wait_s = at_once, timeout_s, tries, wait_s

    def caption(self, clips: Sequence[Heard]) -> list[Caption | None]:
        """What the model says of the first 30 s of each clip, None where it says nothing of use."""
        key = os.environ.get(KEY, "").strip()  # with a line end it would be quoted in an error
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        timeout = httpx.Timeout(self.timeout_s, connect=min(10.0, self.timeout_s))
        with (
            httpx.Client(headers=headers, timeout=timeout) as client,
            ThreadPoolExecutor(self.at_once) as threads,
        ):
            texts = list(threads.map(lambda heard: self._ask(client, heard.sound), clips))
        return [Caption(self.name, text, CONFIDENCE) if text else None for text in texts]

    def _ask(self, client: httpx.Client, sound: Waveform) -> str:
        audio = {"type": "input_audio", "input_audio": {"data": _wav_base64(sound), "format": "wav"}}
        content = [{"type": "text", "text": PROMPT}, audio]
        request = {"model": self.model, "temperature": 0, "messages": [{"role": "user", "content": content}]}
        return caption_in(self._post(client, request).text)

    def _post(self, client: httpx.Client, request: dict[str, Any]) -> httpx.Response:
        problem = ""
        for attempt in range(self.tries):
            wait_s = self.wait_s * 2.0**attempt
            try:
                response = client.post(f"{self.url}/chat/completions", json=request)
            except httpx.TransportError as error:  # no connection, none in time, one that broke
                problem = f"{type(error).__name__} {error}".strip()
            else:
                if response.is_success:
                    return response
                problem = f"HTTP {response.status_code}: {response.text[:200]!r}"
                if response.status_code not in _RETRIED:
                    break
                wait_s = _retry_after_s(response, wait_s)
            if attempt + 1 < self.tries:
                time.sleep(min(wait_s, _LONGEST_WAIT_S))
        raise EngineError(f"{self.url} with model {self.model!r} does not answer: {problem}")


def open_audio_llm(target: str) -> AudioLlmCaptioner:
    """The model of `https://host/v1#model`; ConfigError for any other form, and for a key within the URL."""
    url, _, model = target.partition("#")
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ConfigError(f"audio_llm takes https://host/v1#model: {error}") from error
    if parsed.userinfo or parsed.query:
        raise ConfigError(f"audio_llm takes https://host/v1#model; a key goes into the environment, as {KEY}")
    if parsed.scheme not in {"http", "https"} or not parsed.host or not model:
        raise ConfigError(f"audio_llm takes https://host/v1#model, not {target!r}")
    return AudioLlmCaptioner(url, model)


def caption_in(body: str) -> str:
    """The caption in a chat completion, "" unless it is the JSON asked for, complete, and no refusal."""
    try:
        choice = json.loads(body)["choices"][0]
        message = choice["message"]
        answer = json.loads(_unfenced(message["content"]))
    except (ValueError, LookupError, TypeError):
        return ""
    if message.get("refusal") or choice.get("finish_reason") not in {"stop", None}:
        return ""
    if not isinstance(answer, dict) or set(answer) != {"caption"} or not isinstance(answer["caption"], str):
        return ""
    text = " ".join(answer["caption"].split())
    usable = re.search(r"[^\W\d_]{2}", text) and len(text) <= _MOST_CHARACTERS and not _REFUSAL.search(text)
    return text if usable else ""


def _unfenced(content: str) -> str:
    """The text without the Markdown fence that models put around JSON."""
    return re.sub(r"^\s*```(?:json)?\s*\n(.*)\n\s*```\s*$", r"\1", content, flags=re.DOTALL)


def _retry_after_s(response: httpx.Response, otherwise_s: float) -> float:
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else otherwise_s


def _wav_base64(sound: Waveform) -> str:
    """The beginning of a clip as a 16-bit mono WAV, full scale if it is above."""
    start = Waveform(sound.samples[:, : round(LONGEST_S * sound.sample_rate)], sound.sample_rate)
    file = io.BytesIO()
    soundfile.write(file, start.mono().resample(RATE_HZ).samples[0], RATE_HZ, subtype="PCM_16", format="WAV")
    return base64.b64encode(file.getvalue()).decode()
