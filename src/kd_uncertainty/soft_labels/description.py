"""What a sidecar says of itself, so that whole files in the wrong place are not taken for the right ones."""

from __future__ import annotations

import json
from pathlib import Path

from kd_uncertainty.artefacts import atomic_write, checksum_path


def describe_sidecar(content: str, teacher: str, values: Path, example_ids: Path) -> None:
    """Write whose the two finished arrays are and their SHA-256, beside them as ``<teacher>.<precision>.json``.

    Args:
        content: SHA-256 of the soft-label file.
        teacher: whose rows.
        values: log-probabilities.
        example_ids: their identifiers.
    """
    with atomic_write(_place(values), checksum=False) as temporary:
        facts = _facts(content, teacher, values, example_ids)
        temporary.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def mismatch(content: str, teacher: str, values: Path, example_ids: Path) -> str | None:
    """Return None if the description fits the arrays and what is wanted, else one sentence; arguments as above.

    The arrays must match their checksums, of which this knows.
    """
    place = _place(values)
    try:
        described = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there, no JSON, or no text
        return f"{place} is missing or cannot be read"
    if described != _facts(content, teacher, values, example_ids):
        return f"{values} or {example_ids.name} is not what {place.name} describes for teacher '{teacher}'"
    return None


def _place(values: Path) -> Path:
    return values.with_suffix(".json")


def _facts(content: str, teacher: str, values: Path, example_ids: Path) -> dict[str, object]:
    sums = {path.name: checksum_path(path).read_text(encoding="utf-8").split()[0] for path in (values, example_ids)}
    return {"soft_labels": content, "teacher": teacher, "sha256": sums}
