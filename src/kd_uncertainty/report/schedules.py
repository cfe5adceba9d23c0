"""Arms of the study whose loss switches on the way: what of the gain without a switch their students recover."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kd_uncertainty.report.arms import Tables, short_label, table, variant
from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.findings import Finding
from kd_uncertainty.report.tables import TableView
from kd_uncertainty.report.wording import NOT_MEASURED, listing, number, percent, plural, with_interval

METRIC = "accuracy"
MOST = 4
"""Arms that the sentence names; the others are in the table."""


@dataclass(frozen=True)
class Recovery:
    """A row of ``schedule_gains``: gains in accuracy over the labels alone, paired over seeds."""

    teacher: str
    label: str
    gain: Estimate
    constant_gain: Estimate
    recovered: Estimate

    def as_json(self) -> dict[str, object]:
        """The row as a JSON object."""
        figures = {name: getattr(self, name).as_json() for name in ("gain", "constant_gain", "recovered")}
        return {"teacher": self.teacher, "label": self.label, **figures}

    def text(self) -> str:
        """``93% [76, 115] with exact, labels alone until 50% (ensemble)``."""
        return f"{_share(self.recovered)} with {self.label} ({self.teacher})"


def read_recoveries(tables: Tables, split: str) -> list[Recovery]:
    """The arms that switch, by number, with their accuracies on a split."""
    rows = table(tables, "schedule_gains").to_dict("records")
    return [_recovery(row) for row in rows if row["split"] == split and row["metric"] == METRIC]


def _recovery(row: Mapping[Any, Any]) -> Recovery:
    extra = variant(float(row["mixing"]), float(row["temperature"]), str(row["weighting"]), str(row["schedule"]))
    return Recovery(
        str(row["teacher"]),
        short_label(str(row["target"]), int(row["num_responses"])) + extra,
        *(estimate_of(row, name) for name in ("gain", "constant_gain", "recovered")),
    )


def recovery_table(tables: Tables, split: str) -> TableView:
    """Gain and recovered share of every arm that switches."""
    header = ("teacher", "target", "gain over the labels, points", "gain without a switch", "recovered")
    rows = [
        (one.teacher, one.label, _points(one.gain), _points(one.constant_gain), _share(one.recovered))
        for one in read_recoveries(tables, split)
    ]
    return TableView(f"Arms whose loss switches: gains in accuracy, {split} split", header, tuple(rows), 2)


def recovery_finding(tables: Tables, split: str) -> Finding | None:
    """What of the gain the arms recover whose loss switches; None where none does."""
    found = read_recoveries(tables, split)
    if not found:
        return None
    known = [one for one in found if one.recovered.known]
    figures: dict[str, object] = {"split": split, "arms": [one.as_json() for one in found]}
    if not known:
        title = "What losses that switch recover cannot be told"
        sentence = (
            f"{title}: without a switch no such arm gains measurably over the labels on the {split} split. More "
            "initialisation and order seeds narrow the intervals."
        )
        return Finding("schedules", title, sentence, "not measured", figures)
    shares = sorted(one.recovered.estimate for one in known)
    span = percent(shares[0], 0) if len(shares) == 1 else f"{percent(shares[0], 0)} to {percent(shares[-1], 0)}"
    title = f"Losses that switch recover {span} of the gain in accuracy over the labels"
    rest = f"; {plural(len(known) - MOST, 'more arm')} in the table" if len(known) > MOST else ""
    sentence = f"{title}, on the {split} split: {listing(one.text() for one in known[:MOST])}{rest}."
    return Finding("schedules", title, sentence, "measured", figures)


def _points(gain: Estimate) -> str:
    return with_interval(Estimate(*(100.0 * end for end in gain)), places=1) if gain.known else NOT_MEASURED


def _share(share: Estimate) -> str:
    if not share.known:
        return NOT_MEASURED
    low, high = (number(100.0 * end, 0) for end in share[1:])
    return percent(share.estimate, 0) + ("" if math.isnan(share.lower) else f" [{low}, {high}]")
