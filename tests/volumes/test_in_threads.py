"""Loops in threads."""

import os
from collections.abc import Iterator

import pytest
import torch

from cryoarena.volumes.in_threads import in_threads

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


@pytest.fixture(params=(1, 3))
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def called() -> list[tuple[int, int]]:
    calls: list[tuple[int, int]] = []
    in_threads(lambda thread, count, into: into.append((thread, count)), calls)
    return sorted(calls)


def test_every_thread_has_its_share(threads: int) -> None:
    assert called() == [(thread, threads) for thread in range(threads)]


def test_an_error_of_a_thread_is_raised(threads: int) -> None:
    def loop(thread: int, count: int) -> None:
        if thread == count - 1:
            raise ArithmeticError("of the last thread")

    with pytest.raises(ArithmeticError, match="of the last thread"):
        in_threads(loop)


def test_a_forked_process_has_threads_of_its_own(threads: int) -> None:
    called()
    child = os.fork()
    if child == 0:
        os._exit(len(called()))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == threads
