"""Raw data behind URLs: fetched once, beside the store that is made of it, and deleted with the last stage.

Files come to lie here as they lie there, so that names such as `../items.parquet` mean the same.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from dualgnn_dist.base.errors import UserError
from dualgnn_dist.base.storage.remote import RemoteFolder, filesystem, in_parallel, is_url
from dualgnn_dist.data.prepare.config import PrepareConfig
from dualgnn_dist.data.prepare.raw_data import Glob
from dualgnn_dist.data.prepare.tabular.parts import HIDDEN, fixed_part

Say = Callable[[str], None]
OPTIONS_WITH_FILES = ("item_id_files", "meta")


@contextmanager
def fetched(config: PrepareConfig, store: Path, say: Say) -> Iterator[PrepareConfig]:
    """The config with paths in place of its URLs, and the files there; the config itself where it names no URL.

    Args:
        store: the files come to lie beside it while the context is open.

    Raises:
        UserError: a URL names nothing, or the storage refuses; what is raised inside names URLs in place of the paths.
    """
    if not any(is_url(text) for text in _texts([_pattern_or_path(config.input), config.modalities])):
        yield config
        return
    for left in sorted(store.parent.glob(f".{store.name}.fetched-*")):
        say(f"{left}, left by a prepare that was killed, holds copies of raw data; delete it")
    with tempfile.TemporaryDirectory(prefix=f".{store.name}.fetched-", dir=store.parent) as name:
        copies = _Copies(Path(name), say)
        try:
            yield copies.config_here(config)
        except UserError as error:
            raise UserError(copies.with_urls(str(error))) from error


class _Copies:
    """What has been fetched into a folder."""

    def __init__(self, folder: Path, say: Say) -> None:
        self.folder, self._say = folder, say
        self._urls: dict[str, str] = {}

    def config_here(self, config: PrepareConfig) -> PrepareConfig:
        """The config with paths here."""
        source, base = config.input, None
        named = [config.modalities, *(config.options.get(name) for name in OPTIONS_WITH_FILES)]
        if isinstance(source, Glob) and is_url(source.glob):
            base = _root_of(source.glob)
            self._fetch_fitting(base, source.glob)
            source = Glob(str(self._path_of(source.glob)))
        elif isinstance(source, str) and is_url(source):
            base = source if self._fetch(source) else _parent(source)
            source = str(self._path_of(source))
        if base is not None:
            for text in _texts(named):
                if not is_url(text):
                    self._fetch_if_there(base, text)
        modalities = _mapped(config.modalities, lambda text: self._here(text) if is_url(text) else text)
        return dataclasses.replace(config, input=source, modalities=modalities)

    def with_urls(self, message: str) -> str:
        """A message in which paths here stand for what they are copies of."""
        for path, url in sorted(self._urls.items(), key=lambda pair: -len(pair[0])):
            message = message.replace(path, url)
        return message

    def _here(self, url: str) -> str:
        self._fetch(url)
        return str(self._path_of(url))

    def _fetch(self, url: str) -> bool:
        """Fetches a file, or all that lies below a folder; whether it was a folder."""
        parent, name = RemoteFolder.at(_parent(url)), _name(url)
        if parent.exists(name):
            self._copy(parent, [name])
            return False
        folder = RemoteFolder.at(url)
        names = [name for name in folder.sizes() if not any(part.startswith(HIDDEN) for part in name.split("/"))]
        if not names:
            raise UserError(f"there is nothing at {url}")
        self._copy(folder, names)
        return True

    def _fetch_fitting(self, root: str, pattern: str) -> None:
        folder = RemoteFolder.at(root)
        wanted = PurePosixPath(_path(pattern)).relative_to(folder.path).parts
        names = [name for name in folder.sizes() if _fits(tuple(name.split("/")), wanted)]
        if not names:
            raise UserError(f"prepare.input: no file fits the pattern {pattern!r}")
        self._copy(folder, names)

    def _fetch_if_there(self, base: str, name: str) -> None:
        """Of a text that may be a file's name beside the log: the file, if it is one."""
        steps = PurePosixPath(name)
        while steps.parts[:1] == ("..",):
            base, steps = _parent(base), PurePosixPath(*steps.parts[1:])
        if not steps.parts or steps.is_absolute() or ".." in steps.parts:
            return
        folder = RemoteFolder.at(base)
        if not (Path(self._path_of(base)) / steps).exists() and folder.exists(str(steps)):
            self._copy(folder, [str(steps)])

    def _copy(self, folder: RemoteFolder, names: list[str]) -> None:
        path = self._path_of(folder.url)
        self._urls[str(path)] = folder.url
        self._say(f"fetching {folder.url}: {names[0] if len(names) == 1 else f'{len(names):,} files'}")
        in_parallel(lambda name: folder.download(name, path / name), names)

    def _path_of(self, url: str) -> Path:
        path = self.folder / _path(url).lstrip("/")
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise UserError(f"{url} leads out of its storage; name the file itself")
        return path


def _fits(names: tuple[str, ...], patterns: tuple[str, ...]) -> bool:
    """Whether the parts of a path fit those of a pattern; `**` fits any number of folders."""
    if not names or not patterns:
        return not names and not patterns
    if patterns[0] == "**":
        return _fits(names, patterns[1:]) or (
            not names[0].startswith(HIDDEN) and len(names) > 1 and _fits(names[1:], patterns)
        )
    is_hidden = names[0].startswith(HIDDEN) and not patterns[0].startswith(HIDDEN)
    return not is_hidden and fnmatchcase(names[0], patterns[0]) and _fits(names[1:], patterns[1:])


def _pattern_or_path(source: str | Glob | None) -> str | None:
    return source.glob if isinstance(source, Glob) else source


def _path(url: str) -> str:
    return filesystem(url)[1]


def _parent(url: str) -> str:
    base, mark, query = url.partition("?")
    return base.rstrip("/").rpartition("/")[0] + mark + query


def _name(url: str) -> str:
    return PurePosixPath(_path(url)).name


def _root_of(pattern: str) -> str:
    path, mark, query = pattern.partition("?")  # a `?` of a URL begins its options
    scheme, _, rest = path.partition("://")
    return f"{scheme}://{fixed_part(rest)}{mark}{query}"


def _texts(value: Any) -> Iterator[str]:
    """All texts in a setting, however nested."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for each in value.values() for text in _texts(each))
    elif isinstance(value, list | tuple):
        yield from (text for each in value for text in _texts(each))
    elif dataclasses.is_dataclass(value):
        yield from (text for each in vars(value).values() for text in _texts(each))


def _mapped(value: Any, here: Callable[[str], str]) -> Any:
    """The same setting with every text in it replaced."""
    if isinstance(value, str):
        return here(value)
    if isinstance(value, Mapping):
        return {key: _mapped(each, here) for key, each in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(value, **{key: _mapped(each, here) for key, each in vars(value).items()})
    return value
