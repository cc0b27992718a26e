"""Run compiled loops side by side.

Loops that numba makes parallel itself take twice as long to compile, and keep threads of their own beside torch's.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch


def in_threads(loop: Callable[..., None], *arguments: Any) -> None:
    """Call loop(t, T, *arguments) for every t of T threads, as many as torch may use.

    Args:
        loop: compiled with `nogil`; does the pieces t, t + T, t + 2 T, … of its work.
        arguments: of the loop.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        loop(0, 1, *arguments)
    else:
        list(_pool(threads, os.getpid()).map(lambda thread: loop(thread, threads, *arguments), range(threads)))


@cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Return threads that wait for work; a forked process has none of those of its parent."""
    return ThreadPoolExecutor(threads)
