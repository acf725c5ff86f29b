"""Text from outside, made fit to be shown."""

from __future__ import annotations


def visible(text: str, keep: str = "\n\t") -> str:
    """The text with control characters, and those that turn its direction, written out as Python writes them.

    Ids, titles and names come from outside: on a terminal they could move the cursor, change colours or hide what
    stands there.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter in keep or letter.isprintable() else repr(letter)[1:-1] for letter in text)
