"""The item ids of the modalities against those of the log: which of them the store has, and what is wrong with them.

Only ids are read for it, before anything is filtered, split or counted; where items without an interaction are kept,
the values too, since an item is kept for its content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.data.prepare.counting_sort import count
from dualgnn_dist.data.prepare.frames import pl
from dualgnn_dist.data.prepare.ids import IdTable
from dualgnn_dist.data.prepare.raw_data import Place, RawData, RawModality
from dualgnn_dist.data.prepare.reading import NAME_ITEMS

NUM_EXAMPLES = 3
# How ids that should be the same are written differently.
_SPELLINGS: dict[str, Callable[[pl.Series], pl.Series]] = {
    "in lower case": lambda ids: ids.str.to_lowercase(),
    "without the spaces around them": lambda ids: ids.str.strip_chars(),
    "without zeros in front": lambda ids: ids.str.strip_chars_start("0"),
    "without '.0' at the end": lambda ids: ids.str.strip_suffix(".0"),
}


@dataclass
class Overlap:
    """The rows of one modality by whose items they name.

    Args:
        counts: int32 [items of the log], how many rows name each.
        num_rows: of all items.
        others: hashes of the ids that the log does not name.
        first_other: where the first of them stands, in words.
        row_keyed: as of `RawModality`.
    """

    counts: np.ndarray
    num_rows: int = 0
    others: list[pl.Series] = field(default_factory=list)
    first_other: str = ""
    row_keyed: bool = False

    @property
    def num_others(self) -> int:
        """The rows of items that the log does not name."""
        return sum(map(len, self.others))

    def words(self) -> str:
        """What a reader of the screen is told."""
        words = f"{np.count_nonzero(self.counts):,} of {len(self.counts):,} items of the log have a row"
        if self.num_others:
            words += f"; {self.num_others:,} rows name items that are not in the log"
            words += ", where row numbers are taken for item ids" if self.row_keyed else ""
        return words


@dataclass(frozen=True)
class Catalogue:
    """The items that the store may have.

    Args:
        ids: of the items that the log names, and of all with content where they are kept.
        is_named: bool [ids], whether a modality has a row of the item.
        has_content: bool [ids], whether a modality has a value of the item; None where that does not matter.
        num_others: how many items the modalities name that are not among `ids`.
        overlaps: by modality.
    """

    ids: IdTable
    is_named: np.ndarray
    has_content: np.ndarray | None
    num_others: int
    overlaps: Mapping[str, Overlap]

    def counts(self, items: np.ndarray, of_interactions: np.ndarray, note: Callable[[str], None]) -> dict[str, int]:
        """How many items the modalities name, are left out of a store, and are in it without an interaction; says so.

        Args:
            items: those of the store, as rows of `ids`.
            of_interactions: the items of the interactions, as rows of the store.
        """
        num_items = int(np.count_nonzero(self.is_named)) + self.num_others
        num_left_out = num_items - int(np.count_nonzero(self.is_named[items]))
        if num_left_out:
            note(f"left out {num_left_out:,} of {num_items:,} catalogue items without an interaction")
        num_cold = 0
        if self.has_content is not None:
            num_cold = int(np.count_nonzero(count(of_interactions, len(items)) == 0))
            note(f"{num_cold:,} items have content and no interaction")
        return {"items": num_items, "left_out": num_left_out, "kept_cold": num_cold}


def match(raw: RawData, log: IdTable, keep: bool) -> Catalogue:
    """Reads the ids of all modalities.

    Args:
        log: the items that the interactions name.
        keep: items with content stay whether they have an interaction or not.

    Raises:
        UserError: ids that occur more than once, none of the log's, no row for an item where rows are items; names all
            modalities in which something is wrong.
    """
    overlaps: dict[str, Overlap] = {}
    problems: list[str] = []
    for name, modality in raw.modalities.items():
        try:
            overlaps[name] = _overlap(modality, log)
            problems += _problems(name, modality, overlaps[name], log, raw.ids_are_rows, keep)
        except UserError as error:
            problems.append(f"modality {name!r}: {error}")
    if problems:
        raise UserError("; ".join(problems))
    ids, has_content = _with_content(raw, log) if keep else (log, None)
    is_named = np.zeros(len(ids), dtype=bool) if has_content is None else has_content.copy()
    rows = np.arange(len(log)) if ids is log else ids.rows(log.ids)
    for overlap in overlaps.values():
        is_named[rows[overlap.counts > 0]] = True
    others = [hashes for overlap in overlaps.values() for hashes in overlap.others]
    num_others = pl.concat(others).n_unique() if others else 0
    return Catalogue(ids, is_named, has_content, num_others - (len(ids) - len(log)), overlaps)


def _overlap(modality: RawModality, log: IdTable) -> Overlap:
    overlap = Overlap(np.zeros(len(log), dtype=np.int32), row_keyed=modality.row_keyed)
    for items, place in _ids(modality):
        rows = log.rows(items)
        unknown = rows < 0
        overlap.num_rows += len(rows)
        np.add.at(overlap.counts, rows[~unknown], 1)
        if unknown.any():
            overlap.first_other = overlap.first_other or place(int(unknown.argmax()))
            overlap.others.append(items.filter(pl.Series(unknown)).hash())
    return overlap


def _problems(
    name: str, modality: RawModality, overlap: Overlap, log: IdTable, ids_are_rows: bool, keep: bool
) -> Iterator[str]:
    """Sentences without their full stops."""
    missing = np.flatnonzero(overlap.counts == 0)
    if modality.row_keyed and len(missing):
        yield (
            f"modality {name!r} has {overlap.num_rows:,} rows, which are taken for the items of their numbers, but "
            f"{len(missing):,} of {len(log):,} items lack a row: {_examples(log.ids.gather(missing))}"
            + ("" if ids_are_rows else f"; {NAME_ITEMS.format(name=name, file=Path(file_of(modality)).name)}")
        )
    elif overlap.num_rows == 0:
        yield f"modality {name!r} has no value for any item; leave it out of prepare.modalities"
    elif len(missing) == len(log):
        yield _strangers(name, modality, overlap, log)
    if ids_are_rows and overlap.num_others:
        yield (
            f"modality {name!r} has {overlap.num_others:,} rows of items that are in no interaction, the first is "
            f"{overlap.first_other}; remove them"
        )
    is_repeated = overlap.counts > 1
    may_repeat = keep and bool(overlap.others) and bool(pl.concat(overlap.others).is_duplicated().any())
    if is_repeated.any() or may_repeat:
        repeated = _repeated(modality, log, log.ids.filter(pl.Series(is_repeated)), keep)
        if len(repeated):
            places = _places(modality, repeated.head(NUM_EXAMPLES))
            yield (
                f"modality {name!r}: {len(repeated):,} item ids occur more than once, keep one row of each: "
                f"{', '.join(places)}{', ...' if len(repeated) > NUM_EXAMPLES else ''}"
            )


def _strangers(name: str, modality: RawModality, overlap: Overlap, log: IdTable) -> str:
    ids = next(items for items, _ in _ids(modality) if len(items))
    words = (
        f"modality {name!r}: none of the {overlap.num_rows:,} ids of {file_of(modality)} is an item of the log; the "
        f"log has {_examples(log.ids)}, the file {_examples(ids)}"
    )
    if ids.dtype == pl.String and log.ids.dtype == pl.String:
        for how, spelled in _SPELLINGS.items():
            if spelled(ids).is_in(spelled(log.ids).implode()).any():
                return f"{words}; {how} they would match"
    return words


def _repeated(modality: RawModality, log: IdTable, of_log: pl.Series, keep: bool) -> pl.Series:
    """The ids of more than one row, those of the log first."""
    if not keep:
        return of_log
    others = pl.concat([items.filter(pl.Series(log.rows(items) < 0)) for items, _ in _ids(modality)])
    return pl.concat([of_log, others.filter(others.is_duplicated()).unique(maintain_order=True).cast(of_log.dtype)])


def _places(modality: RawModality, wanted: pl.Series) -> list[str]:
    """An id that occurs more than once, and the first two places of it, in words."""
    places: dict[object, list[str]] = {id: [] for id in wanted.to_list()}
    for items, place in _ids(modality):
        is_wanted = items.is_in(wanted.implode())
        for row in np.flatnonzero(is_wanted.to_numpy()).tolist():
            if len(places[items[row]]) < 2:
                places[items[row]].append(place(row))
    return [f"{id!r} ({first} and {second.rpartition(', ')[2]})" for id, (first, second) in places.items()]


def _with_content(raw: RawData, log: IdTable) -> tuple[IdTable, np.ndarray]:
    """The items of the log and all with content, and which have content."""
    items = log.ids.clear()
    for modality in raw.modalities.values():
        parts: list[pl.Series] = [items]
        for block in modality.blocks():
            named = block.items_or_rows
            parts.append(named if block.present is None else named.filter(pl.Series(block.present)))
        items = pl.concat(part.cast(log.ids.dtype) for part in parts).unique()
    ids = log if raw.ids_are_rows else IdTable(pl.concat([log.ids, items]).unique().sort().alias("id"))
    has_content = np.zeros(len(ids), dtype=bool)
    has_content[ids.rows(items)] = True
    return ids, has_content


def _ids(modality: RawModality) -> Iterable[tuple[pl.Series, Place]]:
    """The ids of all rows in blocks, with their places in words."""
    if modality.items is not None:
        yield from modality.items()
        return
    for block in modality.blocks():
        place = block.place or (lambda row, first=block.first_row: modality.place(first + row))  # type: ignore[misc]
        yield block.items_or_rows, place


def file_of(modality: RawModality) -> str:
    """Where a modality comes from, in words."""
    return modality.place(0).rpartition(", ")[0]


def _examples(ids: pl.Series) -> str:
    more = ", ..." if len(ids) > NUM_EXAMPLES else ""
    return ", ".join(map(repr, ids.head(NUM_EXAMPLES).to_list())) + more
