"""The moments of interactions: whole numbers as they are stored, and what a moment has beyond them."""

from __future__ import annotations

from dualgnn_dist.data.prepare.frames import pl

LIMIT = float(1 << 63)


def moments(column: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    """Whole numbers (Int64, rounded down; null where there is no moment), and the fractions in [0, 1] beyond them.

    What decides an order keeps its precision: of a text all digits behind the point, whatever stands before it. The
    fractions are Float64, or None where all are 0, so that whole numbers take the room that they always took.
    """
    if column.dtype.is_float():
        return _of_floats(column.cast(pl.Float64))
    if isinstance(column.dtype, pl.Decimal) or column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    whole = column.cast(pl.Int64, strict=False)
    if column.dtype != pl.String:
        return whole, None
    others = (whole.is_null() & column.is_not_null()).arg_true()
    if not len(others):
        return whole, None
    parts = _of_texts(column.gather(others))
    whole = whole.scatter(others, parts["whole"])
    fractions = pl.zeros(len(column), dtype=pl.Float64, eager=True).scatter(others, parts["fraction"])
    return whole, fractions if fractions.max() else None


def _of_texts(texts: pl.Series) -> pl.DataFrame:
    """`whole` and `fraction`: -2 and 0.75 of `-1.25`. What is no plain decimal, as `1e3`, goes by the float it is."""
    digits = texts.str.extract_groups(r"^(?<sign>[+-]?)(?<whole>[0-9]+)?[.](?<fraction>[0-9]+)?$").struct.unnest()
    floats, of_floats = _of_floats(texts.cast(pl.Float64, strict=False))
    beyond = pl.format("0.{}0", pl.col("fraction").fill_null("")).cast(pl.Float64)
    towards_zero = pl.col("whole").fill_null("0").cast(pl.Int64, strict=False)
    is_plain = pl.col("whole").is_not_null() | pl.col("fraction").is_not_null()
    return (
        digits.with_columns(is_plain=is_plain, towards_zero=towards_zero, beyond=beyond, is_below=pl.col("sign") == "-")
        .with_columns(is_cut=pl.col("is_below") & (pl.col("beyond") > 0))
        .select(
            whole=pl.when("is_plain")
            .then(
                pl.when("is_below").then(-pl.col("towards_zero")).otherwise("towards_zero")
                - pl.col("is_cut").cast(pl.Int64)
            )
            .otherwise(floats),
            fraction=pl.when("is_plain")
            .then(pl.when("is_cut").then(1 - pl.col("beyond")).otherwise("beyond"))
            .otherwise(0.0 if of_floats is None else of_floats),
        )
    )


def _of_floats(floats: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    floats = floats.set((floats.is_nan() | (floats.abs() >= LIMIT)).fill_null(False), None)
    down = floats.floor()
    fractions = (floats - down).fill_null(0.0)
    return down.cast(pl.Int64), fractions if fractions.max() else None
