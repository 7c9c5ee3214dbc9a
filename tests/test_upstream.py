"""Check each private part of a library that the code leans on, one test a coupling.

A failure says what moved and which of our files uses it. Names are looked up, nothing is loaded.
"""

from __future__ import annotations

import importlib
import inspect
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# library, module, attribute path in it ("" for the module itself), the file of ours that uses it
NAMES = [
    ("transformers", "transformers.models.idefics3.modeling_idefics3",
     "Idefics3VisionTransformer.forward", "creative4u/backbone/vision.py"),
    ("transformers", "transformers.models.idefics3.modeling_idefics3",
     "Idefics3Model.get_image_features", "creative4u/moon/encoder/idefics3.py"),
    ("transformers", "transformers.models.idefics3.image_processing_pil_idefics3",
     "Idefics3ImageProcessorPil", "creative4u/backbone/compose.py"),
    ("transformers", "transformers.activations", "SiLUActivation",
     "creative4u/selector/decoding/batch_invariant.py"),
    ("transformers", "transformers.models.qwen2_5_vl.modeling_qwen2_5_vl",
     "Qwen2_5_VLModel.get_rope_index", "creative4u/moon/encoder/qwen2_5_vl.py"),
    ("transformers", "transformers.models.qwen2_5_vl.modeling_qwen2_5_vl",
     "Qwen2_5_VLModel.get_image_features", "creative4u/moon/encoder/qwen2_5_vl.py"),
    ("peft", "peft.tuners.lora", "LoraLayer", "rft/training/merge.py"),
    ("peft", "peft.tuners.lora.layer", "Linear.get_delta_weight", "rft/training/merge.py"),
    ("peft", "peft.utils", "ModulesToSaveWrapper", "rft/training/merge.py"),
    ("gradio", "gradio.data_classes", "ImageData", "app/visitors/uploads.py"),
    ("gradio", "gradio", "Image.async_move_resource_to_block_cache", "app/visitors/uploads.py"),
    ("gradio", "gradio", "File.async_move_resource_to_block_cache", "app/visitors/uploads.py"),
    ("efficientnet-lite-pytorch", "efficientnet_lite_pytorch", "EfficientNet",
     "creative4u/backbone/classifier.py"),
    ("ray", "ray.data.block", "BlockMetadata", "creative4u/serving/batch/ray_datasource.py"),
    ("vllm", "vllm.v1.core.encoder_cache_manager", "EncoderCacheManager.allocate",
     "creative4u/serving/bench/vllm_contenders.py"),
    ("vllm", "vllm.entrypoints.cli.main", "main", "creative4u/serving/server/vllm_cli.py"),
    ("fuxictr", "fuxictr.pytorch.models", "BaseModel", "creative4u/ctr/studies/peer_models.py"),
]  # fmt: skip


def moved(library: str, what: str, user: str) -> str:
    return f"{what} moved in {library} {version(library)}; we use it in {user}"


def found(module: str, path: str) -> bool:
    """Tell whether the attribute path is there."""
    try:
        place: object = importlib.import_module(module)
    except ModuleNotFoundError:
        return False
    for name in filter(None, path.split(".")):
        if not hasattr(place, name):
            return False
        place = getattr(place, name)
    return True


@pytest.mark.parametrize(
    ("library", "module", "path", "user"),
    NAMES,
    ids=[f"{path}-{Path(user).stem}" for _, _, path, user in NAMES],
)
def test_private_names(library: str, module: str, path: str, user: str) -> None:
    assert (ROOT / user).is_file(), f"{user} is gone: drop its row here"
    top = module.split(".")[0]
    if find_spec(top) is None:
        pytest.skip(f"{top} is an extra that is not installed")
    assert found(module, path), moved(library, f"{module}:{path}", user)


def test_a_name_that_is_gone_is_noticed() -> None:
    assert found("peft.utils", "ModulesToSaveWrapper")
    assert not found("peft.utils", "ModulesToSaveWrapper.no_such_method")
    assert not found("peft.no_such_module", "")


def test_transformers_passes_attention_names_by_the_config() -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    user = "creative4u/selector/decoding/packed_attention.py"
    assert isinstance(config._attn_implementation, str), moved(
        "transformers", "config._attn_implementation", user
    )
    numbers = [layer.self_attn.layer_idx for layer in model.model.layers]
    assert numbers == [0, 1], moved("transformers", "self_attn.layer_idx", user)


def test_trl_calls_a_rollout_function_and_reads_its_mask() -> None:
    from trl import GRPOTrainer

    user = "rft/training/rollout.py"
    parameters = inspect.signature(GRPOTrainer.__init__).parameters
    assert "rollout_func" in parameters, moved("trl", "GRPOTrainer(rollout_func=...)", user)
    source = inspect.getsource(inspect.getmodule(GRPOTrainer))  # type: ignore[arg-type]
    assert "env_mask" in source, moved("trl", "the rollout's env_mask", user)
    assert "self.vllm_generation" in source, moved(
        "trl", "GRPOTrainer.vllm_generation", "rft/training/grpo.py"
    )


def test_typer_derives_bad_parameters_from_usage_errors() -> None:
    import typer

    user = "creative4u/cli/console.py"
    names = [kind.__name__ for kind in typer.BadParameter.__mro__]
    assert names[1] == "UsageError", moved("typer", "BadParameter.__mro__[1]", user)
    from typer.core import TyperGroup

    assert "no_args_is_help" in inspect.signature(TyperGroup.__init__).parameters


def test_efficientnet_names_its_layers() -> None:
    from efficientnet_lite_pytorch import EfficientNet

    user = "creative4u/backbone/classifier.py"
    names = set(dict(EfficientNet.from_name("efficientnet-lite0").named_children()))
    wanted = {"_conv_stem", "_bn0", "_conv_head", "_bn1", "_blocks"}
    assert wanted <= names, moved("efficientnet-lite-pytorch", str(wanted - names), user)
