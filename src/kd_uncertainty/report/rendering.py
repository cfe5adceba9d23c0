"""What the pages of all studies share: templates, figures as JSON, captions, and the account of what was run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from kd_uncertainty.report.figures.style import bare, template
from kd_uncertainty.report.legend import legend_keys
from kd_uncertainty.report.tables import flattened, seconds_text
from kd_uncertainty.report.wording import NOT_MEASURED

Figures = Mapping[str, go.Figure]


def render_page(
    name: str,
    figures: tuple[Figures, Figures],
    order: Sequence[str],
    provenance: Mapping[str, Any],
    **context: Any,
) -> str:
    """Render a template as one HTML page with everything inlined: styles, figures, plotly.js.

    Args:
        name: The template in this package.
        figures: By name, as wide and as narrow versions; the wide ones may be incomplete.
        order: The names of the figures that the page knows.
        provenance: See ``render_report``.
        context: What the template takes beside these.
    """
    wide, narrow = figures
    specs = {key: {"wide": _spec(wide[key]), "narrow": _spec(narrow[key])} for key in order if key in wide}
    return (
        _environment()
        .get_template(name)
        .render(
            captions={key: _caption(wide[key], spec["wide"]) for key, spec in specs.items()},
            provenance=_provenance(provenance),
            style=Markup(_resource("page.css")),
            script=Markup(_resource("page.js.jinja")),
            plotly=Markup(get_plotlyjs()) if specs else "",
            specs=_script_json({"templates": _templates(), "figures": specs}),
            **context,
        )
    )


def _caption(figure: go.Figure, spec: Mapping[str, Any]) -> dict[str, Any]:
    meta = figure.layout.meta or {}
    return {
        "title": meta.get("title", figure.layout.title.text or "Figure"),
        "description": meta.get("description", ""),
        "notes": list(meta.get("notes", [])),
        "keys": legend_keys(figure),
        "height": int(spec["layout"].get("height") or 400),
    }


def _provenance(given: Mapping[str, Any]) -> dict[str, Any]:
    seconds = {str(stage): float(value) for stage, value in (given.get("seconds") or {}).items()}
    return {
        "command": given.get("command") or "",
        "created": given.get("created") or "",
        "data": given.get("data") or "",
        "device": given.get("device") or NOT_MEASURED,
        "backend": given.get("backend") or NOT_MEASURED,
        "backend_reason": given.get("backend_reason") or "",
        "seeds": flattened(given.get("seeds") or {}),
        "versions": flattened(given.get("versions") or {}),
        "fingerprints": flattened(given.get("fingerprints") or {}),
        "seconds": [(stage, seconds_text(value)) for stage, value in seconds.items()],
        "total_seconds": seconds_text(sum(seconds.values())) if seconds else "",
        "parameters": flattened(given.get("parameters") or {}),
    }


def _spec(figure: go.Figure) -> dict[str, Any]:
    """A figure as JSON without what the page has itself: title and legend as text, a template for each theme."""
    spec = bare(figure)
    spec["layout"].pop("template", None)
    spec["layout"].pop("meta", None)
    return spec


def _templates() -> dict[str, Any]:
    return {name: template(dark=name == "dark").to_plotly_json() for name in ("light", "dark")}


def _script_json(value: object) -> Markup:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("kd_uncertainty.report", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _resource(name: str) -> str:
    return files("kd_uncertainty.report").joinpath(name).read_text(encoding="utf-8")
