"""`amazon`: the review files of the McAuley lab, of 2014, 2018 and 2023, told apart by their first record.

JSON, one object a line: `reviewerID`, `asin`, `overall`, `unixReviewTime` until 2018; `user_id`, `parent_asin`, `asin`,
`rating`, `timestamp` in milliseconds in 2023. CSV: with the header `user_id,parent_asin,rating,timestamp` in 2023;
without one before, 2014 `user,item,rating,timestamp` and 2018 `item,user,rating,timestamp`. All may be compressed.

A modality is a key of the meta file whose values are texts or lists of them, as tokens (`categories`, `store`); a
`.b` file of image vectors of 2014, ten bytes of `asin` and 4096 float32 each; or a Parquet or `.npy` file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.formats.amazon_items import IDS, IMAGES, image_modality, meta_modality
from dualgnn_dist.data.prepare.formats.readers.columns import ColumnNames, read_columns
from dualgnn_dist.data.prepare.formats.readers.feature_files import FeatureFiles
from dualgnn_dist.data.prepare.raw_data import Modalities, ModalitySource, RawData, RawModality, Tally
from dualgnn_dist.data.prepare.reading import existing
from dualgnn_dist.data.prepare.tabular.json_lines import JsonLinesTable
from dualgnn_dist.data.prepare.tabular.plain import COMPRESSED, suffix_of
from dualgnn_dist.data.prepare.tabular.rows import Rows
from dualgnn_dist.data.prepare.tabular.text import TextTable

ENDINGS = (".json", ".jsonl", ".csv")
OF_2018 = {"user": "reviewerID", "item": "asin", "rating": "overall", "timestamp": "unixReviewTime"}
OF_2023 = {"user": "user_id", "rating": "rating", "timestamp": "timestamp"}
WITHOUT_HEADER = {"user": "user", "item": "item", "rating": "rating", "timestamp": "timestamp"}
ITEM = re.compile(r"(B[0-9A-Z]|[0-9]{2})[0-9A-Z]{8}")  # an ASIN, or the ISBN of a book
USER = re.compile(r"A[0-9A-Z]{8,}")


@dataclass(frozen=True, kw_only=True)
class AmazonOptions:
    """Which reviews are interactions, of what, and where the items are described.

    Args:
        min_rating: reviews with fewer stars are left out; null takes all.
        item_id: in the files of 2023, the product (`parent_asin`) or its variant (`asin`).
        meta: the meta file; null takes the only `meta_*` beside the reviews.
        item_column: the item id column of Parquet modalities; null: as `item_id`.
        item_id_files: modality -> file with the item id of every `.npy` row, one id a line.
    """

    min_rating: float | None = None
    item_id: Literal["parent_asin", "asin"] = "parent_asin"
    meta: str | None = None
    item_column: str | None = None
    item_id_files: dict[str, str] = field(default_factory=dict)


def read_amazon(input: str | None, modalities: Modalities, options: AmazonOptions) -> RawData:
    """See the module. Raises UserError for missing files, and for records that are no reviews."""
    if input is None:
        raise UserError("the format 'amazon' needs prepare.input, the file of the reviews")
    path = existing(Path(input))
    rows, names, words = _reviews(path, options.item_id)
    columns = ColumnNames(**names, min_rating=options.min_rating, ids=IDS)
    files = {
        name: source
        for name, source in modalities.items()
        if isinstance(source, ModalitySource) or source.endswith((".npy", ".parquet"))
    }
    features = FeatureFiles(
        folder=path.parent,
        files=files,
        item_id_files=options.item_id_files,
        item_column=options.item_column or options.item_id,
        ids=IDS,
        by_row=False,
    )
    others: dict[str, RawModality] = {}
    sources = [path, *features.sources]
    for name, what in modalities.items():
        if isinstance(what, ModalitySource) or name in files:
            continue
        if what.endswith(IMAGES):
            source = existing(path.parent / what)
            others[name] = image_modality(source)
        else:
            source = _meta(path, options.meta)
            others[name] = meta_modality(source, name, what)
        sources.append(source)
    return RawData(
        read_columns(rows, columns, tally := Tally([words])),
        {**features.read(), **others},
        tuple(dict.fromkeys(sources)),
        tallies=(tally,),
    )


def _reviews(path: Path, item_id: str) -> tuple[Rows, Mapping[str, Any], str]:
    """The reviews, what a column is -> its name there, and what the file was taken for."""
    ending = suffix_of(path)
    if ending not in ENDINGS:
        raise UserError(f"{path}: unknown ending, known are {', '.join(ENDINGS)}, and {', '.join(COMPRESSED)} behind")
    if ending == ".csv":
        return _table(path, item_id)
    records = JsonLinesTable(path)
    if "reviewerID" in records.columns:
        return records, OF_2018, "reviews as of 2014 and 2018"
    if "user_id" in records.columns:
        return records, {**OF_2023, "item": item_id}, "reviews as of 2023"
    keys = ", ".join(records.columns[:12])
    raise UserError(f"{path} holds no reviews: its objects have neither reviewerID nor user_id, but {keys}")


def _table(path: Path, item_id: str) -> tuple[Rows, Mapping[str, Any], str]:
    table = TextTable(path, ",")
    first = table.columns
    if "user_id" in first:
        return table, {**OF_2023, "item": item_id}, "reviews as of 2023"
    for order, left, right in ((("user", "item"), USER, ITEM), (("item", "user"), ITEM, USER)):
        if len(first) == 4 and left.fullmatch(first[0]) and right.fullmatch(first[1]):
            rows = TextTable(path, ",", names=(*order, "rating", "timestamp"))
            return rows, WITHOUT_HEADER, f"columns taken as {', '.join(rows.columns)}"
    raise UserError(
        f"{path}, line 1: {','.join(first)[:80]!r} is neither the header of 2023 nor a user and an item; "
        "write user_id,parent_asin,rating,timestamp in the order of the columns as the first line"
    )


def _meta(reviews: Path, meta: str | None) -> Path:
    if meta is not None:
        return existing(reviews.parent / meta)
    files = sorted(file for file in reviews.parent.glob("meta_*") if file.is_file())
    if len(files) != 1:
        names = ", ".join(file.name for file in files) or "none"
        raise UserError(f"{reviews.parent} must hold one meta_* file, there are: {names}; set prepare.options.meta")
    return files[0]
