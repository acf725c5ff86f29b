"""Moments in texts: ISO 8601, with or without a time of the day, with or without a zone."""

from __future__ import annotations

from dualgnn_dist.data.prepare.frames import pl

DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
PATTERN = (
    rf"^ *(?<date>{DATE})(?:[Tt ](?<hour>[0-9]{{2}}):(?<minute>[0-9]{{2}})(?::(?<second>[0-9]{{2}})"
    r"(?:[.,](?<digits>[0-9]+))?)?)? ?(?<zone>[Zz]|UTC|[+-][0-9]{2}(?::?[0-9]{2})?)? *$"
)
QUICK = ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d")
"""Those that polars has a fast way for; whatever does not fit goes by the pattern."""
LOOKS_RIGHT = rf"^ *{DATE}"
DAY = 86_400
MICRO = 1_000_000


def looks_like_iso(texts: pl.Series) -> pl.Series:
    """Which texts begin with a date."""
    return texts.str.contains(LOOKS_RIGHT)


def moments_of_iso(texts: pl.Series) -> tuple[pl.Series, pl.Series | None, bool]:
    """Texts as moments.

    Returns:
        microseconds since 1970 in UTC (Int64, null where a text is no moment); what they have beyond (Float64 in
        [0, 1), None where all have nothing); whether a text names no zone and was taken as UTC.
    """
    for pattern in QUICK:
        quick = _quickly(texts, pattern)
        if quick is not None:
            return quick, None, not pattern.endswith("Z")
    return _by_pattern(texts)


def _quickly(texts: pl.Series, pattern: str) -> pl.Series | None:
    """All of them at once where every one fits; polars takes `1-1` for `01-01`, so that their lengths must fit too."""
    length = len("2020-01-01") if pattern == "%Y-%m-%d" else len("2020-01-01T00:00:00") + pattern.endswith("Z")
    if texts.head(1).str.len_bytes().sum() != length or (texts.str.len_bytes() != length).any():
        return None
    moments = (
        texts.str.strptime(pl.Datetime("us"), pattern, strict=False)
        if length > 10
        else texts.str.to_date(pattern, strict=False).cast(pl.Datetime("us"))
    )
    return moments.cast(pl.Int64) if moments.null_count() == texts.null_count() else None


def _by_pattern(texts: pl.Series) -> tuple[pl.Series, pl.Series | None, bool]:
    parts = texts.str.extract_groups(PATTERN).struct.unnest()
    number = {name: pl.col(name).fill_null("0").cast(pl.Int64) for name in ("hour", "minute", "second")}
    is_midnight = (number["hour"] == 24) & (number["minute"] == 0) & (number["second"] == 0)
    is_time = (number["hour"] < 24) & (number["minute"] < 60) & (number["second"] <= 60) | is_midnight
    zone = pl.col("zone").str.replace(":", "")
    zone_minutes = (
        zone.str.slice(1, 2).cast(pl.Int64, strict=False) * 60
        + zone.str.slice(3, 2).replace("", "0").cast(pl.Int64, strict=False).fill_null(0)
    ) * pl.when(zone.str.starts_with("-")).then(-1).otherwise(1)
    offset = pl.when(zone.str.contains("^[+-]")).then(zone_minutes).otherwise(0)
    seconds = (
        pl.col("date").str.to_date("%Y-%m-%d", strict=False).cast(pl.Int64) * DAY
        + number["hour"] * 3600
        + (number["minute"] - offset) * 60
        + number["second"]
    )
    digits = pl.col("digits").fill_null("")
    moments = parts.select(
        whole=pl.when(is_time & (offset.abs() < 24 * 60)).then(
            seconds * MICRO + digits.str.slice(0, 6).str.pad_end(6, "0").cast(pl.Int64)
        ),
        beyond=pl.format("0.{}0", digits.str.slice(6)).cast(pl.Float64),
        has_no_zone=pl.col("zone").is_null() & pl.col("date").is_not_null(),
    )
    beyond = moments["beyond"] if moments["beyond"].max() else None
    return moments["whole"], beyond, bool(moments["has_no_zone"].any())
