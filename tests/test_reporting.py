"""The page at the end of a training holds its curves and what the model does, and needs nothing else."""

import json
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from zoo.discovery.components import make_dataset
from zoo.errors import UsageError
from zoo.models.checkpoint import load
from zoo.reporting.chart import chart
from zoo.reporting.page import report
from zoo.reporting.pictures import pictures_of
from zoo.reporting.sheets import TILE, sheet
from zoo.training.train import train


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.source = [], [], text
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def titles(self):
        """The titles of the charts."""
        return re.findall(r"<title>([^<]*)</title><text", self.source)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def page(tmp_path_factory, plugins, make_recipe):
    folder = tmp_path_factory.mktemp("reported") / "a<run>"
    train(make_recipe(validate_every=5), folder, plugins=plugins)
    return Page(report(folder, plugins=plugins).read_text())


def test_the_page_has_a_curve_a_term_and_one_for_held_out_metrics(page):
    titles = re.findall(r"loss|error_left|error_right|size|validation\.\w+", " ".join(page.words))
    assert {"loss", "error_left", "error_right", "size", "validation.error", "validation.rows"} <= set(titles)
    assert len(page.all("polyline")) == 5
    assert "The same at every step: validation.rows 32." in page.words


def test_the_page_fetches_nothing_and_runs_nothing(page):
    assert not page.all("script")
    assert not page.all("link")
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.all("img"))


def test_the_page_shows_what_is_rebuilt_of_each_input(page):
    assert [image["alt"].split(":")[0] for image in page.all("img")] == ["right", "left"]


def test_the_page_names_its_run_as_text(page):
    assert "a<run>" in page.words


def test_a_shared_space_shows_what_was_asked_and_found(make_recipe, plugins, tmp_path):
    train(make_recipe("toy-alignment"), tmp_path, plugins=plugins)
    images = Page(report(tmp_path, plugins=plugins).read_text()).all("img")
    assert [image["alt"].split(":")[0] for image in images] == ["right to left", "left to right"]


def test_a_run_of_one_step_has_a_page(make_recipe, plugins, tmp_path):
    train(make_recipe(steps=1), tmp_path, plugins=plugins)
    assert report(tmp_path, plugins=plugins) == tmp_path / "report.html"


def test_a_folder_without_a_checkpoint_is_refused(tmp_path, plugins):
    with pytest.raises(UsageError, match="holds no checkpoint"):
        report(tmp_path, plugins=plugins)


def test_a_page_that_cannot_be_drawn_loses_no_training(zoo, recipe_file, tmp_path, monkeypatch, caplog):
    from zoo_toy.modality import VectorsModality

    def no_font(self, value):
        raise OSError("cannot open resource")

    monkeypatch.setattr(VectorsModality, "draw", no_font)
    result = zoo("train", recipe_file(), "--out", tmp_path / "run")
    assert (result.exit_code, result.stdout.count("\n")) == (0, 1)
    assert "the report lacks pictures, since they cannot be drawn: cannot open resource" in caplog.text
    page = Page((tmp_path / "run/report.html").read_text())
    assert page.all("polyline")
    assert "Pictures are left out, since they cannot be drawn: cannot open resource" in page.words


def test_a_page_that_cannot_be_written_loses_no_training(zoo, recipe_file, tmp_path, monkeypatch):
    def full(path):
        raise OSError("no space left")

    monkeypatch.setattr("zoo.reporting.page.staged_file", full)
    result = zoo("train", recipe_file(), "--out", tmp_path / "run")
    assert (result.exit_code, result.stdout.count("\n")) == (0, 1)
    assert "there is no report: no space left" in result.stderr


def test_the_command_tells_where_the_page_is(zoo, recipe_file, tmp_path):
    result = zoo("train", recipe_file(), "--out", tmp_path / "run")
    assert f"the report is {tmp_path / 'run/report.html'}" in result.stderr


def test_pictures_leave_a_model_in_the_mode_that_it_is_in(make_recipe, plugins, tmp_path):
    samples = make_dataset(make_recipe().data, plugins).split("validation")[:4]
    model = load(train(make_recipe(steps=1), tmp_path, plugins=plugins), plugins=plugins).model
    model.objective.train()
    assert list(pictures_of(model, samples))
    assert all(part.training for part in model.objective.modules())


def test_equal_answers_are_one(make_recipe, plugins, tmp_path):
    samples = make_dataset(make_recipe().data, plugins).split("validation")[:8]
    model = load(train(make_recipe("toy-alignment"), tmp_path, plugins=plugins), plugins=plugins).model
    assert all("the nearest of 8 answers" in picture.title for picture in pictures_of(model, [*samples, *samples]))


def test_a_sheet_fits_values_into_tiles_and_frames_some():
    red = Image.new("RGB", (8, 4), "red")
    page = sheet([[red, red], [red, red]], framed=[(1, 0)])
    pixels = np.asarray(page)
    green = (pixels == (21, 128, 61)).all(axis=-1)
    assert page.size == (2 * TILE + 12, TILE + 12)
    assert green[TILE // 2 + 4 :, : TILE + 6].any()
    assert not green[: TILE // 2 + 4].any()
    assert not green[:, TILE + 6 :].any()


def test_lines_of_text_take_two_tiles_and_little_height():
    line = Image.new("RGB", (232, 40), "white")
    line.paste((0, 0, 0), (10, 10, 190, 30))
    square = Image.new("RGB", (200, 200), "red")
    assert sheet([[line, square], [line, square]]).size == (3 * TILE + 16, 2 * TILE + 12)
    assert sheet([[line], [line]]).size == (2 * TILE + 12, 2 * TILE // 4 + 12)
    assert sheet([[line], [line], [line], [line]], rows_together=2).height > sheet([[line]] * 4).height


def test_queries_are_shown_from_the_best_answered_to_the_worst(make_recipe, plugins, tmp_path, monkeypatch):
    samples = make_dataset(make_recipe().data, plugins).split("validation")
    model = load(train(make_recipe("toy-alignment"), tmp_path, plugins=plugins), plugins=plugins).model
    sheets = []
    monkeypatch.setattr(
        "zoo.reporting.pictures.sheet", lambda rows, framed: sheets.append(framed) or Image.new("RGB", (1, 1))
    )
    list(pictures_of(model, samples))
    for framed in sheets:
        assert framed
        assert framed == sorted(framed)
        assert [column for _, column in framed] == sorted(column for _, column in framed)


def test_a_chart_of_two_decades_is_logarithmic():
    plain, wide = chart("loss", {"loss": [(1, 1.0), (9, 50.0)]}), chart("loss", {"loss": [(1, 1.0), (9, 500.0)]})
    assert "logarithmic" not in plain
    assert "loss, logarithmic" in wide


@pytest.mark.parametrize("values", [[0.0, 0.0], [-3.0, 2.0], [1e-30, 1e30], [5.0]])
def test_a_chart_stays_in_its_frame(values):
    drawn = chart("x", {"x": [(step + 1, value) for step, value in enumerate(values)]})
    points = re.search(r"points='([^']*)'", drawn).group(1).split()
    for point in points:
        x, y = map(float, point.split(","))
        assert math.isfinite(x)
        assert 0 <= x <= 460
        assert 0 <= y <= 240


def test_a_chart_writes_round_numbers_at_its_side():
    words = Page(chart("loss", {"loss": [(1, 0.3), (120, 7.05)]})).words
    assert {"0", "2", "4", "6", "20", "120", "step"} <= set(words)


def test_a_chart_names_its_lines_where_there_are_several():
    one, two = chart("a", {"b": [(1, 1.0)]}), chart("a", {"b": [(1, 1.0)], "c": [(1, 2.0)]})
    assert "b" not in Page(one).words
    assert {"b", "c"} <= set(Page(two).words)


def test_few_points_are_dots():
    assert len(Page(chart("loss", {"loss": [(1, 2.0)]})).all("circle")) == 1
    assert not Page(chart("loss", {"loss": [(step, 2.0) for step in range(30)]})).all("circle")


def test_related_metrics_share_a_chart_and_what_is_not_finite_is_left_out(make_recipe, plugins, tmp_path):
    train(make_recipe(steps=1), tmp_path, plugins=plugins)
    measured = {"recall@1": 0.25, "recall@5": 0.5, "chance@5": 0.125, "gallery": 40.0, "rank": math.nan}
    line = {"step": 1, "loss": 2.5, **{f"validation.{name}": value for name, value in measured.items()}}
    (tmp_path / "log.jsonl").write_text(json.dumps(line) + "\n")
    titles = Page(report(tmp_path, plugins=plugins).read_text()).titles
    assert titles == ["loss", "validation.recall", "validation.gallery"]


def test_what_is_the_same_at_every_step_is_told_in_words_and_not_plotted(make_recipe, plugins, tmp_path):
    train(make_recipe(steps=1), tmp_path, plugins=plugins)
    measured = {"recall@1": 0.25, "chance@1": 0.125, "gallery": 40.0}
    lines = [
        {"step": step, "loss": 2.5 / step, "scale": 1.0, **{f"validation.{key}": n for key, n in measured.items()}}
        for step in (1, 2, 3)
    ]
    lines[2]["validation.recall@1"] = 0.5
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    page = Page(report(tmp_path, plugins=plugins).read_text())
    assert page.titles == ["loss", "validation.recall"]
    assert "chance" in page.words
    assert "The same at every step: scale 1, validation.gallery 40." in page.words


def test_the_page_tells_what_is_left_out_of_the_data(make_recipe, plugins, tmp_path):
    train(make_recipe(steps=1), tmp_path, plugins=plugins)
    line = {"values": 100, "truncated": 12, "tokens": 800, "unknown": 40, "options": {}}
    with (tmp_path / "log.jsonl").open("a") as stream:
        stream.write(json.dumps({"step": 0, "unread": {"caption": line}}) + "\n")
    words = Page(report(tmp_path, plugins=plugins).read_text()).words
    assert "caption: 12 of 100 values truncated, 40 unknown tokens of 800" in words


def test_a_term_and_its_held_out_value_share_a_chart(make_recipe, plugins, tmp_path):
    train(make_recipe(steps=1), tmp_path, plugins=plugins)
    (tmp_path / "log.jsonl").write_text('{"step": 1, "loss": 2.5}\n{"step": 1, "validation.loss": 3.5}\n')
    page = Page(report(tmp_path, plugins=plugins).read_text())
    assert page.titles == ["loss"]
    assert {"training", "validation"} <= set(page.words)


def test_the_page_tells_what_was_skipped_and_how_long_it_took(make_recipe, plugins, tmp_path):
    train(make_recipe(data={"broken_at": 3}), tmp_path, skip_bad_samples=True, plugins=plugins)
    page = Page(report(tmp_path, took_s=2.5, plugins=plugins).read_text())
    assert "1, listed in skipped.jsonl" in page.words
    assert "2.5 s" in page.words
    assert len(page.all("img")) == 2  # of the samples that can be read


def test_data_without_held_out_samples_show_those_of_training(make_recipe, plugins, tmp_path, monkeypatch):
    from zoo_toy.dataset import ToyDataset

    train(make_recipe(steps=1), tmp_path, plugins=plugins)
    split = ToyDataset.split
    monkeypatch.setattr(ToyDataset, "split", lambda data, name: split(data, {"train": "train"}[name]))
    words = Page(report(tmp_path, plugins=plugins).read_text()).words
    assert "toy; pictures below are of the split 'train'" in words


def test_a_text_is_not_blown_up():
    word = Image.new("RGB", (256, 52), "white")
    word.paste((0, 0, 0), (12, 12, 32, 32))
    assert (np.asarray(sheet([[word]])) == 0).all(axis=-1).sum() == 20 * 20
