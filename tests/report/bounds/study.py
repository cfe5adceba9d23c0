"""A synthetic bounds study with known laws, so that every verdict is known beforehand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from kd_uncertainty.bounds.decomposition import checklist_table

TURNS = {
    "inverse_temperature": (0.5, 1.0, 2.0, 4.0),
    "rank": (1.0, 2.0, 3.0),
    "num_examples": (4.0, 8.0, 16.0, 32.0),
    "label_noise": (0.5, 1.0, 2.0),
    "prior_precision": (0.1, 1.0, 10.0),
    "student_sharpness": (1.0, 2.0, 4.0),
}
BASE = {
    "inverse_temperature": 2.0,
    "rank": 2.0,
    "num_examples": 16.0,
    "label_noise": 1.0,
    "prior_precision": 1.0,
    "student_sharpness": 2.0,
}
WORLDS = 40
VIOLATED = 10
"""Random worlds in which the literal form lies below the divergence, beside those of the sweeps."""
SIZES = (50, 100, 200, 400)
NOISES = (0.1, 0.3)
DIVERGENCE = 20.0
"""Of networks, at any n."""
SCALES = {"std": 0.4, "cumulant": 0.5, "bounded_difference": 0.8, "stability": 8.0}
"""Of constants that fall as 1/√n."""
WIDER = {"std": 0.8, "cumulant": 1.0, "bounded_difference": 3.0, "stability": 9.0, "hoeffding": 4.0}
"""Constants of enumerated processes, over the least that is one."""
USED = 0.5
Tables = dict[str, pd.DataFrame]


def bounded(row: dict[str, Any], share: float = 0.01, **figures: float) -> dict[str, Any]:
    """The row with each figure and bounds a share of it away."""
    for name, value in figures.items():
        room = abs(value) * share
        row = row | {name: value, f"{name}_lower": value - room, f"{name}_upper": value + room}
    return row


def terms_of(dials: dict[str, float]) -> dict[str, float]:
    """The five terms: one dial moves each, and the inverse temperature two against each other."""
    return {
        "bias": 2.0 * dials["prior_precision"] / dials["label_noise"],
        "variance": 4.0 / dials["inverse_temperature"],
        "approximation": 6.0 * (3.0 - dials["rank"]),
        "covariance": abs(math.log(dials["student_sharpness"])),
        "spread": 6.0 * dials["inverse_temperature"],
    }


def decomposition_sweeps() -> pd.DataFrame:
    rows = []
    for dial, values in TURNS.items():
        for value in values:
            dials = {**BASE, dial: value}
            terms = terms_of(dials)
            bound = sum(terms.values())
            row: dict[str, Any] = {"dial": dial, "value": value, "is_base": value == BASE[dial], **terms}
            row = bounded(row, divergence_exact=0.5 * bound, corrected_bound=bound, tight_bound=0.75 * bound)
            row = bounded(row, literal_form=bound - terms["spread"] + 4.0)
            row["scaled_width"] = math.sqrt(bound / dials["num_examples"])
            rows.append(row | {"num_draws": 100, "num_sets": 8})
    table = pd.DataFrame(rows)
    table["best"] = table.index.isin(table.groupby("dial")["corrected_bound"].idxmin())
    return table


def decomposition_checklist() -> pd.DataFrame:
    return checklist_table(decomposition_sweeps())


def decomposition_audit() -> pd.DataFrame:
    divergence = np.linspace(1.0, 5.0, WORLDS)
    literal = divergence * np.where(np.arange(WORLDS) < VIOLATED, 0.25, 3.0)
    dials = {"num_examples": 6, "inverse_temperature": 0.5, "label_noise": 0.4, "prior_precision": 1.0}
    return pd.DataFrame(
        {
            "configuration": range(WORLDS),
            **dials,
            "student_sharpness": 1.0,
            "divergence_exact": divergence,
            "chain_rule_error": 1e-13,
            "corrected_bound": 1.6 * divergence,
            "tight_bound": 1.1 * divergence,
            "literal_form": literal,
        }
    )


def processes() -> pd.DataFrame:
    rows = []
    for number in range(24):
        teacher, divergence, least = 0.1 + 0.01 * number, 0.2 * (number + 1), 0.3
        half = {name: scale * least * math.sqrt(2.0 * divergence) for name, scale in WIDER.items()}
        sign = 1.0 if number % 2 else -1.0
        student = teacher + sign * USED * half["cumulant"]
        row = {
            "configuration": number,
            "num_examples": 4,
            "inverse_temperature": 1.0,
            "label_noise": 0.1,
            "gen_teacher": teacher,
            "gen_student": student,
            "gen_student_true": 0.5 * student,
            "divergence": divergence,
            "dataset_shift": 0.5 * divergence,
            "algorithm_shift": 0.5 * divergence,
            "chain_rule_error": 1e-15,
            "lower_central": teacher - 0.8 * half["cumulant"],
        }
        for name, width in half.items():
            row |= {f"sigma_{name}": WIDER[name] * least, f"lower_{name}": teacher - width}
            row |= {f"upper_{name}": teacher + width, f"tightness_{name}": 2.0 * width / (USED * half["cumulant"])}
            row |= {f"lower_holds_{name}": True, f"upper_holds_{name}": True}
        rows.append(row)
    return pd.DataFrame(rows)


def sharpness() -> pd.DataFrame:
    frame = processes()
    parts = [
        pd.DataFrame(
            {
                "configuration": frame["configuration"],
                "radius": radius,
                "upper": frame["upper_cumulant"] + 0.1 * radius,
                "upper_standard": frame["upper_cumulant"],
                "sharpness_teacher": 0.06 * radius,
                "gain": -0.1 * radius,
            }
        )
        for radius in (0.1, 1.0)
    ]
    return pd.concat(parts, ignore_index=True)


def network_bounds() -> pd.DataFrame:
    rows = []
    for noise in NOISES:
        for size in SIZES:
            teacher = 2.0 / math.sqrt(size)
            figures = {
                "gen_teacher": teacher,
                "gen_student_pseudo": 1.05 * teacher,
                "gen_student_true": 0.7 * teacher,
                "divergence": DIVERGENCE,
                "divergence_lower_estimate": 0.25 * DIVERGENCE,
            }
            sigmas = {name: scale / math.sqrt(size) for name, scale in SCALES.items()} | {"hoeffding": 1.0}
            for name, sigma in sigmas.items():
                half = sigma * math.sqrt(2.0 * DIVERGENCE)
                figures |= {f"sigma_{name}": sigma, f"upper_{name}": teacher + half, f"lower_{name}": teacher - half}
                figures[f"tightness_{name}"] = 2.0 * half / figures["gen_student_pseudo"]
            for quantity, value in figures.items():
                row = {"num_examples": size, "label_noise": noise, "quantity": quantity, "num_sets": 24}
                room = 0.0 if quantity == "sigma_hoeffding" else 0.05 * abs(value)
                rows.append(row | {"estimate": value, "lower": value - room, "upper": value + room})
    return pd.DataFrame(rows)


def langevin_bounds() -> pd.DataFrame:
    """Of fewer sizes."""
    table = network_bounds()
    return table[table["num_examples"] < SIZES[-1]].reset_index(drop=True)


def make_tables() -> Tables:
    """All tables of the study, as the stages write them."""
    made = (
        decomposition_sweeps,
        decomposition_checklist,
        decomposition_audit,
        processes,
        sharpness,
        network_bounds,
        langevin_bounds,
    )
    return {make.__name__: make() for make in made}
