"""The page: parses, fetches nothing, escapes everything, answers in order, and bears missing pieces."""

import json
import re
from html.parser import HTMLParser

import pandas as pd
import plotly.io
import pytest

from kd_uncertainty.report import make_figures, make_summary, render_report
from kd_uncertainty.report.figures import FIGURES

from .teaching import teacher_recommendation

VOID = {"meta", "br", "link", "input", "hr", "img"}
QUESTIONS = [
    "What should I do?",
    "How sure is that?",
    "Where did the uncertainty go?",
    "Does theory agree?",
    "Which teacher?",
    "Do students disobey their teacher?",
    "Reliability and quality",
    "Tables",
    "What was run",
]


class Page(HTMLParser):
    """Elements, attributes and text outside scripts; fails on tags that do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.headings: list[str] = []
        self.text = ""
        self.figures: dict = {}
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["script"]:
            if dict(self.tags[-1][1]).get("id") == "figures":
                self.figures = json.loads(data)
        elif self.open[-1:] != ["style"]:
            self.text += data
            if self.open[-1:] == ["h2"]:
                self.headings.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def render(tables, task, provenance, **options) -> str:
    taught = teacher_recommendation() if "teacher_comparison" in tables else None
    summary = make_summary(task, tables, teacher_recommendation=taught, **options)
    return render_report(summary, make_figures(tables, summary["split"]), tables, provenance)


@pytest.fixture
def html(tables, task, provenance):
    return render(tables, task, provenance)


def test_sections_come_in_the_order_of_the_questions(html):
    assert Page(html).headings == QUESTIONS


def test_every_sentence_is_on_the_page(html, tables, task):
    text = Page(html).text
    for sentence in make_summary(task, tables)["recommendation"]:
        assert sentence in text


def test_nothing_is_fetched(html):
    page = Page(html)
    for _, attributes in page.tags:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            assert not attributes.get(name, "#").startswith(("http:", "https:", "//"))
    assert not page.all("link")
    assert not page.all("iframe")
    assert all("src" not in script for script in page.all("script"))
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL).group(1)
    assert "url(" not in style
    assert "@import" not in style
    assert "mathjax" not in html[: html.index("plotly.js v")].lower()
    policy = next(meta["content"] for meta in page.all("meta") if meta.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_plotly_is_there_once(html):
    assert len(re.findall(r"\* plotly\.js v\d", html)) == 1


def test_user_strings_are_escaped_everywhere(tables, task, provenance):
    nasty = "<script>alert(1)</script>"
    frames = {
        name: frame.replace({"teacher": {"dropout": nasty}}) if "teacher" in frame else frame
        for name, frame in tables.items()
    }
    task["classes"][0] = nasty
    provenance["parameters"][nasty] = {nasty: nasty}
    provenance["command"] = f"kedro run --params {nasty}"
    plain, attacked = Page(render(tables, task, provenance)), Page(render(frames, task, provenance))
    assert len(attacked.all("script")) == len(plain.all("script")) == 3
    assert nasty in attacked.text
    html = render(frames, task, provenance)
    assert html.count(nasty) == 0
    titles = [
        note["text"] for note in attacked.figures["figures"]["uncertainty_sources"]["wide"]["layout"]["annotations"]
    ]
    assert f"<b>{nasty.replace('<', '&lt;').replace('>', '&gt;')}</b>" in titles


def test_figures_carry_alternatives_and_both_layouts(html):
    page = Page(html)
    charts = [attributes for attributes in page.all("div") if "data-figure" in attributes]
    assert {chart["data-figure"] for chart in charts} == set(FIGURES)
    for chart in charts:
        assert chart["role"] == "img"
        assert len(chart["aria-label"]) > 60
        assert set(page.figures["figures"][chart["data-figure"]]) == {"wide", "narrow"}
    assert set(page.figures["templates"]) == {"light", "dark"}


def test_tables_have_headers_and_captions(html):
    page = Page(html)
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(header.get("scope") in ("col", "row") for header in page.all("th"))


def test_light_dark_and_print(html):
    assert "@media (prefers-color-scheme: dark)" in html
    assert "@media print" in html
    assert "beforeprint" in html


def test_links_lead_somewhere(html):
    page = Page(html)
    targets = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert {link["href"].removeprefix("#") for link in page.all("a")} <= targets


def test_theory_stands_beside_minus_one_with_a_verdict(html):
    text = Page(html).text
    assert "Agrees with 1/k (slopes, beside −1)" in text
    assert "ensemble, label: −1.02 [−1.09, −0.94]" in text


def test_everything_to_reproduce_it_is_there(html, provenance):
    text = Page(html).text
    for value in (provenance["command"], provenance["device"], provenance["backend_reason"], provenance["created"]):
        assert value in text
    for name in ("teachers.training.epochs", "torch", "2.6.0", "b2d4e6f8", "1 min 11 s", "propagation"):
        assert name in text


def test_the_split_is_in_words_and_adds_up(html):
    text = Page(html).text
    found = re.search(r"variance (0\.\d+) \[.*?\] = (0\.\d+) \[.*?\] within students \+ (0\.\d+) \[", text)
    total, intra, inter = (float(value) for value in found.groups())
    assert total == pytest.approx(intra + inter, abs=1.1e-3)


def test_figures_that_were_stored_as_json_are_as_good(tables, task, provenance):
    summary = make_summary(task, tables)
    figures = make_figures(tables)
    stored = {name: plotly.io.from_json(figure.to_json()) for name, figure in figures.items()}
    first, second = (Page(render_report(summary, each, tables, provenance)) for each in (figures, stored))
    assert first.text == second.text
    assert first.figures == second.figures


def test_own_soft_labels_without_teachers_or_control(tables):
    mine = {}
    for name, frame in tables.items():
        if name not in (
            "teacher_curves",
            "teacher_metrics",
            "response_budget",
            "teacher_comparison",
            "deviations",
            "deviation_bins",
        ):
            kept = (
                frame[(frame["teacher"] == "ensemble") & (frame["num_responses"] == 1)] if "teacher" in frame else frame
            )
            mine[name] = kept.assign(teacher="mine") if "teacher" in frame else kept
    text = Page(render(mine, {"num_classes": 10}, {})).text
    assert "No number of responses can be recommended: only k = 1 was measured" in text
    assert "No fit of a/k + b" in text
    assert "control" not in text
    assert "Not measured: that takes an arm with a teacher and one with one-hot labels." in text
    assert "Not measured: the teachers were not compared" in text


def test_a_single_response_seed(tables, task, provenance):
    tables["plan"]["response_seed"] = 0
    tables["response_budget"] = tables["response_budget"].iloc[:0]
    frame = tables["variance_components"]
    frame.loc[frame["component"] == "response", ["estimate", "lower", "upper"]] = float("nan")
    text = Page(render(tables, task, provenance)).text
    assert "every arm has 1 response seed" in text
    assert "nan" not in text.lower().replace("determinant", "")


def test_missing_figures_and_tables(task):
    summary = make_summary(task, {})
    page = Page(render_report(summary, {}, {}, {}))
    assert page.headings == QUESTIONS
    assert "Nothing can be recommended" in page.text


def test_validation_split(tables, task, provenance):
    tables["reliability"] = pd.DataFrame(tables["reliability"].assign(split="validation"))
    text = Page(render(tables, task, provenance, split="validation")).text
    assert "validation split, which is also the one shown" in text


def test_where_the_control_wins_the_best_distilled_arm_stands_beside_it(tables, task, provenance):
    frame = tables["arm_metrics"]
    frame.loc[(frame["target"] == "one_hot") & (frame["metric"] == "nll"), ["estimate", "lower", "upper"]] = 0.01
    text = Page(render(tables, task, provenance)).text
    assert "Train students on the data's own labels" in text
    assert "best distilled arm, test" in text
    assert "With students trained on the data's own labels, test split" in text
    assert "With students trained on the exact mean probabilities of the ensemble teacher, test split" in text


def test_the_teacher_to_take_is_said_at_the_top_and_explained_below(tables, task, provenance):
    summary = make_summary(task, tables, teacher_recommendation=teacher_recommendation())
    text = " ".join(Page(render(tables, task, provenance)).text.split())
    top, below = text.split("Which teacher?", 1)
    assert "Take the ensemble teacher for students of this network: ensemble, k = 4" in top
    for finding in summary["teacher_recommendation"]["findings"]:
        assert finding["sentence"] in below
    assert "one-hot control" in below
    assert "Convergence noise of the students" in below
