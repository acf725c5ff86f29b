"""Writers of every shape that a log or a matrix may come in."""

from __future__ import annotations

import bz2
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

Writer = Callable[[pl.DataFrame, Path], None]


def write_safetensors(path: Path, tensors: dict[str, tuple[str, np.ndarray]]) -> None:
    header: dict[str, Any] = {"__metadata__": {"made": "here"}}
    start = 0
    for name, (kind, array) in tensors.items():
        header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [start, start + array.nbytes]}
        start += array.nbytes
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(a.tobytes() for _, a in tensors.values()))


def compressed(write: Writer, kind: str) -> Writer:
    def run(frame: pl.DataFrame, path: Path) -> None:
        plain = path.with_suffix("")
        write(frame, plain)
        text = plain.read_bytes()
        packed = {
            "gzip": gzip.compress,
            "bz2": bz2.compress,
            "zstd": lambda text: pa.Codec("zstd").compress(text, asbytes=True),
        }[kind](text)
        if kind == "zstd":  # a frame that names its size, as the command line writes it
            with pa.CompressedOutputStream(str(path), "zstd") as file:
                file.write(text)
        else:
            path.write_bytes(packed)
        plain.unlink()

    return run


def arrow_stream(frame: pl.DataFrame, path: Path) -> None:
    table = frame.to_arrow()
    with pa.ipc.new_stream(str(path), table.schema) as stream:
        stream.write_table(table, max_chunksize=7)


CSV: Writer = pl.DataFrame.write_csv
JSON: Writer = pl.DataFrame.write_ndjson
WRITERS: dict[str, Writer] = {
    ".csv": CSV,
    ".tsv": lambda frame, path: frame.write_csv(path, separator="\t"),
    ".jsonl": JSON,
    ".parquet": lambda frame, path: frame.write_parquet(path, row_group_size=13),
    ".feather": lambda frame, path: frame.write_ipc(path, compression="zstd"),
    ".arrows": arrow_stream,
    ".csv.gz": compressed(CSV, "gzip"),
    ".jsonl.zst": compressed(JSON, "zstd"),
    ".tsv.bz2": compressed(lambda frame, path: frame.write_csv(path, separator="\t"), "bz2"),
}
