"""Claims that are judged over cells: an estimate for each arm, split or space, beside a value or a law."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kd_uncertainty.report.claims import Claim
from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.rules import Trend, Verdict, direction, sides
from kd_uncertainty.report.wording import listing, with_bounds

MOST_CELLS = 6
"""As many figures are written out in a sentence; the others are in the tables."""

Text = Callable[[Estimate], str]


class Cell(NamedTuple):
    """A figure and where it was measured."""

    where: str
    figure: Estimate


@dataclass(frozen=True)
class Statement:
    """What a claim says, before anything was measured."""

    section: str
    key: str
    claim: str
    fails: str
    ours: bool = False

    def claimed(self, rule: str) -> Claim:
        """The claim, not measured."""
        return Claim(self.section, self.key, self.claim, rule=rule, ours=self.ours, fails=self.fails)


def known(cells: Sequence[Cell]) -> list[Cell]:
    """The cells that have an interval."""
    return [cell for cell in cells if cell.figure.measured]


def texts(cells: Sequence[Cell], text: Text = with_bounds) -> str:
    """``averaging, k = 2, embeddings 0.31 [0.2, 0.4]; ...``."""
    shown = "; ".join(f"{cell.where} {text(cell.figure)}" for cell in cells[:MOST_CELLS])
    rest = len(cells) - MOST_CELLS
    return f"{shown}; {rest} more in the tables" if rest > 0 else shown


def one_sided(
    statement: Statement,
    what: str,
    cells: Sequence[Cell],
    *,
    below: bool,
    value: float,
    shown_value: str,
    text: Text = with_bounds,
    more: str = "",
) -> Claim:
    """A claim that figures lie on one side of a value.

    Args:
        statement: What is claimed.
        what: What the figures are, as in ``intra-student variance over V``.
        cells: The figures; those without an interval are left out.
        below: Whether they are claimed to lie below the value, and not above it.
        value: The value.
        shown_value: How it is written.
        text: How a figure is written.
        more: A sentence to add.
    """
    side, other = ("below", "above") if below else ("above", "below")
    rule = (
        f"holds if the interval lies {side} {shown_value} in every case, in part if in more cases {side} it than "
        f"{other} it"
    )
    found = known(cells)
    if not found:
        return statement.claimed(rule)
    counted = sides([cell.figure for cell in found], value)
    right, wrong = (counted.below, counted.above) if below else (counted.above, counted.below)
    first = found[0]
    sentence = (
        f"{what[0].upper()}{what[1:]}: {texts(found, text)}. The interval lies below {shown_value} in "
        f"{counted.below} of {counted.count}, above it in {counted.above}."
    )
    return Claim(
        statement.section,
        statement.key,
        statement.claim,
        f"{text(first.figure)} ({first.where})",
        first.figure,
        rule,
        direction(right, wrong, counted.count, 1.0),
        f"{sentence} {more}".strip(),
        statement.ours,
        {cell.where: cell.figure.as_json() for cell in found},
        statement.fails,
    )


def trends(
    statement: Statement, what: str, found: Sequence[tuple[str, Trend]], *, rises: bool, more: str = ""
) -> Claim:
    """A claim that curves rise or fall with the number of responses.

    Args:
        statement: What is claimed.
        what: What the curves are.
        found: The trend of each curve and what it is of.
        rises: Whether they are claimed to rise.
        more: A sentence to add.
    """
    way = "rises" if rises else "falls"
    rule = (
        f"holds if every curve {way} monotonically from the first k to the last (rank correlation at least 0.9) and "
        "the interval of its change leaves out 1; in part if some do, or not monotonically"
    )
    verdicts = [(where, one, _judged(one, rises=rises)) for where, one in found]
    measured = [item for item in verdicts if item[-1] != "not measured"]
    if not measured:
        return statement.claimed(rule)
    where, first, _ = measured[0]
    told = listing(f"{place} {_told(one)}" for place, one, _ in measured)
    return Claim(
        statement.section,
        statement.key,
        statement.claim,
        f"{_told(first)} ({where})",
        first.change,
        rule,
        together([word for *_, word in measured]),
        f"{what[0].upper()}{what[1:]}, last k over first: {told}. {more}".strip(),
        statement.ours,
        {place: one.change.as_json() for place, one, _ in measured},
        statement.fails,
    )


def _judged(one: Trend, *, rises: bool) -> Verdict:
    """The verdict on a curve; one that is the same at every k was measured, and does not go as claimed."""
    return "does not hold" if _is_flat(one) else one.verdict(rises=rises)


def _told(one: Trend) -> str:
    return "the same at every k" if _is_flat(one) else one.text()


def _is_flat(one: Trend) -> bool:
    return one.num_points > 1 and one.spearman == 0.0 and not one.change.known


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict of several: as all of them, or in part where they differ; what was not measured does not count."""
    words = {word for word in verdicts if word != "not measured"}
    if not words:
        return "not measured"
    return words.pop() if len(words) == 1 else "holds in part"
