"""Which column is which: by its name, and where names say nothing, by what stands in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from dualgnn_dist.data.prepare.inspect.profile import ColumnProfile
from dualgnn_dist.data.prepare.raw_data import SPLIT_CODES

# What a column is -> names that say so, the likeliest first.
NAMES = {
    "user": "user customer viewer visitor member account client reviewer buyer shopper reader listener player "
    "subscriber learner student patient guest profile person uid session",
    "item": "item product movie film video parent_asin asin sku article isbn book song track artist album game app "
    "news post photo recipe restaurant business venue poi place location hotel job ad offer course listing "
    "merchant content iid goods object",
    "timestamp": "timestamp time ts datetime moment unix when date day",
    "rating": "rating stars star score overall grade rate",
    "event": "event event_type action behavior behaviour interaction activity verb type kind",
    "split": "split part x_label partition fold",
}
WORDS = {what: names.split() for what, names in NAMES.items()}
ENDS_OF_IDS = ("id", "ids", "key", "code", "no", "nr", "number", "num", "hash", "uuid", "guid", "pk", "idx", "index")
DURATIONS = {"watch", "play", "dwell", "view", "reading", "read", "listen", "spent", "duration", "elapsed", "length"}
AMOUNTS = DURATIONS | {"quantity", "qty", "count", "amount", "price", "num", "number", "age"}
DAYS = ("date", "day")  # a column of moments says more
UNITS = {"s", "sec", "seconds", "ms", "millis", "us", "ns", "utc", "gmt", "unix", "epoch"}  # behind names of times
BY_NAME = "by its name"
MAX_RATING = 100
MAX_EVENTS = 32


@dataclass(frozen=True)
class Role:
    """A column that was chosen, and why."""

    column: str
    why: str


def roles_of(profiles: Mapping[str, ColumnProfile]) -> dict[str, Role]:
    """What a column is -> the column; without those that none can be."""
    roles: dict[str, Role] = {}

    def choose(what: str, fits: Callable[[ColumnProfile], bool]) -> None:
        taken = {role.column for role in roles.values()}
        free = {name: rank for name in profiles if name not in taken and (rank := _rank(name, what)) is not None}
        fitting = [name for name in free if fits(profiles[name])]
        if fitting:
            roles[what] = Role(min(fitting, key=free.__getitem__), BY_NAME)

    choose("user", lambda column: column.are_ids)
    choose("item", lambda column: column.are_ids)
    choose("split", _are_splits)
    choose("timestamp", _are_times)
    choose("rating", _are_ratings)
    choose("event", lambda column: not column.are_numbers and 1 < len(column.kinds or ()) <= MAX_EVENTS)
    _by_content(profiles, roles)
    order = ("user", "item", "timestamp", "rating", "event", "split")
    return {what: roles[what] for what in order if what in roles}


def named_times(profiles: Mapping[str, ColumnProfile]) -> list[str]:
    """The columns whose names say that they hold times, though they hold texts that are none."""
    texts = [name for name, column in profiles.items() if column.words == "text"]
    return [name for name in texts if _rank(name, "timestamp") is not None]


def item_column(names: Collection[str], known: str | None) -> str | None:
    """The column of a catalogue that holds the item ids: as the log calls it, else by its name."""
    if known in names:
        return known
    ranks = {name: rank for name in names if (rank := _rank(name, "item")) is not None}
    return min(ranks, key=ranks.__getitem__) if ranks else next((name for name in names if name.lower() == "id"), None)


def _by_content(profiles: Mapping[str, ColumnProfile], roles: dict[str, Role]) -> None:
    def free(fits: Callable[[ColumnProfile], bool]) -> list[str]:
        taken = {role.column for role in roles.values()}
        return [name for name, column in profiles.items() if name not in taken and fits(column)]

    if "timestamp" not in roles:
        times = free(lambda column: column.has_values and (column.are_moments or column.are_since_1970))
        if times:
            roles["timestamp"] = Role(times[0], "its values are times")
    ids = free(lambda column: column.are_ids)
    in_order = [name for name in ids if profiles[name].repeats and not _has_few(profiles[name])]
    in_order += [name for name in ids if profiles[name].repeats and name not in in_order]
    in_order += [name for name in ids if name not in in_order]
    for what in ("user", "item"):
        if what not in roles and in_order:
            place = "first" if what == "user" else "next"
            roles[what] = Role(in_order.pop(0), f"the {place} column that can hold ids")
    if "rating" not in roles and len(ratings := free(_look_like_ratings)) == 1:
        roles["rating"] = Role(ratings[0], "few numbers, all small")


def _rank(name: str, what: str) -> int | None:
    """How well a name says what a column is, small is well; None: not at all."""
    parts = _parts(name)
    words, whole = WORDS[what], "_".join(parts)
    if whole in words:
        return words.index(whole) + (30 if whole in DAYS else 0)
    is_id = bool(parts) and parts[-1] in ENDS_OF_IDS
    stem = "_".join(parts[:-1]) if is_id else whole
    if what in ("user", "item"):
        for rank, word in enumerate(words):
            if is_id and stem == word:
                return rank
            if whole in (f"{word}id", f"{word}s", f"id_{word}", f"{word}key", f"{word}no"):
                return 50 + rank
            if is_id and stem.split("_")[-1] == word:
                return 100 + rank
        return None
    if what == "timestamp":
        if DURATIONS & set(parts):
            return None
        while len(parts) > 1 and parts[-1] in UNITS:
            parts.pop()
        if len(parts) > 1 and parts[-1] in ("at", "on"):
            return 60
        if parts and parts[-1] in words:
            return 20 + words.index(parts[-1])
    for rank, word in enumerate(words):
        if parts and word in (parts[-1], parts[0]):
            return 100 + rank
    return None


def _parts(name: str) -> list[str]:
    return [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", name)]


def _are_times(column: ColumnProfile) -> bool:
    return column.has_values and (column.are_moments or column.are_numbers)


def _are_ratings(column: ColumnProfile) -> bool:
    return column.are_numbers and column.most is not None and -MAX_RATING <= column.most <= MAX_RATING


def _look_like_ratings(column: ColumnProfile) -> bool:
    """Halves up to 10, as stars are: prices end otherwise."""
    if not _are_ratings(column) or AMOUNTS & set(_parts(column.name)):
        return False
    kinds = [float(kind) for kind in column.kinds or ()]
    return 1 < len(kinds) <= 21 and max(kinds) <= 10 and all((2 * kind).is_integer() for kind in kinds)


def _are_splits(column: ColumnProfile) -> bool:
    labels = {*SPLIT_CODES, *(str(code) for code in SPLIT_CODES.values())}
    return bool(column.kinds) and set(column.kinds or ()) <= labels and len(column.kinds or ()) == 3


def _has_few(column: ColumnProfile) -> bool:
    return column.kinds is not None and len(column.kinds) <= 5
