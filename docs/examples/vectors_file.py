"""What the two scripts share: vectors are written part by part, and become one Parquet file when all are there.

A run of hours that is stopped goes on behind its last whole part when the same command is given again. The file itself
appears whole or not at all.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

VECTOR = "vector"
SECONDS_BETWEEN_LINES = 10


class VectorsFile:
    """A Parquet file of ids and vectors in the making.

    Args:
        path: the file; beside it lies `<path>.parts` until all is done.
        id_column: the name of its first column; the second is `vector`, null where the item has none.
        settings: whatever the vectors depend on; parts that were made with others are refused.
        overwrite: a file that is there already may be replaced.

    Raises:
        SystemExit: the file is there, or its parts were made with other settings.
    """

    def __init__(self, path: Path, id_column: str, settings: Mapping[str, Any], overwrite: bool = False) -> None:
        if path.suffix != ".parquet":
            raise SystemExit(f"{path}: the output must end with .parquet")
        if path.exists() and not overwrite:
            raise SystemExit(f"{path} is there already; give another name, or --overwrite")
        self.path, self.id_column = path, id_column
        self.folder = path.with_name(path.name + ".parts")
        made_with = self.folder / "settings.json"
        words = json.dumps(settings, indent=1, sort_keys=True)
        if made_with.exists() and made_with.read_text() != words:
            raise SystemExit(f"{self.folder} holds parts that were made with other settings; remove it to start anew")
        self.folder.mkdir(parents=True, exist_ok=True)
        made_with.write_text(words)
        self.num_parts = 0
        while self._part(self.num_parts).exists():
            self.num_parts += 1

    def add(self, ids: pa.Array, vectors: np.ndarray, present: np.ndarray) -> None:
        """Writes the next part.

        Args:
            ids: [N], integers or texts.
            vectors: float [P, D], of the items that have one, in their order.
            present: bool [N], which have one; P of them are true.

        Raises:
            SystemExit: as many vectors as items were expected, or a value is no finite number.
        """
        num_present = int(np.count_nonzero(present))
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        if vectors.ndim != 2 or len(vectors) != num_present:
            raise SystemExit(f"the encoder returned {list(vectors.shape)} for {num_present} items, not [items, D]")
        if not np.isfinite(vectors).all():
            raise SystemExit("the encoder returned a value that is NaN or infinite")
        lengths = np.where(present, vectors.shape[1], 0)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(vectors.ravel()), mask=pa.array(~present))
        part, scratch = self._part(self.num_parts), self.folder / "scratch"
        pq.write_table(pa.table({self.id_column: ids, VECTOR: lists}), scratch)
        os.replace(scratch, part)
        self.num_parts += 1

    def finish(self) -> dict[str, int]:
        """Joins the parts into the file and removes them. Returns how many items, vectors and columns there are."""
        parts = [self._part(index) for index in range(self.num_parts)]
        num_items = num_vectors = dimension = 0
        joined = self.folder / "joined"
        with pq.ParquetWriter(joined, pq.read_schema(parts[0])) as writer:
            for part in parts:
                table = pq.read_table(part)
                widths = set(table[VECTOR].drop_null().combine_chunks().value_lengths().to_pylist())
                if len(widths | ({dimension} if dimension else set())) > 1:
                    raise SystemExit(f"{part} holds vectors of another width; remove {self.folder} to start anew")
                dimension = next(iter(widths), dimension)
                num_items += len(table)
                num_vectors += len(table) - table[VECTOR].null_count
                writer.write_table(table)
        os.replace(joined, self.path)
        shutil.rmtree(self.folder)
        return {"items": num_items, "vectors": num_vectors, "columns": dimension}

    def _part(self, index: int) -> Path:
        return self.folder / f"{index:06d}.parquet"


class Progress:
    """Says on stderr how far it is: how many a second, and how long it still takes."""

    def __init__(self, total: int, done: int, what: str) -> None:
        self.total, self.first, self.what = total, done, what
        self.began = self.said = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.began

    def __call__(self, done: int) -> None:
        """`done` of them are done."""
        now = time.monotonic()
        if now - self.said < SECONDS_BETWEEN_LINES and done < self.total:
            return
        self.said = now
        rate = (done - self.first) / max(self.seconds, 1e-9)
        left = (self.total - done) / max(rate, 1e-9)
        words = f"{done:,} of {self.total:,} {self.what}, {rate:,.0f} a second"
        print(words + (f", {duration(left)} left" if done < self.total else ""), file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """In words: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def own_encoder(name: str) -> Callable[[Sequence[Any]], np.ndarray]:
    """The function that `module:function` names; a module beside the current folder is found too."""
    module, colon, function = name.partition(":")
    if not colon:
        raise SystemExit(f"--encoder {name}: give module:function")
    sys.path.append(os.getcwd())
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise SystemExit(f"--encoder {name}: {error}") from error
