"""Sentences of the bounds report's advice: every word follows from a figure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kd_uncertainty.report.bounds.design import MEANINGS, TOTAL, Agreement, Item, dial_name
from kd_uncertainty.report.bounds.networks import Cell, all_proxies, narrowest
from kd_uncertainty.report.bounds.proxies import is_certificate, phrase
from kd_uncertainty.report.findings import Finding
from kd_uncertainty.report.wording import listing, number, percent, plural, value_text

Claims = Mapping[str, Mapping[str, Any]]
"""Claims as JSON by key."""
WORTH = 0.05
"""A turn that lowers the bound by a smaller share is not worth a sentence."""


def first_finding(items: Sequence[Item]) -> Finding | None:
    """What to change first: the single turn that lowers the bound most, and the term that is largest."""
    whole = next((item for item in items if item.term == TOTAL and item.dial), None)
    largest = next((item for item in items if item.term != TOTAL), None)
    if whole is None or whole.after >= whole.before:
        return None
    title = f"First turn the {whole.turn}"
    saved = percent(1.0 - whole.after / whole.before, 0)
    sentence = (
        f"{title}: in the linear-Gaussian case it lowers the bound on the divergence of student and teacher most of "
        f"all single turns, from {value_text(whole.before, 1)} to {value_text(whole.after, 1)} nats ({saved} less)"
    )
    if not math.isnan(whole.width):
        sentence += f", and {_width(whole)}"
    if largest is not None:
        sentence += (
            f". The largest term of the bound is {largest.name}, {percent(largest.share, 0)} of it: "
            f"{MEANINGS.get(largest.term, largest.term)}"
        )
    return Finding("first", title, f"{sentence}.", figures={"dial": whole.dial, "from": whole.start, "to": whole.end})


def _width(item: Item) -> str:
    word = "narrows" if item.width < 1.0 else "widens"
    return f"{word} the interval for the student’s gap to × {number(item.width, 2)}"


def next_finding(items: Sequence[Item], turns: Sequence[Item]) -> Finding | None:
    """What else lowers the bound: the best turn of every other dial, each alone.

    Args:
        items: The checklist.
        turns: Of every dial the turn that lowers the bound most.
    """
    first = next((item.dial for item in items if item.term == TOTAL), "")
    useful = [turn for turn in turns if turn.helps and turn.dial != first and turn.after < (1.0 - WORTH) * turn.before]
    if not useful:
        return None
    title = f"Then {plural(len(useful), 'other dial')} may be worth turning"
    texts = "; ".join(
        f"the {turn.turn}, mostly for {turn.name} ({percent(turn.share, 0)} of the bound): to "
        f"{value_text(turn.after, 1)} nats"
        for turn in useful
    )
    return Finding("next", title, f"{title}: {texts}.", figures={turn.dial: turn.end for turn in useful})


def not_finding(items: Sequence[Item]) -> Finding | None:
    """Turns that lower a term and do harm."""
    harmful = [item for item in items if item.dial and item.term != TOTAL and not item.helps]
    if not harmful:
        return None
    title = "Do not lower a term for its own sake"
    texts = "; ".join(f"the {item.turn} lowers {item.name}, but {_harm(item)}" for item in harmful)
    return Finding("not", title, f"{title}: {texts}.", figures={item.term: item.dial for item in harmful})


def _harm(item: Item) -> str:
    if item.after >= item.before:
        return f"the bound rises from {value_text(item.before, 1)} to {value_text(item.after, 1)} nats"
    why = "σ grows with fewer examples" if item.dial == "num_examples" else "the divergence itself rises"
    return f"the interval for the student’s gap widens to × {number(item.width, 2)}, as {why}"


def form_finding(claims: Claims, found: Sequence[Agreement]) -> Finding | None:
    """Whether the form as printed may be used."""
    literal, corrected = claims.get("literal"), claims.get("corrected")
    if not literal or not corrected or literal["verdict"] == "not measured":
        return None
    count, violated = literal["figures"]["count"], literal["figures"]["violated"]
    if not violated:
        title = "The compact form as printed was not violated here"
        return Finding("form", title, f"{title}, in {count:,} configurations; it is not a bound in general.", "holds")
    title = "Do not use the compact form as printed: it is not a bound"
    sentence = (
        f"{title}. It lies below the divergence in {violated:,} of {count:,} configurations, the corrected form in "
        f"{corrected['figures']['violated']:,} of {corrected['figures']['count']:,}"
    )
    other = [one for one in found if not math.isnan(one.literal + one.bound) and one.literal != one.bound]
    if other:
        texts = listing(f"{one.literal:.4g} instead of {one.bound:.4g} for the {dial_name(one.dial)}" for one in other)
        sentence += f". It also misleads: it would choose {texts}"
    return Finding("form", title, f"{sentence}.", str(literal["verdict"]))


def interval_finding(cells: Sequence[Cell]) -> Finding | None:
    """What the interval is worth for networks."""
    proxies = all_proxies(cells)
    sure = [name for name in proxies if is_certificate(name, exact=False)]
    if not sure:
        return None
    last = cells[-1]
    low, high = last.interval(sure[0])
    gap = last.figure("gen_student_pseudo").estimate
    vacuous = low < -1.0 and high > 1.0
    title = (
        "Read the interval of networks as a check of the theory, not as a forecast"
        if vacuous
        else "The interval of networks says something"
    )
    sentence = (
        f"{title}: at {last.label} the student’s gap is {number(gap)}, and the certified interval runs from "
        f"{number(low, 1)} to {number(high, 1)}"
    )
    sentence += ", wider than a loss between 0 and 1 allows at all" if vacuous else ""
    estimates = [name for name in proxies if name not in sure]
    if estimates:
        best = narrowest(cells)
        ends = [number(end, 2) for end in last.interval(best)]
        sentence += f"; with {phrase(best)} as σ, an estimate that certifies nothing, from {ends[0]} to {ends[1]}"
    figures: dict[str, object] = {"certified": [low, high], "gap": gap}
    return Finding("interval", title, f"{sentence}.", "vacuous" if vacuous else "informative", figures)


def agreement_finding(found: Sequence[Agreement]) -> Finding | None:
    """How far the advice depends on the bound being one: whether the divergence itself would advise the same."""
    if not found:
        return None
    same = [one for one in found if one.same]
    title = f"For {len(same)} of {plural(len(found), 'dial')} the divergence itself is least where the bound is"
    others = listing(
        f"{one.divergence:.4g} instead of {one.bound:.4g} for the {dial_name(one.dial)}"
        for one in found
        if not one.same
    )
    sentence = f"{title}, so that the advice does not rest on the bound’s slack there"
    sentence += f"; elsewhere the divergence would have {others}." if others else "."
    return Finding("agreement", title, sentence, figures={"same": [one.dial for one in same]})
