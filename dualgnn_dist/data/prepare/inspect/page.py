"""The YAML of a config, and what was seen as its comments."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from dualgnn_dist.base.documents import read_yaml_text
from dualgnn_dist.base.screen import visible
from dualgnn_dist.data.prepare.inspect.beside import Modalities
from dualgnn_dist.data.prepare.inspect.facts import Facts
from dualgnn_dist.data.prepare.inspect.profile import ColumnProfile
from dualgnn_dist.data.prepare.inspect.roles import Role, named_times
from dualgnn_dist.data.prepare.inspect.sources import Source
from dualgnn_dist.data.prepare.inspect.suggestions import event_filter, kinds_in_words, least_rating, without

MAX_COLUMNS = 40  # that are shown
HAVE_WHERE = ("table", "recbole")
HAVE_RATING = ("table", "recbole", "movielens", "amazon")


@dataclass(frozen=True)
class Page:
    """What was seen in a file.

    Args:
        refused: why a config that is better on paper was not chosen.
    """

    source: Source
    profiles: Mapping[str, ColumnProfile]
    roles: Mapping[str, Role]
    modalities: Modalities
    facts: Facts
    refused: str | None

    def text(self, values: Mapping[str, Any], store: str) -> str:
        """The whole page: `values` of the section `prepare`, with the comments that belong to them."""
        lines = [*(f"# {line}".rstrip() for line in self._seen()), "prepare:"]
        lines += [f"  {key}: {_yaml(values[key])}" for key in ("format", "input")]
        if "modalities" in values:
            lines.append(f"  modalities: {_yaml(values['modalities'])}")
        lines += [f"  # {line}" for line in self._candidates()]
        why = "" if self.refused is None else f"   # {self.refused}"
        lines.append(f"  split: {values['split']}{why}")
        lines += [f"  # k_core: {k}   # leaves {left or 'nothing'}" for k, left in self.facts.cores.items()]
        options = [f"    {key}: {_yaml(value)}{self._note(key)}" for key, value in values["options"].items()]
        could = [f"    # {line}" for line in self._could(values["options"])]
        lines += [*(["  options:" if options else "  # options:"] if options or could else []), *options, *could]
        lines += ["data:", f"  store: {_yaml(store)}"]
        text = "\n".join(visible(line, keep="") for line in lines) + "\n"
        wanted = {"prepare": {**values}, "data": {"store": store}}
        if not options:
            del wanted["prepare"]["options"]
        assert read_yaml_text(text) == wanted, "the page is not what it stands for"
        return text

    def _candidates(self) -> Iterator[str]:
        """What could stand under `modalities` in place of what does."""
        candidates = self.modalities.candidates
        if candidates:
            values = self.modalities.named | {name: value for name, (value, _) in candidates.items()}
            words = dict.fromkeys(words for _, words in candidates.values())
            yield f"modalities: {_yaml(values)}   # {'; '.join(words)}"

    def _seen(self) -> Iterator[str]:
        facts, source = self.facts, self.source
        yield f"{source.path.name}: {', '.join(self._file())}; read by the format {source.format}"
        yield ""
        yield from self._table()
        yield ""
        for what in ("event", "split"):
            if what in self.roles:
                column = self.profiles[self.roles[what].column]
                yield f"{column.name}: {', '.join(kinds_in_words(column))}"
        yield from (note for note in facts.notes if note != source.why)
        if "timestamp" not in self.roles:
            for name in named_times(self.profiles):
                example = self.profiles[name].examples[0]
                yield f"{name} is not taken for times: it holds texts as {example!r}; write 2024-05-01T10:00:00Z"
        for name in dict.fromkeys(role.column for role in self.roles.values()):
            for word, count in self.profiles[name].no_values.items():
                cure = _yaml(without(self.profiles[name], word))
                yield f"{name} is {word!r} in {count:,} rows, a text like any other; to leave them out: where: {cure}"
        lacking = f", {_share(facts.num_lacking, facts.num_rows)} lack a value" if facts.num_lacking else ""
        yield f"{facts.num_rows:,} rows{lacking}; {_share(facts.num_duplicates, facts.num_rows)} repeat a user and item"
        yield f"{facts.sizes}"
        yield ""
        yield "To make the store:  python -m dualgnn_dist.prepare --config THIS_FILE"
        model = "dualgnn" if self.modalities.named else "lightgcn"
        yield f"To train on it:     python -m dualgnn_dist.train --config THIS_FILE model.name={model}"

    def _file(self) -> Iterator[str]:
        options = self.source.options
        yield self.source.why
        if "separator" in options:
            yield f"{options['separator']!r} between values"
        if "encoding" in options:
            yield f"written in {options['encoding']}"
        if "columns" in options:
            yield "no header (the columns are named below, by what they hold)"

    def _table(self) -> Iterator[str]:
        what_of: dict[str, str] = {}
        for what, role in self.roles.items():
            what_of[role.column] = "; ".join([*filter(None, [what_of.get(role.column)]), f"{what}, {role.why}"])
        rows = [("column", "holds", "nulls", "examples", "taken for")]
        for name, profile in list(self.profiles.items())[:MAX_COLUMNS]:
            nulls = f"{profile.num_nulls / profile.num_rows:.2%}" if profile.num_nulls else "none"
            rows.append((name, profile.words, nulls, ", ".join(profile.examples), what_of.get(name, "")))
        cells = [[visible(cell, keep="") for cell in row] for row in rows]
        widths = [max(len(row[column]) for row in cells) for column in range(len(rows[0]))]
        for row in cells:
            yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        if len(self.profiles) > MAX_COLUMNS:
            yield f"  and {len(self.profiles) - MAX_COLUMNS:,} more"

    def _note(self, key: str) -> str:
        if key == "nulls":
            return f"   # leaves out {self.facts.num_lacking:,} rows"
        if key == "id_type":
            columns = (self.profiles[self.roles[what].column] for what in ("user", "item"))
            names = " and ".join(column.name for column in columns if not column.are_whole)
            return f"   # {names}: not all are whole numbers"
        role = self.roles.get(key.removesuffix("_column"))
        return f"   # {role.why}" if role is not None else ""

    def _could(self, options: Mapping[str, Any]) -> Iterator[str]:
        """Options that are not set."""
        if "rating" in self.roles and self.source.format in HAVE_RATING:
            ratings = self.profiles[self.roles["rating"].column]
            if (least := least_rating(ratings)) is not None:
                if self.source.format in HAVE_WHERE:
                    yield f"rating_column: {_yaml(ratings.name)}   # goes with min_rating"
                yield f"min_rating: {least[0]:g}   # leaves {least[1]}"
        if "event" in self.roles and self.source.format in HAVE_WHERE and "where" not in options:
            chosen = event_filter(self.profiles[self.roles["event"].column])
            if chosen is not None:
                yield f"where: {_yaml(chosen[0])}   # leaves {chosen[1]}"


def _yaml(value: Any) -> str:
    """A value on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=sys.maxsize, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def _share(count: int, of: int) -> str:
    return f"{count:,} ({count / of:.2%})" if count else "none"
