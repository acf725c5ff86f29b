"""An ordered map over independent blocks of work: the shape of it, and the one that needs no cluster.

What is mapped is a plain function of what all blocks share and of what makes a block, so that the same call runs in
threads of this process or as tasks of a cluster (`launch/ray_blocks`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

Handle = TypeVar("Handle")


class BlockMap(Protocol):
    """Runs `function(shared, *block)` for every block."""

    def __call__(self, function: Callable[..., Any], shared: Any, blocks: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Yields the results in the order of the blocks.

        At most a bounded number of blocks is under way or waits to be yielded, so that memory does not grow with their
        number; the next is taken from `blocks` when a result has been yielded.

        Args:
            function: of a module, so that another process finds it by its name.
            shared: what all blocks read and none changes; handed over once, however many blocks there are.
            blocks: the further arguments of each call: small, picklable.

        Raises:
            Exception: what `function` raised for the first of the blocks that failed, as it was raised.
        """
        ...


class ThreadMap:
    """A `BlockMap` in threads of this process: for functions that release the GIL."""

    def __init__(self, num_threads: int) -> None:
        assert num_threads >= 1
        self._num_threads = num_threads

    def __call__(self, function: Callable[..., Any], shared: Any, blocks: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """See `BlockMap`."""
        with ThreadPoolExecutor(self._num_threads) as pool:

            def submit(block: tuple[Any, ...]) -> Future[Any]:
                return pool.submit(function, shared, *block)

            yield from in_order(submit, Future.result, Future.cancel, blocks, 2 * self._num_threads)


def in_order(
    submit: Callable[[tuple[Any, ...]], Handle],
    collect: Callable[[Handle], Any],
    cancel: Callable[[Handle], Any],
    blocks: Iterable[tuple[Any, ...]],
    in_flight: int,
) -> Iterator[Any]:
    """Results in the order of the blocks, with at most `in_flight` of them begun and not yet yielded.

    When one fails, or when nobody wants further results, those that have not begun are cancelled.
    """
    pending: deque[Handle] = deque()
    try:
        for block in blocks:
            if len(pending) == in_flight:
                yield collect(pending.popleft())
            pending.append(submit(block))
        while pending:
            yield collect(pending.popleft())
    finally:
        for handle in pending:
            cancel(handle)
