"""Tables of the bounds report as rows of finished strings."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from kd_uncertainty.report.arms import Tables, table
from kd_uncertainty.report.bounds.design import TERMS, TOTAL, Item
from kd_uncertainty.report.bounds.networks import Cell, all_proxies, narrowest
from kd_uncertainty.report.bounds.proxies import is_certificate, phrase
from kd_uncertainty.report.columns import Column, columns_table
from kd_uncertainty.report.tables import TableView
from kd_uncertainty.report.wording import NOT_MEASURED, number, percent, value_text, with_bounds

MOST_ROWS = 200
"""A table with more rows is shown in part: it can be read in full from the catalog."""
FORMS: tuple[Column, ...] = (
    ("divergence_exact", "divergence", "interval"),
    ("corrected_bound", "corrected bound", "interval"),
    ("tight_bound", "tight form", "interval"),
    ("literal_form", "as printed (no bound)", "interval"),
)
EXACT: tuple[Column, ...] = tuple((name, header, "value") for name, header, _ in FORMS)
DIALS: tuple[Column, ...] = (
    ("num_examples", "n", "count"),
    ("inverse_temperature", "β", "value"),
    ("label_noise", "label noise", "value"),
)
QUANTITIES: tuple[Column, ...] = (
    ("quantity", "figure", "text"),
    ("num_examples", "n", "count"),
    ("label_noise", "label noise", "value"),
    ("estimate", "value", "estimate"),
    ("num_sets", "training sets", "count"),
)
COLUMNS: dict[str, tuple[str, tuple[Column, ...]]] = {
    "decomposition_sweeps": (
        "The linear-Gaussian case, dial by dial, in nats",
        (
            ("dial", "dial", "text"),
            ("value", "value", "value"),
            *((term, name, "value") for term, name in TERMS.items()),
            *FORMS,
            ("scaled_width", "√(2 K/n)", "value"),
        ),
    ),
    "decomposition_audit": (
        "Random linear-Gaussian worlds, in nats",
        (
            ("configuration", "world", "count"),
            *DIALS,
            ("prior_precision", "λ", "value"),
            ("student_sharpness", "student’s sharpness", "value"),
            *EXACT,
            ("chain_rule_error", "chain rule, error", "value"),
        ),
    ),
    "processes": (
        "Enumerated processes",
        (
            ("configuration", "process", "count"),
            *DIALS,
            ("gen_teacher", "teacher’s gap", "value"),
            ("gen_student", "student’s gap, pseudo-labels", "value"),
            ("gen_student_true", "true labels", "value"),
            ("divergence", "K, nats", "value"),
            ("sigma_cumulant", "σ, cumulant function", "value"),
            ("lower_cumulant", "lower bound", "value"),
            ("lower_central", "central condition", "value"),
            ("upper_cumulant", "upper bound", "value"),
            ("tightness_cumulant", "width / distance", "value"),
        ),
    ),
    "network_bounds": ("Networks: noised minimisers", QUANTITIES),
    "langevin_bounds": ("Networks: Langevin dynamics", QUANTITIES),
}


def checklist_view(items: Sequence[Item]) -> TableView:
    """The design checklist: term, its share, the turn that lowers it most, the bound and the interval after it."""
    rows = tuple(
        (
            "bound as a whole" if item.term == TOTAL else item.name,
            item.turn if item.dial else "none",
            percent(item.share, 0),
            value_text(item.after, 1) if item.dial else NOT_MEASURED,
            f"× {number(item.width, 2)}" if item.width == item.width else NOT_MEASURED,
            item.advice,
        )
        for item in items
    )
    header = ("term", "turn", "share of the bound", "bound after it, nats", "interval’s width", "worth it?")
    return TableView("Each term of the bound and the single turn of a dial that lowers it most", header, rows, 2)


def interval_table(cells: Sequence[Cell], kernel: str = "noised minimisers") -> TableView:
    """The gaps of teacher and student beside two intervals: the narrowest, an estimate, and the certified one."""
    caption = f"Gaps and intervals of networks: {kernel}"
    if not cells:
        return TableView(caption, (), ())
    sure = [name for name in all_proxies(cells) if is_certificate(name, exact=False)]
    shown = list(dict.fromkeys([narrowest(cells), *sure]))
    rows = []
    for one in cells:
        gaps = (one.figure(f"gen_{name}") for name in ("teacher", "student_pseudo", "student_true"))
        row = [f"{one.num_examples:,}", f"{one.label_noise:g}", *(with_bounds(gap, 3) for gap in gaps)]
        for proxy in shown:
            low, high = (number(end, 2) for end in one.interval(proxy))
            row += [f"{low} to {high}", f"× {number(one.figure(f'tightness_{proxy}').estimate, 0)}"]
        rows.append(tuple(row))
    header = ["n", "label noise", "teacher’s gap", "student’s, pseudo-labels", "student’s, true labels"]
    for proxy in shown:
        kind = "certified" if proxy in sure else "an estimate"
        header += [f"interval, σ from {phrase(proxy)} ({kind})", "width / gap"]
    return TableView(caption, tuple(header), tuple(rows), 2)


def report_tables(tables: Tables) -> list[TableView]:
    """The tables at the end of the report, the longest in part; empty ones are left out."""
    views = []
    for name, (caption, columns) in COLUMNS.items():
        frame = table(tables, name)
        short = len(frame) > MOST_ROWS
        text = f"{caption}: the first {MOST_ROWS} of {len(frame):,} rows" if short else caption
        views.append(columns_table(text, columns, pd.DataFrame(frame[:MOST_ROWS])))
    return [view for view in views if view.rows]
