"""A tiny CLAP model really loaded and run, and a real local server that speaks the chat-completions protocol."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, ClapProcessor, PreTrainedTokenizerFast

from audiodiff.caption import Heard
from audiodiff.caption.audio_llm import CONFIDENCE, KEY, PROMPT, RATE_HZ, AudioLlmCaptioner, caption_in
from audiodiff.caption.clap import LABELS, TEMPLATE, ClapCaptioner, load_clap
from audiodiff.curate.records import Acoustics, Caption, Facts
from audiodiff.errors import ConfigError, EngineError
from audiodiff.metrics.meter import Meter
from audiodiff.waveform import Waveform

SPECIAL_NAMES = ("bos_token", "pad_token", "eos_token", "unk_token")
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")  # in the order of a RoBERTa vocabulary
UNKNOWN = SPECIAL[3]
SCORES = Meter(48_000, 1, dnsmos=False).scores()


def heard(sound: Waveform) -> Heard:
    return Heard("a0412.wav", sound, Facts(), SCORES, Acoustics())


def tone(hertz: float, seconds: float = 0.5, rate: int = 44_100) -> Waveform:
    wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return Waveform(np.stack([wave, wave]).astype(np.float32), rate)


def noise(seconds: float = 0.5) -> Waveform:
    samples = 0.1 * np.random.default_rng(0).standard_normal((1, round(seconds * 48_000)))
    return Waveform(samples.astype(np.float32), 48_000)


def save_clap(folder: Path, *, fusion: bool = False) -> Path:
    words = sorted({word for label in LABELS for word in TEMPLATE.format(label).replace(".", " .").split()})
    vocabulary = {word: index for index, word in enumerate([*SPECIAL, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **dict(zip(SPECIAL_NAMES, SPECIAL, strict=True)))
    extractor = ClapFeatureExtractor(
        feature_size=16, sampling_rate=16_000, fft_window_size=512, hop_length=320, max_length_s=1,
        truncation="fusion" if fusion else "rand_trunc", frequency_max=8_000,
    )  # fmt: skip
    text = {
        "vocab_size": len(vocabulary), "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
        "num_attention_heads": 2, "max_position_embeddings": 40, "projection_dim": 8,
    }  # fmt: skip
    audio = {
        "window_size": 4, "num_mel_bins": 16, "spec_size": 64, "hidden_size": 32, "depths": [1, 1],
        "num_attention_heads": [2, 2], "patch_embeds_hidden_size": 16, "projection_dim": 8, "num_hidden_layers": 2,
        "enable_fusion": fusion, "fusion_type": "aff_2d" if fusion else None,
    }  # fmt: skip
    torch.manual_seed(0)
    model = ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=8))
    model.save_pretrained(folder)
    ClapProcessor(extractor, fast).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def clap_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_clap(tmp_path_factory.mktemp("clap"))


def test_clap_agrees_with_the_model_itself(clap_folder: Path) -> None:
    captioner = ClapCaptioner(clap_folder, threshold=0.0)
    sounds = [tone(440.0), noise()]
    model, processor = ClapModel.from_pretrained(clap_folder), ClapProcessor.from_pretrained(clap_folder)
    audio = [sound.mono().resample(16_000).samples[0] for sound in sounds]
    texts = [TEMPLATE.format(label) for label in LABELS]
    inputs = processor(text=texts, audio=audio, sampling_rate=16_000, padding=True, return_tensors="pt")
    with torch.inference_mode():
        expected = model.eval()(**inputs).logits_per_audio.softmax(dim=-1)
    found = torch.stack(captioner.probabilities(sounds))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-3)
    best = [LABELS[int(index)] for index in expected.argmax(dim=-1)]
    assert [one.text for one in captioner.caption(list(map(heard, sounds))) if one] == best
    assert captioner.sha256 == hashlib.sha256((clap_folder / "model.safetensors").read_bytes()).hexdigest()


def test_clap_abstains(clap_folder: Path) -> None:
    silence = Waveform(np.zeros((1, 8_000), np.float32), 16_000)
    said = ClapCaptioner(clap_folder, threshold=0.0).caption([heard(silence), heard(noise())])
    assert said[0] is None
    assert said[1] is not None
    assert ClapCaptioner(clap_folder, threshold=min(1.0, said[1].confidence + 0.01)).caption([heard(noise())]) == [None]
    assert ClapCaptioner(clap_folder).caption([]) == []


def test_clap_hears_all_of_a_long_clip(clap_folder: Path) -> None:
    captioner = ClapCaptioner(clap_folder)
    parts = [tone(200.0, 1.0, 16_000), tone(4_000.0, 1.0, 16_000)]
    whole = Waveform(np.concatenate([part.samples for part in parts], axis=1), 16_000)
    expected = torch.stack(captioner.probabilities(parts)).mean(dim=0)
    torch.testing.assert_close(captioner.probabilities([whole] * 12), [expected] * 12)  # more than a batch holds


def test_clap_with_fusion_draws_nothing_at_random(tmp_path: Path) -> None:
    captioner = load_clap(str(save_clap(tmp_path, fusion=True)))
    sounds = [tone(440.0), noise(), tone(900.0)]
    first = captioner.probabilities(sounds)
    for _ in range(3):
        torch.testing.assert_close(captioner.probabilities(sounds), first)


@pytest.mark.parametrize("damaged", ["config.json", "model.safetensors"])
def test_clap_reads_no_damaged_model(clap_folder: Path, tmp_path: Path, damaged: str) -> None:
    folder = Path(shutil.copytree(clap_folder, tmp_path / "clap"))
    (folder / damaged).write_bytes((clap_folder / damaged).read_bytes()[:200])
    with pytest.raises(ConfigError, match="no CLAP model"):
        ClapCaptioner(folder)


@dataclass
class Script:
    """What the server is to answer, one entry a request: (status, body, headers, delay in seconds)."""

    answers: list[tuple[int, str, dict[str, str], float]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    running: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    def add(self, status: int = 200, body: str = "", delay_s: float = 0.0, **headers: str) -> None:
        self.answers.append((status, body, headers, delay_s))


def completion(content: str | None, **choice: Any) -> str:
    message = {"role": "assistant", "content": content, **choice.pop("message", {})}
    return json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop", **choice}]})


GOOD = completion('{"caption": "a dog barks twice"}')


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with script.lock:
                script.requests.append({"path": self.path, **body})
                script.headers.append(dict(self.headers))
                script.running += 1
                script.most = max(script.most, script.running)
                status, text, headers, delay_s = script.answers.pop(0)
            time.sleep(delay_s)
            with script.lock:
                script.running -= 1
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(text.encode())
            except ConnectionError:
                pass  # the client gave up

        def log_message(self, *_: Any) -> None:
            pass

    monkeypatch.delenv(KEY, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        script.url = f"http://127.0.0.1:{http.server_port}/v1"
        yield script
        http.shutdown()
        thread.join()


def ask(server: Script, sounds: int = 1, **settings: Any) -> list[Caption | None]:
    captioner = AudioLlmCaptioner(server.url, "listener", **{"wait_s": 0.02, **settings})
    return captioner.caption([heard(tone(440.0))] * sounds)


def test_the_model_is_sent_the_sound(server: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "secret")
    server.add(body=GOOD)
    long = tone(440.0, 31.0)
    captioner = AudioLlmCaptioner(server.url + "/", "listener")
    assert captioner.caption([heard(long)]) == [Caption("audio_llm", "a dog barks twice", CONFIDENCE)]
    request = server.requests[0]
    assert (request["path"], request["model"]) == ("/v1/chat/completions", "listener")
    assert server.headers[0]["Authorization"] == "Bearer secret"
    text, audio = request["messages"][0]["content"]
    assert text == {"type": "text", "text": PROMPT}
    assert (audio["type"], audio["input_audio"]["format"]) == ("input_audio", "wav")
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(audio["input_audio"]["data"])), dtype="float32")
    begun = Waveform(long.samples[:, : 30 * 44_100], 44_100)
    expected = begun.mono().resample(RATE_HZ).samples[0]
    assert rate == RATE_HZ
    assert len(samples) == 30 * RATE_HZ
    np.testing.assert_allclose(samples, expected, atol=1 / 32_768)


def test_no_key_is_no_header(server: Script) -> None:
    server.add(body=GOOD)
    ask(server)
    assert "Authorization" not in server.headers[0]


def test_a_busy_server_is_asked_again(server: Script) -> None:
    server.add(429, "slow down", Retry_After="1")
    server.add(503)
    server.add(body=GOOD)
    started = time.monotonic()
    assert ask(server) == [Caption("audio_llm", "a dog barks twice", CONFIDENCE)]
    assert time.monotonic() - started > 1.0
    assert len(server.requests) == 3


def test_a_broken_server_fails_the_shard(server: Script) -> None:
    for _ in range(3):
        server.add(500, "boom")
    with pytest.raises(EngineError, match="HTTP 500: 'boom'"):
        ask(server, tries=3)
    assert not server.answers


def test_a_refused_request_is_not_repeated(server: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "secret")
    server.add(401, "no such key")
    with pytest.raises(EngineError, match="HTTP 401") as caught:
        ask(server)
    assert "secret" not in str(caught.value)
    assert len(server.requests) == 1


def test_a_slow_server_is_not_waited_for(server: Script) -> None:
    server.add(body=GOOD, delay_s=0.8)
    server.add(body=GOOD)
    assert ask(server, timeout_s=0.3, tries=2) == [Caption("audio_llm", "a dog barks twice", CONFIDENCE)]
    server.add(body=GOOD, delay_s=0.8)
    with pytest.raises(EngineError, match="ReadTimeout"):
        ask(server, timeout_s=0.3, tries=1)


def test_nobody_there_is_an_error() -> None:
    captioner = AudioLlmCaptioner("http://127.0.0.1:9/v1", "listener", tries=2, wait_s=0.01)
    with pytest.raises(EngineError, match="ConnectError"):
        captioner.caption([heard(tone(440.0))])


def test_some_are_asked_at_once_and_stay_in_order(server: Script) -> None:
    for _ in range(8):
        server.add(body=GOOD, delay_s=0.1)
    assert len(ask(server, sounds=8, at_once=3)) == 8
    assert server.most == 3
    server.add(body=completion('{"caption": null}'))
    server.add(body=completion('{"caption": "rain"}'))
    assert ask(server, sounds=2, at_once=1) == [None, Caption("audio_llm", "rain", CONFIDENCE)]


@pytest.mark.parametrize(
    "body",
    [
        "", "<html>oops", "[]", "{}", '{"choices": []}', '{"choices": [{}]}',
        completion(None), completion(""), completion("A dog barks."), completion("null"), completion("[]"),
        completion('{"caption": null}'), completion('{"caption": ""}'), completion('{"caption": "..."}'),
        completion('{"caption": 7}'), completion('{"text": "rain"}'), completion('{"caption": "rain", "mood": "sad"}'),
        completion('{"caption": "rain"} I hope this helps'), completion('{"caption": "I\'m sorry, I cannot listen."}'),
        completion('{"caption": "Unable to process audio."}'), completion('{"caption": "' + "rain " * 100 + '"}'),
        completion('{"caption": "rain"}', finish_reason="length"),
        completion('{"caption": "rain"}', message={"refusal": "I will not."}),
    ],
)  # fmt: skip
def test_garbage_is_no_caption(body: str) -> None:
    assert caption_in(body) == ""


def test_a_fence_around_the_answer_is_taken_off() -> None:
    assert caption_in(completion('```json\n{"caption": "rain  on a roof"}\n```')) == "rain on a roof"
