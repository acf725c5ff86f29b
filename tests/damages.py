"""Damage done to files: what a disk, a copy or a person does to them, from a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

ODD_VALUES: list[Any] = [
    None, True, -1, 0, 2**31, 2**63, -(2**63), 1e308, float("nan"), float("inf"), "", "x", "\x1b[31m", "../..", [],
    [[]], {}, {"": None}, "9" * 5000,
]  # fmt: skip


def damage(path: Path, seed: int) -> str:
    """Damages a file in one of several ways that `seed` decides; returns what was done."""
    chance = random.Random(seed)
    content = path.read_bytes()
    ways: list[Callable[[bytes, random.Random], bytes]] = [_flip, _flip, _cut, _repeat, _zero, _replace, _insert]
    if path.suffix in (".json", ".jsonl"):
        ways += [_odd_value] * 6
    way = chance.choice(ways)
    path.write_bytes(way(content, chance))
    return f"{path.name}: {way.__name__}, seed {seed}"


def _flip(content: bytes, chance: random.Random) -> bytes:
    """One bit."""
    changed = bytearray(content)
    if changed:
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def _repeat(content: bytes, chance: random.Random) -> bytes:
    start, end = sorted(chance.randrange(len(content) + 1) for _ in range(2))
    return content[:end] + content[start:]


def _zero(content: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(content) + 1)
    length = min(chance.choice([1, 8, 64, 4096]), len(content) - start)
    return content[:start] + bytes(length) + content[start + length :]


def _replace(content: bytes, chance: random.Random) -> bytes:
    return chance.choice([b"", b"\0" * 64, b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b"- " * 5000, b"a: *b"])


def _insert(content: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(content) + 1)
    return (
        content[:start]
        + chance.choice([b"\xff", b"\0", b"\n", b'"', b"-", b"9" * 30, b",", b"\r", b"{{"])
        + content[start:]
    )


def _odd_value(content: bytes, chance: random.Random) -> bytes:
    """One value of a JSON text, or of one of its lines, becomes another; a key goes."""
    lines = content.splitlines(keepends=True) if b"\n{" in content else [content]
    place = chance.randrange(len(lines))
    try:
        value = json.loads(lines[place])
    except ValueError:
        return content
    node, path = value, []
    while isinstance(node, (dict, list)) and node and (not path or chance.random() < 0.8):
        key = chance.choice(list(node)) if isinstance(node, dict) else chance.randrange(len(node))
        path.append((node, key))
        node = node[key]
    if not path:
        return json.dumps(chance.choice(ODD_VALUES)).encode()
    parent, key = path[-1]
    if chance.random() < 0.2:
        del parent[key]
    else:
        parent[key] = chance.choice(ODD_VALUES)
    lines[place] = json.dumps(value).encode() + b"\n" * lines[place].endswith(b"\n")
    return b"".join(lines)
