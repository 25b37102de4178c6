"""Pipelines of diffusers with tiny, randomly initialised parts, saved to disk as their real ones are.

The configurations follow diffusers' own tests (`tests/pipelines/*/test_*.py`), at 8 kHz and with tokenizers made here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from diffusers.models.transformers.ace_step_transformer import AceStepTransformer1DModel
from diffusers.pipelines.ace_step import AceStepConditionEncoder
from diffusers.pipelines.stable_audio_3.modeling_stable_audio_3 import StableAudio3DurationEmbedder
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers.models.t5gemma.configuration_t5gemma import T5GemmaModuleConfig

RATE_HZ = 8_000
BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")  # in the order of a RoBERTa vocabulary
SPECIAL_NAMES = ("bos_token", "pad_token", "eos_token", "unk_token")
VOCABULARY = {token: index for index, token in enumerate([*SPECIAL, *BYTES])}


def byte_tokenizer(longest: int = 64) -> transformers.PreTrainedTokenizerFast:
    """Every byte is a token."""
    tokenizer = Tokenizer(models.BPE(dict(VOCABULARY), [], unk_token=SPECIAL[3]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = dict(zip(SPECIAL_NAMES, SPECIAL, strict=True))
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=longest, padding_side="right", **special
    )


def roberta_tokenizer() -> transformers.RobertaTokenizer:
    return transformers.RobertaTokenizer(vocab=dict(VOCABULARY), merges=[], model_max_length=64)


def t5_tokenizer() -> transformers.T5Tokenizer:
    letters = [(letter, -2.0) for letter in "▁abcdefghijklmnopqrstuvwxyz,"]
    return transformers.T5Tokenizer(
        vocab=[("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *letters], extra_ids=0, model_max_length=64
    )


def oobleck(latent_channels: int, ratios: tuple[int, int] = (4, 8)) -> diffusers.AutoencoderOobleck:
    return diffusers.AutoencoderOobleck(
        encoder_hidden_size=2 * latent_channels, downsampling_ratios=list(ratios), decoder_channels=3, audio_channels=2,
        decoder_input_channels=latent_channels, channel_multiples=[2, 4], sampling_rate=RATE_HZ,
    )  # fmt: skip


def stable_audio() -> diffusers.StableAudioPipeline:
    transformer = diffusers.StableAudioDiTModel(
        sample_size=250, in_channels=3, num_layers=2, attention_head_dim=4, num_key_value_attention_heads=2,
        out_channels=3, cross_attention_dim=4, time_proj_dim=8, global_states_input_dim=8, cross_attention_input_dim=4,
    )  # fmt: skip
    return diffusers.StableAudioPipeline(
        vae=oobleck(3),
        text_encoder=transformers.T5EncoderModel(
            transformers.T5Config(vocab_size=len(VOCABULARY), d_model=16, d_ff=32, d_kv=8, num_heads=2, num_layers=1)
        ),
        projection_model=diffusers.StableAudioProjectionModel(
            text_encoder_dim=16, conditioning_dim=4, min_value=0, max_value=32
        ),
        tokenizer=byte_tokenizer(),
        transformer=transformer,
        scheduler=diffusers.CosineDPMSolverMultistepScheduler(
            sigma_min=0.01, solver_order=2, prediction_type="v_prediction", sigma_data=1.0
        ),
    )


def stable_audio_3_parts(*, distilled: bool = False) -> dict[str, Any]:
    module = T5GemmaModuleConfig(
        vocab_size=len(VOCABULARY), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8, max_position_embeddings=64, sliding_window=64,
        layer_types=["full_attention", "full_attention"],
    ).to_dict()  # fmt: skip
    return {
        "transformer": diffusers.StableAudio3DiTModel(
            io_channels=8, patch_size=1, embed_dim=32, depth=2, num_heads=4, cond_token_dim=16, global_cond_dim=16,
            local_add_cond_dim=9, timestep_features_dim=16, ff_mult=2, num_memory_tokens=3,
            use_differential_attention=False,
        ),
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(
            num_train_timesteps=1, shift=1.0, stochastic_sampling=distilled
        ),
        "vae": diffusers.AutoencoderSAME(
            audio_channels=2, patch_size=8, encoder_channels=8, encoder_c_mults=(2,), encoder_strides=(4,),
            encoder_transformer_depths=(1,), latent_dim=8, use_differential_attention=False, dim_heads=4, ff_mult=2,
            sampling_rate=RATE_HZ,
        ),
        "tokenizer": byte_tokenizer(),
        "text_encoder": transformers.T5GemmaEncoderModel(
            transformers.T5GemmaConfig(encoder=module, decoder=module, is_encoder_decoder=False)
        ),
        "duration_embedder": StableAudio3DurationEmbedder(output_dim=16, fourier_dim=16),
    }  # fmt: skip


def vocoder() -> transformers.SpeechT5HifiGan:
    return transformers.SpeechT5HifiGan(
        transformers.SpeechT5HifiGanConfig(
            model_in_dim=8, sampling_rate=RATE_HZ, upsample_initial_channel=16, upsample_rates=[4, 8],
            upsample_kernel_sizes=[8, 16], resblock_kernel_sizes=[3, 7],
            resblock_dilation_sizes=[[1, 3, 5], [1, 3, 5]], normalize_before=False,
        )
    )  # fmt: skip


def mel_vae() -> diffusers.AutoencoderKL:
    return diffusers.AutoencoderKL(
        block_out_channels=[8, 16], in_channels=1, out_channels=1, norm_num_groups=8, latent_channels=4,
        down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2,
    )  # fmt: skip


def ddim() -> diffusers.DDIMScheduler:
    return diffusers.DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False
    )


CLAP_TEXT = {
    "vocab_size": len(VOCABULARY), "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
    "num_attention_heads": 2, "max_position_embeddings": 80, "projection_dim": 16, "pad_token_id": 1,
}  # fmt: skip


def clap() -> transformers.ClapModel:
    audio = {
        "window_size": 4, "num_mel_bins": 16, "spec_size": 64, "hidden_size": 32, "depths": [1, 1],
        "num_attention_heads": [2, 2], "patch_embeds_hidden_size": 16, "projection_dim": 16, "num_hidden_layers": 2,
    }  # fmt: skip
    return transformers.ClapModel(transformers.ClapConfig(text_config=CLAP_TEXT, audio_config=audio, projection_dim=16))


def clap_extractor() -> transformers.ClapFeatureExtractor:
    return transformers.ClapFeatureExtractor(feature_size=16, sampling_rate=RATE_HZ, hop_length=320, max_length_s=1)


def audioldm_2() -> diffusers.AudioLDM2Pipeline:
    language_model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(n_embd=16, n_head=1, n_layer=1, vocab_size=len(VOCABULARY), n_positions=99)
    )
    language_model.config.max_new_tokens = 8
    return diffusers.AudioLDM2Pipeline(
        vae=mel_vae(),
        text_encoder=clap(),
        text_encoder_2=transformers.T5EncoderModel(
            transformers.T5Config(vocab_size=40, d_model=32, d_ff=37, d_kv=8, num_heads=1, num_layers=1)
        ),
        projection_model=diffusers.AudioLDM2ProjectionModel(
            text_encoder_dim=16, text_encoder_1_dim=32, langauge_model_dim=16
        ),
        language_model=language_model,
        tokenizer=roberta_tokenizer(),
        tokenizer_2=t5_tokenizer(),
        feature_extractor=clap_extractor(),
        unet=diffusers.AudioLDM2UNet2DConditionModel(
            block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=8, sample_size=32, in_channels=4,
            out_channels=4, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), cross_attention_dim=((None, 16, 32), (None, 16, 32)),
        ),
        scheduler=ddim(),
        vocoder=vocoder(),
    )  # fmt: skip


def class_unet() -> diffusers.UNet2DConditionModel:
    """The U-Net of the first AudioLDM and of MusicLDM, which hears the text as a class."""
    return diffusers.UNet2DConditionModel(
        block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=8, sample_size=32, in_channels=4,
        out_channels=4, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), cross_attention_dim=(8, 16), attention_head_dim=4,
        class_embed_type="simple_projection", projection_class_embeddings_input_dim=16, class_embeddings_concat=True,
    )  # fmt: skip


def audioldm() -> diffusers.AudioLDMPipeline:
    return diffusers.AudioLDMPipeline(
        vae=mel_vae(),
        text_encoder=transformers.ClapTextModelWithProjection(transformers.ClapTextConfig(**CLAP_TEXT)),
        tokenizer=roberta_tokenizer(),
        unet=class_unet(),
        scheduler=ddim(),
        vocoder=vocoder(),
    )


def musicldm() -> diffusers.MusicLDMPipeline:
    return diffusers.MusicLDMPipeline(
        vae=mel_vae(),
        text_encoder=clap(),
        tokenizer=roberta_tokenizer(),
        feature_extractor=clap_extractor(),
        unet=class_unet(),
        scheduler=ddim(),
        vocoder=vocoder(),
    )


def ace_step(*, turbo: bool = False) -> diffusers.AceStepPipeline:
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "sliding_window": 16}
    encoder = AceStepConditionEncoder(
        hidden_size=32, intermediate_size=64, text_hidden_dim=32, timbre_hidden_dim=8,
        num_lyric_encoder_hidden_layers=1, num_timbre_encoder_hidden_layers=1, **heads,
    )  # fmt: skip
    torch.nn.init.normal_(encoder.silence_latent)
    return diffusers.AceStepPipeline(
        vae=oobleck(8, (16, 20)),  # 25 latent frames a second, as in the real one, for it hears 30 s of silence
        text_encoder=transformers.Qwen3Model(
            transformers.Qwen3Config(
                hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4,
                num_key_value_heads=2, head_dim=8, vocab_size=len(VOCABULARY), max_position_embeddings=512,
            )
        ),
        tokenizer=byte_tokenizer(512),
        transformer=AceStepTransformer1DModel(
            hidden_size=32, intermediate_size=64, num_hidden_layers=2, in_channels=24, audio_acoustic_hidden_dim=8,
            patch_size=2, is_turbo=turbo, **heads,
        ),
        condition_encoder=encoder,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=1.0),
    )  # fmt: skip


def longcat() -> diffusers.LongCatAudioDiTPipeline:
    return diffusers.LongCatAudioDiTPipeline(
        vae=diffusers.LongCatAudioDiTVae(
            in_channels=1, channels=16, c_mults=[1, 2], strides=[4, 4], latent_dim=8, encoder_latent_dim=16,
            downsampling_ratio=16, sample_rate=RATE_HZ,
        ),
        text_encoder=transformers.UMT5EncoderModel(
            transformers.UMT5Config(d_model=32, num_layers=1, num_heads=4, d_ff=64, vocab_size=len(VOCABULARY))
        ),
        tokenizer=byte_tokenizer(),
        transformer=diffusers.LongCatAudioDiTTransformer(
            dit_dim=64, dit_depth=2, dit_heads=4, dit_text_dim=32, latent_dim=8, text_conv=False
        ),
    )  # fmt: skip


PIPELINES: dict[str, Callable[[], Any]] = {
    "stable_audio": stable_audio,
    "stable_audio_3": lambda: diffusers.StableAudio3Pipeline(**stable_audio_3_parts()),
    "stable_audio_3_distilled": lambda: diffusers.StableAudio3InpaintPipeline(**stable_audio_3_parts(distilled=True)),
    "stable_audio_3_variations": lambda: diffusers.StableAudio3AudioToAudioPipeline(**stable_audio_3_parts()),
    "audioldm_2": audioldm_2,
    "audioldm": audioldm,
    "musicldm": musicldm,
    "ace_step": ace_step,
    "ace_step_turbo": lambda: ace_step(turbo=True),
    "longcat": longcat,
}


def save_pipeline(name: str, folder: Path) -> Path:
    """Save a pipeline whose weights are the same each time, and which hears all it is given; returns the folder."""
    torch.manual_seed(0)
    pipeline = PIPELINES[name]()
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            _wake(part)
    pipeline.save_pretrained(folder)
    return folder


def _wake(part: torch.nn.Module) -> None:
    """Fill weights that are initialised with zeros, for through zeros nothing passes."""
    with torch.no_grad():
        for parameter in part.parameters():
            if parameter.ndim > 1 and not parameter.any():
                parameter.normal_(std=0.1)
