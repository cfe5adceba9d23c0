"""The sub-Gaussian constants by their names in the tables: which are certificates, how they are written and drawn."""

from __future__ import annotations

from collections.abc import Iterable

from kd_uncertainty.report.figures.style import SPARE_COLOURS

NAMES = {
    "cumulant": "cumulant function",
    "bounded_difference": "bounded differences",
    "stability": "stability",
    "hoeffding": "Hoeffding",
    "std": "standard deviation",
}
"""From the tightest constant that is one to the widest, and last what is none."""
SHADES = {
    "cumulant": "#0072B2",
    "bounded_difference": "#009E73",
    "stability": "#C07A00",
    "hoeffding": "#D55E00",
    "std": "#A65698",
}


def is_certificate(proxy: str, *, exact: bool) -> bool:
    """Whether the gap is surely sub-Gaussian with this constant.

    Args:
        proxy: The constant.
        exact: Whether it is computed from the law itself, as in enumerated processes: then all but the standard
            deviation are certificates. From a sample Hoeffding's alone is one.
    """
    return proxy == "hoeffding" or (exact and proxy != "std")


def proxy_name(proxy: str) -> str:
    """The constant in words."""
    return NAMES.get(proxy, proxy.replace("_", " "))


def phrase(proxy: str) -> str:
    """The constant inside a sentence: ``the cumulant function``, ``Hoeffding’s``."""
    articled = {"cumulant": "the cumulant function", "std": "the standard deviation", "hoeffding": "Hoeffding’s"}
    return articled.get(proxy, proxy_name(proxy))


def shade_of(proxy: str) -> str:
    """The colour of a constant, the same in every figure."""
    return SHADES.get(proxy, SPARE_COLOURS[-1])


def proxies_in(names: Iterable[str]) -> list[str]:
    """The constants whose ``sigma_<name>`` is among columns or quantities, in the order of `NAMES`."""
    found = [name.removeprefix("sigma_") for name in dict.fromkeys(names) if name.startswith("sigma_")]
    return [name for name in NAMES if name in found] + [name for name in found if name not in NAMES]
