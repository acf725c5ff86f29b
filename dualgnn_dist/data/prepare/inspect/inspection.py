"""A file -> the page that prepares it: guesses from what stands there, tried by reading it as `prepare` does."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dualgnn_dist.base.config import from_mapping
from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.screen import say_aside
from dualgnn_dist.base.storage.remote import is_url
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.fetching import fetched
from dualgnn_dist.data.prepare.inspect.beside import Modalities, modalities_of
from dualgnn_dist.data.prepare.inspect.facts import Facts, facts_of
from dualgnn_dist.data.prepare.inspect.page import Page
from dualgnn_dist.data.prepare.inspect.profile import ColumnProfile, own_columns, profiles_of
from dualgnn_dist.data.prepare.inspect.roles import BY_NAME, Role, roles_of
from dualgnn_dist.data.prepare.inspect.sources import Source, source_of
from dualgnn_dist.data.prepare.raw_data import Glob
from dualgnn_dist.data.prepare.tabular.parts import Parts
from dualgnn_dist.data.prepare.tabular.rows import Rows
from dualgnn_dist.data.prepare.tabular.text import Quotes, TextTable

OTHER_QUOTES: tuple[Quotes, ...] = ("many_lines", "none")
MOST_WITHOUT_TIME = 0.1  # of the rows: more are not left out for the sake of times
USUAL = {
    "table": {"user": "user", "item": "item"},
    "recbole": {"user": "user_id", "item": "item_id", "timestamp": "timestamp"},
}
"""Names that need no option, of the formats whose columns are guessed."""


def inspect(input: str | Path, modalities: Sequence[str] = (), store: str | None = None) -> str:
    """Looks at a file, a folder, an archive, a pattern or a URL of interactions.

    Args:
        modalities: each `NAME=FILE`.
        store: where the store is to lie; None: `stores/`, named after the file.

    Returns:
        a config that prepares it, and above it what was seen, as comments.

    Raises:
        UserError: no format fits, the file cannot be read, or it is not told which columns are users and items.
    """
    store = store or f"stores/{_stem(str(input))}"
    if not is_url(str(input)):
        return _page_of(Path(input), modalities, store, {})
    url = str(input)
    config = PrepareConfig(format="table", input=Glob(url) if "*" in url else url)
    with (
        tempfile.TemporaryDirectory(prefix="dualgnn-inspect-") as folder,
        fetched(config, Path(folder) / "store", say_aside) as here,
    ):
        copy = here.input.glob if isinstance(here.input, Glob) else str(here.input)
        return _page_of(Path(copy), modalities, store, {copy: url, os.path.dirname(copy): os.path.dirname(url)})


def _page_of(path: Path, modalities: Sequence[str], store: str, urls: Mapping[str, str]) -> str:
    """The page of a file here; `urls` says what it is a copy of."""
    source, profiles = _profiled(source_of(path))
    source, profiles, roles = _with_roles(source, profiles)
    features = modalities_of(source, roles["item"].column, modalities)
    values, facts, refused = _tried(source, profiles, roles, features)
    for copy, url in urls.items():
        if values["input"] in (copy, {"glob": copy}):
            values["input"] = {"glob": url} if isinstance(values["input"], dict) else url
        refused = None if refused is None else refused.replace(copy, url)
    return Page(source, profiles, roles, features, facts, refused).text(values, store)


def _profiled(source: Source) -> tuple[Source, dict[str, ColumnProfile]]:
    """Goes through the rows; where that fails for a text of any kind, with other quotation marks."""
    try:
        return source, profiles_of(source.rows, own_columns(source.rows))
    except UserError as error:
        for quotes in OTHER_QUOTES:
            rows = _with_quotes(source.rows, quotes)
            if source.format != "table" or rows is None:
                break
            again = dataclasses.replace(source, rows=rows, options={**source.options, "quotes": quotes})
            try:
                return again, profiles_of(rows, own_columns(rows))
            except UserError:
                continue
        raise error


def _with_quotes(rows: Rows, quotes: Quotes) -> Rows | None:
    """The rows of texts with other quotation marks; None of other files."""
    if isinstance(rows, TextTable):
        return dataclasses.replace(rows, quotes=quotes)
    if not isinstance(rows, Parts):
        return None
    parts = [dataclasses.replace(part, quotes=quotes) for part in rows.parts if isinstance(part, TextTable)]
    return dataclasses.replace(rows, parts=parts) if len(parts) == len(rows.parts) else None


def _with_roles(
    source: Source, profiles: dict[str, ColumnProfile]
) -> tuple[Source, dict[str, ColumnProfile], dict[str, Role]]:
    """Which column is which; columns without names get those of what they are."""
    if source.columns:
        return source, profiles, {what: Role(name, "of the format") for what, name in source.columns.items()}
    roles = roles_of(profiles)
    _refuse_catalogue(source, profiles, roles)
    if not {"user", "item"} <= roles.keys():
        seen = ", ".join(f"{name} ({profile.words})" for name, profile in profiles.items())
        raise UserError(
            f"{source.path}: which columns hold users and items? It cannot be told from "
            f"{seen or 'columns without names of their own'}; write a config with prepare.options.user_column and "
            "item_column, see docs/your-data.md"
        )
    if "columns" not in source.options:
        return source, profiles, roles
    names = {role.column: what for what, role in roles.items()}
    columns = [names.get(name, name) for name in source.options["columns"]]
    source = dataclasses.replace(source, options={**source.options, "columns": columns})
    profiles = {names.get(name, name): profile for name, profile in profiles.items()}
    for name, profile in profiles.items():
        profile.name = name
    return source, profiles, {what: Role(what, role.why) for what, role in roles.items()}


def _refuse_catalogue(source: Source, profiles: Mapping[str, ColumnProfile], roles: Mapping[str, Role]) -> None:
    item, user = roles.get("item"), roles.get("user")
    if item is None or item.why != BY_NAME or (user is not None and user.why == BY_NAME):
        return
    if profiles[item.column].are_unlike:
        raise UserError(
            f"{source.path} looks like a catalogue: every {item.column} stands there once, and no column is named as "
            "that of users; inspect the interactions, and name what is known of the items with --modality NAME=FILE"
        )


def _tried(
    source: Source, profiles: Mapping[str, ColumnProfile], roles: Mapping[str, Role], features: Modalities
) -> tuple[dict[str, Any], Facts, str | None]:
    """The first config that the data fit, what is counted with it, and why an earlier one was refused."""
    refused: UserError | None = None
    for values in _configs(source, profiles, roles, features):
        try:
            facts = facts_of(from_mapping(PrepareConfig, values, "prepare"))
        except UserError as error:
            refused = refused or error
            continue
        return values, facts, None if refused is None else str(refused)
    assert refused is not None
    raise UserError(
        f"{source.path} is for the format {source.format!r}, but cannot be prepared: {refused}"
    ) from refused


def _configs(
    source: Source, profiles: Mapping[str, ColumnProfile], roles: Mapping[str, Role], features: Modalities
) -> Iterator[dict[str, Any]]:
    """What is tried, the best first."""
    values: dict[str, Any] = {"format": source.format, "input": _input(source)}
    if features.named:
        values["modalities"] = features.named
    is_guessed = source.format in USUAL
    with_times = "timestamp" in roles and (not is_guessed or _has_times(profiles[roles["timestamp"].column]))
    by_labels = source.split or ("given" if is_guessed and "split" in roles else None)
    best = by_labels or ("leave_one_out" if with_times else "random")
    for split in dict.fromkeys((best, "random")):
        options = _options(source, profiles, roles, split, with_times)
        yield {**values, "split": split, "options": options}
    if with_times and is_guessed:
        options = _options(source, profiles, roles, "random", False)
        yield {**values, "split": "random", "options": options}


def _input(source: Source) -> str | dict[str, str]:
    return str(source.input) if source.pattern is None else {"glob": source.pattern}


def _options(
    source: Source, profiles: Mapping[str, ColumnProfile], roles: Mapping[str, Role], split: str, with_times: bool
) -> dict[str, Any]:
    """The options of the format, as far as they are not what it takes anyway."""
    if source.format not in USUAL:
        return dict(source.options)
    read = ["user", "item"]
    if with_times:
        read.append("timestamp")
    if split == "given" and "split" in roles:
        read.append("split")
    columns = {what: roles[what].column for what in read}
    usual = USUAL[source.format]
    options = {f"{what}_column": name for what, name in columns.items() if usual.get(what) != name}
    if source.format == "table" and not all(profiles[columns[what]].are_whole for what in ("user", "item")):
        options["id_type"] = "text"
    if any(profiles[name].num_nulls for name in columns.values()):
        options["nulls"] = "drop"
    return options | dict(source.options)


def _has_times(column: ColumnProfile) -> bool:
    return column.num_nulls <= MOST_WITHOUT_TIME * column.num_rows


def _stem(path: str) -> str:
    name = path.rstrip("/").rpartition("/")[2] if is_url(path) else Path(path).resolve().name
    stem = name.partition(".")[0].strip("*?_ ")
    return "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in stem) or "mine"
