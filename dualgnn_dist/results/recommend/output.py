"""Lists as a file that appears whole or not at all: Parquet, a row a user and item, or JSON lines, a line a user.

A Parquet file has the columns `user` and `item` (raw ids, int64 or string), `rank` (int32, from 1) and `score`
(float64): it joins with any table as it is. A JSON line is `{"user": .., "items": [..], "scores": [..]}`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.screen import CountProgress, Say
from dualgnn_dist.base.storage.files import written_whole
from dualgnn_dist.data.store.reader import Store
from dualgnn_dist.results.recommend.lists import Lists, table_of

Write = Callable[[np.ndarray, Lists], None]


def check_output(path: Path) -> None:
    """Refuses what could not be written, before anything is ranked.

    Raises:
        UserError: an ending that is not known, or something lies there already.
    """
    if path.suffix not in _WRITERS:
        raise UserError(f"--output {path}: the name must end in {' or '.join(_WRITERS)}")
    if path.exists():
        raise UserError(f"{path} is there already; remove it, or choose another name with --output")


def write_lists(path: Path, store: Store, blocks: Iterable[tuple[np.ndarray, Lists]], num_users: int, say: Say) -> None:
    """Writes the lists of blocks of users as they come, and says how far it is.

    Raises:
        UserError: it cannot be written.
    """
    progress, done = CountProgress(say, "lists", num_users, "users"), 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as temporary, _WRITERS[path.suffix](temporary, store) as write:
            for users, lists in blocks:
                write(users, lists)
                done += len(users)
                progress.at(done)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror or error}); choose another --output") from error


@contextmanager
def _parquet(path: Path, store: Store) -> Iterator[Write]:
    nobody = np.empty(0, dtype=np.int64)
    schema = table_of(store, "users", nobody, Lists(np.empty((0, 1), dtype=np.int32), np.empty((0, 1)))).schema
    with pq.ParquetWriter(path, schema) as writer:
        yield lambda users, lists: writer.write_table(table_of(store, "users", users, lists))


@contextmanager
def _json_lines(path: Path, store: Store) -> Iterator[Write]:
    def write(users: np.ndarray, lists: Lists) -> None:
        names = store.ids("users", users).to_pylist()
        places, ranks = np.nonzero(lists.items >= 0)
        items = store.ids("items", lists.items[places, ranks]).to_pylist()
        ends = np.cumsum((lists.items >= 0).sum(axis=1)).tolist()
        start = 0
        for row, (name, end) in enumerate(zip(names, ends, strict=True)):
            scores = lists.scores[row, : end - start].tolist()
            line = {"user": name, "items": items[start:end], "scores": scores}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            start = end

    with path.open("w", encoding="utf-8") as file:
        yield write


_WRITERS: dict[str, Callable[[Path, Store], contextlib.AbstractContextManager[Write]]] = {
    ".parquet": _parquet,
    ".jsonl": _json_lines,
}
