"""Precision: whether a processor has instructions for bf16, so that it multiplies it faster than fp32."""

import torch


def has_fast_bf16(accelerator: str) -> bool:
    """Tell whether bf16 has instructions of its own there (AVX-512 BF16 or AMX; CUDA from Ampere)."""
    if accelerator == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported() and torch.cpu._is_avx512_bf16_supported())
