"""YAML that somebody wrote, as plain values; what only accident or malice would write is refused.

Nested too deep, it would exhaust the stack of whatever goes through it; names that stand for one another, the memory;
keys that are no texts, or that come twice, would be dropped or taken for something else.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

MAX_LETTERS = 1 << 22
MAX_DEPTH = 64
MAX_VALUES = 1 << 20  # after every alias is replaced by what it stands for


def read_yaml_text(text: str) -> Any:
    """The values of a YAML text, a config or one value of it.

    Raises:
        ValueError: it is none, or nests, repeats or grows as no config does; says where.
    """
    if len(text) > MAX_LETTERS:
        raise ValueError(f"it has more than {MAX_LETTERS:,} letters; is it a config?")
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        words = " ".join(str(error).split())
        raise ValueError(words.replace('in "<unicode string>", ', "at ")) from error


class _Loader(yaml.SafeLoader):
    """Plain values whose mappings have texts as keys, each once."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise yaml.composer.ComposerError(
                None, None, f"it is nested more than {MAX_DEPTH} levels deep", self.peek_event().start_mark
            )
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        keys = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.tag != "tag:yaml.org,2002:str":
                raise _refusal(f"the key {_shown(key)} is no text; put it between quotes", key)
            if key.value in keys:
                raise _refusal(f"the key {key.value!r} comes twice", key)
            keys.add(key.value)
        return node

    def construct_document(self, node: Any) -> Any:
        _size(node, {})
        return super().construct_document(node)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        except Exception as error:  # any that its author could provoke: a 13th month, a number of 5000 digits
            raise _refusal(f"{_shown(node)} cannot be read ({str(error)[:80]})", node) from error


def _size(node: Any, sizes: dict[int, tuple[int, int] | None]) -> tuple[int, int]:
    """How many values a node stands for, and how deep. Raises YAMLError for one within itself, and for too many."""
    if id(node) in sizes:
        size = sizes[id(node)]
        if size is None:
            raise _refusal("a value contains itself", node)
        return size
    sizes[id(node)] = None
    num_values, depth = 1, 1
    for child in _children(node):
        num_of_child, depth_of_child = _size(child, sizes)
        num_values, depth = num_values + num_of_child, max(depth, 1 + depth_of_child)
    if num_values > MAX_VALUES or depth > MAX_DEPTH:
        raise _refusal(f"aliases make of it more than {MAX_VALUES:,} values, or {MAX_DEPTH} levels", node)
    sizes[id(node)] = num_values, depth
    return num_values, depth


def _children(node: Any) -> Iterator[Any]:
    if isinstance(node, yaml.MappingNode):
        for pair in node.value:
            yield from pair
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _shown(node: Any) -> str:
    return node.value[:40] if isinstance(node.value, str) else "of several values"


def _refusal(what: str, node: Any) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, what, node.start_mark)
