"""What somebody typed becomes a frozen dataclass, or a message that says what is wrong and what to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from dualgnn_dist.base.config import from_mapping, plain
from dualgnn_dist.base.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Inner:
    depth: int = 1

    def __post_init__(self) -> None:
        if self.depth < 0:
            raise ValueError("depth must not be negative")


@dataclass(frozen=True, kw_only=True)
class Outer:
    needed: str
    rate: float = 0.5
    flag: bool = False
    mode: Literal["fast", "exact"] = "fast"
    sizes: tuple[int, ...] | Literal["all"] = (1,)
    pair: tuple[int, float] = (1, 2.0)
    limit: int | None = None
    names: dict[str, float] = field(default_factory=dict)
    inner: Inner = field(default_factory=Inner)
    anything: Any = None


def made(**values: Any) -> Outer:
    return from_mapping(Outer, {"needed": "x", **values}, "top")


def test_good_values_arrive_with_their_types() -> None:
    config = made(
        rate=1, sizes=[3, 4], pair=[2, 3], limit=7, names={"a": 1}, inner={"depth": 2}, anything=[1], mode="exact"
    )
    assert (config.rate, config.sizes, config.pair, config.limit) == (1.0, (3, 4), (2, 3.0), 7)
    assert isinstance(config.rate, float) and isinstance(config.pair[1], float)
    assert config.names == {"a": 1.0} and config.inner == Inner(depth=2) and config.anything == [1]
    assert made(sizes="all").sizes == "all" and made(limit=None).limit is None
    assert made(rate="1e-3").rate == 0.001  # YAML 1.1 reads that as a text
    assert made() == Outer(needed="x")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ratte": 1}, "unknown config key 'top.ratte'; did you mean 'rate'?"),
        ({"zzz": 1}, "unknown config key 'top.zzz'; known are: anything, flag, inner, "),
        ({"inner": {"dept": 1}}, "unknown config key 'top.inner.dept'; did you mean 'depth'?"),
        ({"rate": "fast"}, "top.rate='fast' must be a number, not str"),
        ({"rate": True}, "top.rate=True must be a number, not bool"),
        ({"rate": None}, "top.rate=None must be a number, not NoneType"),
        ({"rate": float("nan")}, "top.rate=nan must be a finite number"),
        ({"rate": "inf"}, "top.rate='inf' must be a finite number"),
        ({"flag": 1}, "top.flag=1 must be true or false, not int"),
        ({"flag": "yes"}, "top.flag='yes' must be true or false, not str"),
        ({"needed": 3}, "top.needed=3 must be a text, not int"),
        ({"mode": "exakt"}, "top.mode='exakt' is not one of fast, exact; did you mean 'exact'?"),
        ({"mode": ["fast"]}, "top.mode=['fast'] is not one of fast, exact"),
        ({"sizes": [1, "2"]}, "top.sizes=[1, '2'] must be a list of a whole number or 'all', not list"),
        ({"sizes": 3}, "top.sizes=3 must be a list of a whole number or 'all', not int"),
        ({"pair": [1]}, "top.pair=[1] must have 2 values, not 1"),
        ({"pair": 1}, "top.pair=1 must be a list of a whole number, not int"),
        ({"limit": 1.5}, "top.limit=1.5 must be a whole number or null, not float"),
        ({"limit": True}, "top.limit=True must be a whole number or null, not bool"),
        ({"names": {"a": "b"}}, "top.names.a='b' must be a number, not str"),
        ({"names": {1: 2}}, "top.names=1 must be a text, not int"),
        (
            {"sizes": "3,4"},
            "top.sizes='3,4' must be a list of a whole number or 'all', not str; a list is written [3,4]",
        ),
        ({"needed": True}, "must be a text, not bool; a text of digits or words of YAML stands within quotation marks"),
        ({"names": "b.npy"}, "must be a mapping to a number, not str; a mapping is written {NAME: b.npy}"),
        ({"names": [1]}, "top.names=[1] must be a mapping to a number, not list"),
        ({"inner": 3}, "config section 'top.inner' must be a mapping of keys to values, not 3"),
        ({"inner": {"depth": -1}}, "config section 'top.inner': depth must not be negative"),
    ],
)
def test_a_bad_value_is_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        made(**values)
    assert message in str(error.value)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(UserError, match=r"config key 'top\.needed' is missing and has no default"):
        from_mapping(Outer, {}, "top")
    with pytest.raises(UserError, match="config key 'needed' is missing"):
        from_mapping(Outer, None)


def test_plain_is_the_inverse_of_from_mapping() -> None:
    config = made(rate=0.25, sizes=[3, 4], names={"a": 1}, inner={"depth": 2})
    values = plain(config)
    assert values["sizes"] == [3, 4] and values["inner"] == {"depth": 2}
    assert from_mapping(Outer, values) == config
