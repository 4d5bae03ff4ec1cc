"""Keep freed memory in the process instead of handing each large block back to the kernel.

A training step frees and takes the same large blocks again and again; glibc returns blocks over 32 MiB to the kernel
at each free, and fresh ones cost a page fault for every 4 KiB: about half of the processor time of a GAN step. Linux
with glibc only; elsewhere nothing is done. **Checked** in tests/training/test_training.py (page faults of a repeated
allocation).
"""

import ctypes
import platform

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h
KEEP_BYTES = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell glibc to reuse freed blocks of any size.

    Returns:
        True if the allocator took the settings; False where it is not glibc.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all(mallopt(option, KEEP_BYTES) == 1 for option in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD))
