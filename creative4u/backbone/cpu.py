"""Name the instruction set by which this process multiplies matrices, as oneDNN names it.

oneDNN takes the best set that the CPU has, or a smaller one that ONEDNN_MAX_CPU_ISA names before
torch is imported: that plays a smaller CPU.
"""

from __future__ import annotations

import os
import platform

import torch

LIMIT = "ONEDNN_MAX_CPU_ISA"
SETS = (  # oneDNN's names in its order, and what torch calls those that are told apart here
    ("AVX2", "avx2"), ("AVX2_VNNI", ""), ("AVX2_VNNI_2", ""), ("AVX512_CORE", "avx512_bw"),
    ("AVX512_CORE_VNNI", ""), ("AVX512_CORE_BF16", "avx512_bf16"), ("AVX512_CORE_FP16", ""),
    ("AVX512_CORE_AMX", "amx_bf16"),
)  # fmt: skip
NAMES = [name for name, _ in SETS]


def instruction_set() -> str:
    """AVX2, AVX512_CORE, AVX512_CORE_BF16 or AVX512_CORE_AMX; elsewhere the machine's own name."""
    known = torch.cpu.get_capabilities()
    limit = os.environ.get(LIMIT, "").upper()
    most = NAMES.index(limit) if limit in NAMES else len(SETS)
    has = [name for place, (name, flag) in enumerate(SETS) if place <= most and known.get(flag)]
    return has[-1] if has else platform.machine()


def multiplies_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 by itself."""
    return instruction_set() in ("AVX512_CORE_BF16", "AVX512_CORE_AMX")
