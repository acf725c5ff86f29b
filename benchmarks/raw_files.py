"""Makes five raw data sets as users have them, of any size, with tastes that a model can learn.

    python benchmarks/raw_files.py FOLDER [--interactions 1000000] [--only shop movielens] [--seed 1]

shop       a web shop's events as JSON lines in gzipped parts, and a catalogue in Parquet
movielens  a zip with the files of ml-25m
microlens  pairs of user and video, titles, and features by video
amazon     reviews and a meta file of 2023, gzipped JSON lines
hive       a Parquet folder by date and country with 64-bit ids and nulls, and a catalogue larger than the log

Who likes what comes from the format `synthetic`; about a tenth of what is written beside it is noise that a filter of
the format leaves out (views, low ratings) or that must be dealt with (null users). Nothing grows with the interactions.
"""

from __future__ import annotations

import argparse
import gzip
import io
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1]))

from dualgnn_dist.data.prepare.formats.films import GENRES
from dualgnn_dist.data.prepare.formats.synthetic import SyntheticOptions, read_synthetic
from dualgnn_dist.data.prepare.raw_data import TokenLists

START, DAYS = 1_704_067_200_000, 240  # milliseconds, 2024-01-01
NOISE = 0.1
PARTS = 4  # that a block of users is written in, at least
COUNTRIES = ("at", "de", "it")
KINDS = ("cart", "buy", "like")


@dataclass(frozen=True)
class Tastes:
    """Interactions in blocks, and features of the items.

    Args:
        num_interactions: about so many.
        seed: of everything that is drawn.
    """

    num_interactions: int
    seed: int

    @cached_property
    def options(self) -> SyntheticOptions:
        """What the generator makes: 20 interactions a user, 50 and more an item."""
        num_users = max(self.num_interactions // 20, 20)
        num_items = min(max(self.num_interactions // 50, 150), 100_000)
        sizes = {"num_users": num_users, "num_items": num_items, "num_interactions": self.num_interactions}
        return SyntheticOptions(**sizes, num_topics=len(GENRES) - 1, missing_share=0.0, seed=self.seed)

    def blocks(self) -> Iterator[pl.DataFrame]:
        """Frames with `user`, `item`, `time` in milliseconds and `is_noise`; of noise the item is any."""
        for number, block in enumerate(read_synthetic(None, {}, self.options).blocks()):
            generator = np.random.default_rng((self.seed, number))
            noise = block.sample(fraction=NOISE, seed=self.seed)
            others = pl.Series("item", generator.integers(self.options.num_items, size=len(noise)), dtype=pl.Int32)
            rows = pl.concat([block, noise.with_columns(others)])
            times = START + generator.integers(DAYS * 86_400_000, size=len(rows))
            is_noise = np.arange(len(rows)) >= len(block)
            yield rows.with_columns(time=pl.Series(times), is_noise=pl.Series(is_noise)).sort("time")

    @cached_property
    def vectors(self) -> np.ndarray:
        """float32 [items, 64], which show a topic under noise."""
        blocks = read_synthetic(None, {}, self.options).modalities["visual"].blocks()
        return np.concatenate([block.values for block in blocks])

    @cached_property
    def words(self) -> pl.Series:
        """The words of every item, most of them of a topic."""
        blocks = read_synthetic(None, {}, self.options).modalities["textual"].blocks()
        texts = [cast(TokenLists, block.values) for block in blocks]
        lists = [pl.Series(np.split(text.tokens, text.offsets[1:-1])) for text in texts]
        return pl.concat(lists).cast(pl.List(pl.Int32))

    @property
    def topics(self) -> pl.Series:
        """The topic that the words show, of every item."""
        per_topic = self.options.vocabulary_size // self.options.num_topics
        return self.words.list.eval((pl.element() // per_topic).mode().min()).list.first().clip(0, len(GENRES) - 2)

    @property
    def titles(self) -> pl.Series:
        """The words as text."""
        return self.words.cast(pl.List(pl.String)).list.eval("w" + pl.element()).list.join(" ")


def shop(folder: Path, tastes: Tastes) -> None:
    """Events whose views are noise; ids are texts."""
    events = folder / "events"
    events.mkdir(parents=True)
    number = 0
    for block in tastes.blocks():
        kinds = pl.Series(np.random.default_rng((tastes.seed, number)).integers(len(KINDS), size=len(block)))
        is_view = pl.col("is_noise")
        rows = block.select(
            ts=pl.from_epoch("time", "ms").dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"),
            event=pl.when(is_view).then(pl.lit("view")).otherwise(kinds.replace_strict(range(len(KINDS)), KINDS)),
            user=pl.struct(id=pl.format("u-{}", "user")),
            item_id=_sku("item"),
            dwell_ms=pl.when(is_view).then(pl.col("time") % 2000).otherwise(3000 + pl.col("time") % 60_000),
        )
        size = -(-len(rows) // PARTS)
        for part in rows.iter_slices(size):
            text = io.BytesIO()
            part.write_ndjson(text)
            (events / f"part-{number:05}.jsonl.gz").write_bytes(gzip.compress(text.getvalue(), 1, mtime=0))
            number += 1
    items = pl.DataFrame({"item": np.arange(tastes.options.num_items)}).select(item_id=_sku("item"))
    _with_vectors(items, tastes).write_parquet(folder / "catalogue.parquet")


def movielens(folder: Path, tastes: Tastes) -> None:
    """Half stars; noise is rated below 3.5."""
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "ml-made.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("ml-made/ratings.csv", "w", force_zip64=True) as file:
            file.write(b"userId,movieId,rating,timestamp\n")
            for block in tastes.blocks():
                steps = pl.col("time") % 4
                rows = block.select(
                    userId=pl.col("user") + 1,
                    movieId=pl.col("item") + 1,
                    rating=pl.when("is_noise").then(0.5 + steps * 0.5).otherwise(3.5 + steps * 0.5),
                    timestamp=pl.col("time") // 1000,
                )
                file.write(rows.write_csv(include_header=False).encode())
        topics = tastes.topics
        genres = pl.Series([GENRES[1 + topic] for topic in topics.to_list()])
        ids = np.arange(1, len(topics) + 1)
        films = pl.DataFrame({"movieId": ids, "title": tastes.titles, "genres": genres}).with_columns(
            title=pl.format("{}, The ({})", "title", 1950 + pl.col("movieId") % 70),
            genres=pl.when(pl.col("movieId") % 50 == 0).then(pl.lit("(no genres listed)")).otherwise("genres"),
        )
        archive.writestr("ml-made/movies.csv", films.write_csv())
        archive.writestr("ml-made/README.txt", "Made data in the structure of ml-25m.\n")


def microlens(folder: Path, tastes: Tastes) -> None:
    """Videos from 1; noise is written like everything else, for the pairs have no rating."""
    features = folder / "extracted_modality_features"
    features.mkdir(parents=True)
    with (folder / "MicroLens-made_pairs.csv").open("wb") as file:
        file.write(b"user,item,timestamp\n")
        for block in tastes.blocks():
            rows = block.select(pl.col("user") + 1, pl.col("item") + 1, timestamp="time")
            rows.write_csv(file, include_header=False)
    titles = pl.DataFrame({"item": np.arange(1, tastes.options.num_items + 1), "title": tastes.titles})
    titles.write_csv(folder / "MicroLens-made_title_en.csv", include_header=False)
    np.save(features / "MicroLens-made_image_features.npy", tastes.vectors)


def amazon(folder: Path, tastes: Tastes) -> None:
    """Reviews with text; noise has one or two stars."""
    folder.mkdir(parents=True)
    with gzip.open(folder / "Made.jsonl.gz", "wb", compresslevel=1) as file:
        for block in tastes.blocks():
            stars = pl.col("time") % 2
            rows = block.select(
                rating=(pl.when("is_noise").then(1 + stars).otherwise(4 + stars)).cast(pl.Float64),
                title=pl.lit('It is "fine"'),
                text=pl.format("Bought it on day {}.\nWould do so again.", pl.col("time") // 86_400_000),
                images=pl.lit([], dtype=pl.List(pl.String)),
                asin=_asin("item"),
                parent_asin=_asin("item"),
                user_id=pl.format("AE{}", pl.col("user").cast(pl.String).str.zfill(26)),
                timestamp="time",
                helpful_vote=pl.col("time") % 3,
                verified_purchase=~pl.col("is_noise"),
            )
            rows.write_ndjson(cast(io.BytesIO, file))
    topics = pl.Series([GENRES[1 + topic] for topic in tastes.topics.to_list()])
    metas = pl.DataFrame({"item": np.arange(len(topics)), "title": tastes.titles, "topic": topics}).select(
        main_category=pl.lit("All Made"),
        title="title",
        average_rating=pl.lit(4.2),
        store=pl.format("Shop of {}", "topic"),
        categories=pl.concat_list(pl.lit("All Made"), "topic"),
        parent_asin=_asin("item"),
    )
    with gzip.open(folder / "meta_Made.jsonl.gz", "wb", compresslevel=1) as file:
        metas.write_ndjson(cast(io.BytesIO, file))


def hive(folder: Path, tastes: Tastes) -> None:
    """Ids of 64 bits, microseconds, a null user now and then; a catalogue of thrice the items."""
    for number, block in enumerate(tastes.blocks()):
        rows = block.select(
            user_id=pl.when(pl.col("time") % 200 != 0).then(_wide("user")),
            product_id=_wide("item"),
            event_time=pl.from_epoch("time", "ms").cast(pl.Datetime("us")),
            quantity=pl.when("is_noise").then(0).otherwise(1 + pl.col("time") % 3),
            date=pl.from_epoch("time", "ms").dt.strftime("%Y-%m-01"),
            country=pl.Series(COUNTRIES).gather(block["user"] % len(COUNTRIES)),
        )
        for (date, country), part in rows.group_by("date", "country", maintain_order=True):
            place = folder / "log" / f"date={date}" / f"country={country}"
            place.mkdir(parents=True, exist_ok=True)
            part.drop("date", "country").write_parquet(place / f"part-{number:05}.parquet")
    num_items = tastes.options.num_items
    known = _with_vectors(pl.DataFrame({"item": np.arange(num_items)}), tastes)
    unknown = known.with_columns(item=pl.col("item") + num_items)
    catalogue = pl.concat([known, unknown, unknown.with_columns(item=pl.col("item") + num_items)])
    catalogue = catalogue.with_columns(title=pl.concat([tastes.titles] * 3))
    catalogue.select(product_id=_wide("item"), title="title", vector="vector").write_parquet(
        folder / "catalogue.parquet"
    )


MAKERS: dict[str, Callable[[Path, Tastes], None]] = {
    maker.__name__: maker for maker in (shop, movielens, microlens, amazon, hive)
}


def _sku(column: str) -> pl.Expr:
    return pl.format("SKU-{}", pl.col(column).cast(pl.String).str.zfill(6))


def _asin(column: str) -> pl.Expr:
    return pl.format("B0{}", pl.col(column).cast(pl.String).str.zfill(8))


def _wide(column: str) -> pl.Expr:
    """Different numbers for different ones, far above 2^53."""
    return (1 << 61) + pl.col(column).cast(pl.Int64) * 1_000_003


def _with_vectors(items: pl.DataFrame, tastes: Tastes) -> pl.DataFrame:
    return items.with_columns(vector=pl.Series(tastes.vectors).arr.to_list())


def main() -> None:
    """Makes what is asked for and says where."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--interactions", type=int, default=1_000_000)
    parser.add_argument("--only", nargs="+", choices=MAKERS, default=list(MAKERS))
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    for name in arguments.only:
        MAKERS[name](arguments.folder / name, Tastes(arguments.interactions, arguments.seed))
        print(arguments.folder / name)


if __name__ == "__main__":
    main()
