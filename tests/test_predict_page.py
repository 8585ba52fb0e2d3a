"""What the web page of labeled dialogues promises: text that stays text, times where there are any, and several pages
where one is too long."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import browser
import pytest
from test_predict import checkpoint, predict  # noqa: F401

from data_scripts import read_dialogues
from data_scripts.building.dialogues import Dialogue, Utterance
from modeling_precode.cli import excerpts, page_parts
from modeling_precode.cli.page_parts import as_page, write_pages

LABELS = ["joy", "neutral"]
TRAPS = ['<script>document.title = "trap"</script>', '<img src="http://trap.test/x" onerror="alert(1)">', "a" * 400]
CHAT = """30/04/23, 17:30 - Messages and calls are end-to-end encrypted.
30/04/23, 17:30 - Ana: 🎉🎉
30/04/23, 17:30 - Ana: I got it!
30/04/23, 17:45 - Ben: The job?
30/04/23, 18:00 - Ana: Yes 😊
"""
CAPTIONS = """WEBVTT

00:05.000 --> 00:08.000
<v Ana>Hi.

00:09.000 --> 00:12.000
<v Ben>So?

01:05.000 --> 01:08.000
<v Ana>Nothing.
"""


class Page(HTMLParser):
    """The attributes of all elements of a page, by their names."""

    def __init__(self, text: str):
        super().__init__()
        self.found: dict[str, list[dict]] = {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.setdefault(tag, []).append(dict(attributes))

    def all(self, tag: str) -> list[dict]:
        return self.found.get(tag, [])

    def elements(self) -> list[tuple[str, dict]]:
        return [(tag, attributes) for tag, found in self.found.items() for attributes in found]


def turns_of(dialogue: Dialogue) -> list[dict]:
    """Joy of 90% and of 20%, by turns."""
    turns = []
    for place, said in enumerate(dialogue.utterances):
        joy = 0.2 if place % 2 else 0.9
        turn = {"speaker": said.speaker, "text": said.text, "distribution": {"joy": joy, "neutral": 1 - joy}}
        turns.append({**turn, "label": "neutral" if place % 2 else "joy", "score": 0.8 if place % 2 else 0.9})
    return turns


def page_of(*dialogues: Dialogue) -> str:
    return "".join(as_page([(dialogue, turns_of(dialogue)) for dialogue in dialogues], LABELS, "calls", "model"))


def page_of_file(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return page_of(*read_dialogues(path))


def curve(text: str) -> list[tuple[float, float]]:
    """The points of the first plot, without the two that lead to its edges."""
    points = Page(text).all("polyline")[0]["points"].split()
    return [tuple(map(float, point.split(","))) for point in points][1:-1]


def axis(text: str) -> list[str]:
    return re.findall("<span>(.*?)</span>", re.search('<p class="axis">(.*)</p>', text)[1])


def times(text: str) -> list[str]:
    return re.findall('<span class="time">(.*?)</span>', text)


def dialogue(n_utterances: int, name: str = "call", starts=None) -> Dialogue:
    starts = starts or [None] * n_utterances
    return Dialogue(name, [Utterance(f"text {i}", "Ana", start=start) for i, start in enumerate(starts, start=1)])


def test_the_times_of_messages_are_beside_them_and_are_the_axis_of_the_plots(tmp_path):
    text = page_of_file(tmp_path / "chat.txt", CHAT)
    assert times(text) == ["17:30", "17:30", "17:45", "18:00"]
    assert axis(text) == ["17:30", "18:00"]
    # The two messages of one minute share it, so that neither hides the other.
    assert [x for x, _ in curve(text)] == [0, 5, 150, 300]
    assert [y for _, y in curve(text)] == [6, 48, 6, 48]
    assert "2023-04-30 17:30 – 18:00 · 4 utterances · 2 speakers" in text
    assert "from 0 to 100%, over time" in text
    assert 'aria-label="utterance 3, 17:45: joy 90%"' in text and "left:50.00%" in text
    assert '<th scope="row">4</th><td>2023-04-30 18:00</td>' in text
    assert 'class="day"' not in text


def test_the_times_of_a_recording_are_the_axis_of_the_plots(tmp_path):
    text = page_of_file(tmp_path / "call.vtt", CAPTIONS)
    assert times(text) == ["0:05", "0:09", "1:05"]
    assert axis(text) == ["0:05", "1:05"]
    assert [x for x, _ in curve(text)] == [0, 20, 300]


def test_a_dialogue_of_several_days_names_each_where_it_begins():
    starts = ["2023-12-31T22:00:00", "2023-12-31T23:59:00", "2024-01-01T00:01:00"]
    text = page_of(dialogue(3, starts=starts))
    assert re.findall('<p class="day">(.*?)</p>', text) == ["2023-12-31", "2024-01-01"]
    assert axis(text) == ["12-31 22:00", "01-01 00:01"]
    assert "2023-12-31 22:00 – 2024-01-01 00:01" in text


@pytest.mark.parametrize(
    "starts",
    [
        None,
        [1.0, None, 3.0],  # the place of the second is not known
        ["yesterday", "<b>", "today"],
    ],
)
def test_without_a_time_for_every_utterance_their_numbers_are_the_axis(starts):
    text = page_of(dialogue(3, starts=starts))
    assert axis(text) == ["1", "3"]
    assert [x for x, _ in curve(text)] == [50, 150, 250]
    assert "over the utterances" in text and "<b>" not in text.replace("<b>model</b>", "")


def test_utterances_that_are_not_in_the_order_of_time_are_so_in_the_plots():
    text = page_of(dialogue(3, starts=[20.0, 0.0, 10.0]))
    assert curve(text) == [(0, 48), (150, 6), (300, 6)]
    assert axis(text) == ["0:00", "0:20"] and times(text) == ["0:20", "0:00", "0:10"]


@pytest.fixture
def small_pages(monkeypatch):
    """Pages of six utterances or three dialogues."""
    monkeypatch.setattr(excerpts, "MOST_UTTERANCES", 6)
    monkeypatch.setattr(excerpts, "MOST_DIALOGUES", 3)


def write(path: Path, *sizes: int) -> None:
    dialogues = [dialogue(size, f"call {number}") for number, size in enumerate(sizes)]
    write_pages(path, ((one, turns_of(one)) for one in dialogues), LABELS, "calls", "model")


def links(path: Path) -> list[str]:
    return [link["href"] for link in Page(path.read_text(encoding="utf-8")).all("a")]


def index_links(path: Path) -> list[str]:
    return re.findall('<li><p><a href="([^"]*)">', path.read_text(encoding="utf-8"))


def test_too_many_utterances_for_a_page_are_an_index_and_pages_whose_links_all_lead_somewhere(tmp_path, small_pages):
    index = tmp_path / "all #1?.html"
    write(index, 2, 2, 14, 1, 1, 1, 1)
    pages = sorted((tmp_path / "all #1?-parts").iterdir())
    assert [page.name for page in pages] == [f"{number:04}.html" for number in range(1, 6)]
    texts = [page.read_text(encoding="utf-8") for page in pages]
    shown = [re.findall(r"Dialogue (\d+) .*?(\d+ utterances?|utterances .*? of \d+) ", text) for text in texts]
    assert shown[:4] == [
        [("1", "2 utterances"), ("2", "2 utterances")],
        [("3", "utterances 1 to 6 of 14")],
        [("3", "utterances 7 to 12 of 14")],
        [("3", "utterances 13 to 14 of 14"), ("4", "1 utterance"), ("5", "1 utterance")],
    ]
    ids = {page: set(re.findall(' id="([^"]*)"', text)) for page, text in zip(pages, texts, strict=True)}
    for page in [index, *pages]:
        for link in links(page):
            file, _, anchor = link.partition("#")
            target = (page.parent / unquote(file)).resolve() if file else page
            assert target.is_file(), link
            assert not anchor or anchor in ids[target], link
    assert "utterance 14" in texts[3] and 'id="d3u14"' in texts[3]
    assert ">Page 2 →<" in texts[0] and "←" not in texts[0] and "→" not in texts[-1]


def test_the_index_has_the_size_and_the_labels_of_every_dialogue(tmp_path, small_pages):
    write(tmp_path / "page.html", 5, 10)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "15 utterances in 2 dialogues, on 3 pages." in text
    anchors = ["0001.html#d1", "0002.html#d2", "0003.html#d2"]
    assert index_links(tmp_path / "page.html") == [f"page-parts/{anchor}" for anchor in anchors]
    whole, _, each = text.partition('<ol class="index"')
    assert re.findall(r'name">(\w+)</span>.*?value">(\d+%)', whole, re.DOTALL) == [("neutral", "47%"), ("joy", "53%")]
    assert re.findall("(?:joy|neutral) [0-9]+%", each) == [
        *("joy 60%", "neutral 40%"),
        *("neutral 50%", "joy 50%"),
        *("neutral 50%", "joy 50%"),
    ]
    assert "utterances 7 to 10 of 10" in text
    assert not any(tag in Page(text).found for tag in ("script", "img", "link", "iframe"))


def test_the_index_of_very_many_dialogues_leads_to_pages_and_not_to_each_dialogue(tmp_path, small_pages, monkeypatch):
    monkeypatch.setattr(page_parts, "MOST_ENTRIES", 6)
    write(tmp_path / "page.html", *[1] * 8)
    assert index_links(tmp_path / "page.html") == [f"page-parts/{number:04}.html" for number in (1, 2, 3)]
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Dialogues 1 to 3" in text and "Dialogues 7 to 8" in text and "8 utterances in 8 dialogues" in text


def test_a_page_in_several_files_is_whole_or_as_it_was(tmp_path, small_pages):
    path = tmp_path / "page.html"
    write(path, 10)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*.html")}
    assert len(before) == 3

    def broken():
        for _ in range(9):
            yield dialogue(5), turns_of(dialogue(5))
        raise ValueError("calls.csv:46: no text")

    with pytest.raises(ValueError, match="no text"):
        write_pages(path, broken(), LABELS, "calls", "model")
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before
    # A result that fits on one page leaves none of the earlier ones.
    write(path, 3)
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
    assert "text 3" in path.read_text(encoding="utf-8")


def test_files_of_others_in_the_folder_of_the_pages_are_kept_and_named(tmp_path, small_pages):
    (tmp_path / "page-parts").mkdir()
    (tmp_path / "page-parts" / "thesis.doc").write_text("mine")
    with pytest.raises(FileExistsError, match=r"page-parts: contains thesis.doc, .*; move it, or use another name"):
        write(tmp_path / "page.html", 10)
    assert [file.name for file in tmp_path.rglob("*")] == ["page-parts", "thesis.doc"]


def test_files_that_appear_in_the_folder_during_a_run_are_kept(tmp_path, small_pages):
    folder = tmp_path / "page-parts"

    def labeled():
        for number in range(4):
            if number == 3:
                folder.mkdir()
                (folder / "thesis.doc").write_text("mine")
            yield dialogue(5), turns_of(dialogue(5))

    with pytest.raises(FileExistsError, match=r"contains thesis.doc"):
        write_pages(tmp_path / "page.html", labeled(), LABELS, "calls", "model")
    assert [file.name for file in tmp_path.rglob("*")] == ["page-parts", "thesis.doc"]


def test_what_needs_several_files_is_not_printed_in_part(small_pages):
    with pytest.raises(ValueError, match="need several pages; use --output with the name of a .html file"):
        page_of(dialogue(4), dialogue(4))


def test_a_long_input_is_read_no_further_than_the_page_that_is_written():
    alive: list[int] = []
    read = 0

    def labeled():
        nonlocal read
        for _ in range(2_000):
            read += 1
            yield dialogue(4), turns_of(dialogue(4))

    for page in excerpts.in_pages(labeled()):
        alive.append(read)
        assert sum(len(excerpt.turns) for excerpt in page) <= excerpts.MOST_UTTERANCES
        assert read - (len(alive) - 1) * excerpts.MOST_DIALOGUES <= excerpts.MOST_DIALOGUES + 1
    assert len(alive) == 4


@pytest.mark.skipif(browser.CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
@pytest.mark.parametrize("width", [390, 1280])
def test_a_page_with_times_fits_a_phone_and_a_desktop_in_a_real_browser(tmp_path, width):
    days = [f"2023-04-{day}T17:30:00" for day in range(10, 30)]
    long = dialogue(20, starts=days)
    said = [turn._replace(speaker="Featherstonehaugh" * 6, text=turn.text * 30) for turn in long.utterances]
    (tmp_path / "page.html").write_text(page_of(long._replace(utterances=said)), encoding="utf-8")
    measured = browser.show(tmp_path / "page.html", width, tmp_path / "profile").measured
    assert (measured["width"], measured["scroll_width"], measured["too_wide"]) == (width, width, [])


def test_a_page_names_nobody_for_an_utterance_without_a_speaker(predict, tmp_path):  # noqa: F811
    (tmp_path / "a.txt").write_text("Ann: so happy\n12:30 we left\n")
    predict(tmp_path / "a.txt", "--output", tmp_path / "a.html")
    names = re.findall('<p class="speaker">.*?<bdi>(.*?)</bdi></p>', (tmp_path / "a.html").read_text(encoding="utf-8"))
    assert names == ["Ann", "–"]


@pytest.fixture
def trapped_page(predict, tmp_path) -> Path:  # noqa: F811
    """A page of dialogues whose text, names and ids would like to be more than text."""
    turns = {"utterances": ["I am so happy!", *TRAPS, ""] * 4, "speakers": ["Ann", *TRAPS[:2], "Bo", ""] * 4}
    path = tmp_path / 'tr"ap<b>.jsonl'
    path.write_text("".join(json.dumps({"dialogue_id": trap, **turns}) + "\n" for trap in TRAPS))
    predict(path, "--output", tmp_path / "page.html")
    return tmp_path / "page.html"


def test_a_page_needs_nothing_else_and_escapes_all_text(trapped_page):
    page = trapped_page.read_text(encoding="utf-8")
    elements = Page(page).elements()
    assert not {"script", "img", "link", "iframe", "b<", "object"} & {tag for tag, _ in elements}
    for tag, attributes in elements:
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        for name in ("src", "href", "action", "data"):
            assert attributes.get(name, "#").startswith("#")
    assert "url(" not in page and "@import" not in page
    # A plot for each label, and the band of all of them.
    assert sum(tag == "figure" for tag, _ in elements) == 3 * (3 + 1)
    assert sum(tag == "li" and "id" in attributes for tag, attributes in elements) == 3 * 20
    # Each label is written, not only colored, and each plot says what it shows.
    assert page.count('<p class="place">') == 60
    assert all("over the dialogue: peak" in a["aria-label"] for tag, a in elements if tag == "svg" and "role" in a)
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for tag, a in elements if tag == "a"} <= set(ids)


def test_the_plots_of_a_long_dialogue_are_means_and_those_of_an_empty_one_are_empty():
    def turn(joy: float) -> dict:
        label, shares = ("joy" if joy > 0.5 else "neutral"), {"joy": joy, "neutral": 1 - joy}
        return {"text": "so", "label": label, "score": shares[label], "distribution": shares}

    dialogues = [("1", [turn(1.0), turn(0.0)] * 200), ("2", []), ("3", [turn(0.9)])]
    labeled = [(Dialogue(name, [Utterance("so") for _ in turns]), turns) for name, turns in dialogues]
    text = "".join(as_page(labeled, ["joy", "neutral"], "calls", "model"))
    lines = [attributes["points"] for attributes in Page(text).all("polyline")]
    long, *_ = [[float(pair.split(",")[1]) for pair in line.split()] for line in lines]
    assert len(long) == 82  # 80 means, and both edges
    assert set(long) <= {24.0, 36.0}  # of 60: three of five, or two of five, are joy
    assert "means of 5 utterances each" in text
    assert lines[2] == lines[3] == ""
    assert text.count('aria-label="utterance 1: joy 90%"') == 1


@pytest.mark.skipif(browser.CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
@pytest.mark.parametrize("width", [390, 1280])
def test_a_page_fits_a_phone_and_a_desktop_in_a_real_browser(trapped_page, tmp_path, width):
    shown = browser.show(trapped_page, width, tmp_path / "profile")
    measured = shown.measured
    assert (measured["width"], measured["scroll_width"], measured["too_wide"]) == (width, width, [])
    assert shown.console == []
    assert shown.requests == []
    assert (measured["items"], measured["figures"], measured["foreign"]) == (60, 9, 0)
    assert measured["title"] == 'Emotions in tr"ap<b>.jsonl'
    assert measured["text"] == "I am so happy!"
    assert measured["font_size"] >= 16
    # Where there is room, the band is above the words and the summary beside them; on a phone, the words come first.
    assert (measured["summary_left"] >= measured["dialogue_right"]) == (width == 1280)
    assert (measured["band_top"] < measured["dialogue_top"]) == (width == 1280)
    assert measured["band_width"] > width / 2


@pytest.mark.skipif(browser.CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
def test_the_browser_would_tell_of_what_a_page_must_not_do(tmp_path):
    """That the test above can fail: a page with a script that fails, a picture from elsewhere, and a wide line."""
    page = tmp_path / "page.html"
    page.write_text(
        '<title>bad</title><div class="band"></div><aside></aside><ol class="dialogue"><li><p class="text" '
        'style="width:2000px">a</p></li></ol><img src="http://trap.test/x">'
        '<script>console.error("an error"); undefined_name()</script>'
    )
    shown = browser.show(page, 390, tmp_path / "profile")
    assert shown.measured["scroll_width"] > 390 and shown.measured["too_wide"]
    assert any("undefined_name" in line for line in shown.console)
    assert any("trap.test" in path for path in shown.requests)
    assert shown.measured["foreign"] == 2
