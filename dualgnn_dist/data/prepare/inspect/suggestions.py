"""What could be set beside what is: a least rating, the events that count, a core."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from dualgnn_dist.data.prepare.formats.readers.expression import parsed
from dualgnn_dist.data.prepare.inspect.profile import ColumnProfile

WEAK = ("view", "click", "impression", "show", "expose", "exposure", "pv", "page_view", "pageview", "detail", "open")
HIGH = 0.8  # of the largest rating


def least_rating(ratings: ColumnProfile) -> tuple[float, str] | None:
    """A rating from which on one may like it, and how many rows it leaves; None where all or none would stay."""
    if ratings.kinds is None or ratings.most is None or ratings.least is None:
        return None
    least = min((float(value) for value in ratings.kinds if float(value) >= HIGH * ratings.most), default=ratings.most)
    num_left = sum(count for value, count in ratings.kinds.items() if float(value) >= least)
    num_all = sum(ratings.kinds.values())
    if not 0 < num_left < num_all or ratings.most <= 0:
        return None
    return least, f"{num_left:,} of {num_all:,} ratings"


def without(column: ColumnProfile, word: str) -> str:
    """An expression that leaves out the rows with this text."""
    return f"{_in_sql(column.name)} != '{word}'"


def _in_sql(name: str) -> str:
    """A column's name in an expression, between quotation marks where it would be a function, or several words."""
    try:
        if parsed(f"{name} = 'x'", "where").meta.root_names() == [name]:
            return name
    except ValueError:
        pass
    quoted = name.replace('"', '""')
    return f'"{quoted}"'


def event_filter(events: ColumnProfile) -> tuple[str, str] | None:
    """An expression that leaves the weakest kind of event out, and how many rows it leaves."""
    kinds = events.kinds or Counter()
    if len(kinds) < 2:
        return None
    weak = next((kind for kind in kinds if kind.lower() in WEAK), None)
    num_all = sum(kinds.values())
    name = _in_sql(events.name)
    chosen = weak if weak is not None else min(kinds, key=lambda kind: kinds[kind])
    text = chosen.replace("'", "''")
    num_left = num_all - kinds[chosen] if weak is not None else kinds[chosen]
    return f"{name} {'!=' if weak is not None else '='} '{text}'", f"{num_left:,} of {num_all:,} rows"


def kinds_in_words(column: ColumnProfile) -> Iterator[str]:
    """Value and count, the most frequent first."""
    for kind, count in column.kinds.most_common() if column.kinds else ():
        yield f"{kind} {count:,}"
