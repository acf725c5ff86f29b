"""The URL of a study in a database, which is written down and shown: a password has no place in it."""

from __future__ import annotations

import re
from urllib.parse import unquote

PASSWORD = "DUALGNN_STUDY_PASSWORD"  # the environment variable that holds it

_PASSWORD = re.compile(r"(://[^:/\n]*:)[^@\n]+@")  # what SQLAlchemy takes for one
_SECRET_OPTION = re.compile(r"(?i)(secret|passw|pwd|token|_key)[^=&;]*=")


def check_study_url(url: str) -> None:
    """Refuses a URL that holds a password.

    Raises:
        ValueError: it does; the message does not say which.
    """
    if _PASSWORD.search(url) or _SECRET_OPTION.search(unquote(url.partition("?")[2])):
        raise ValueError(
            "the URL of study holds a password, which would be written into the sweep's folder; leave it out, and put "
            f"the password into the environment variable {PASSWORD} or where the database's own tools look for it, "
            "such as ~/.pgpass"
        )


def without_password(text: str) -> str:
    """A text, such as an older sweep's config, with the passwords of its URLs blotted out."""
    return _PASSWORD.sub(r"\1***@", text)
