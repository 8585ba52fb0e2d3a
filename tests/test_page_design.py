"""What the web page of labeled dialogues promises to those who read it: who speaks, the band of all labels in color and
in words, a summary, and why an utterance has its label."""

import base64
import hashlib
import html
import re
from itertools import combinations
from pathlib import Path

import browser
import numpy as np
import pytest

from data_scripts.building.dialogues import Dialogue, Utterance
from modeling_precode.cli import palette
from modeling_precode.cli.page_parts import as_page
from modeling_precode.cli.palette import LOOKS, NEUTRAL_LOOK, looks_of

LABELS = ["anger", "joy", "neutral"]
# How people who lack one kind of cone see linear RGB (Machado, Oliveira and Fernandes, 2009).
CONES = {
    "all": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def turn(label: str, score: float = 0.8, text: str = "so", speaker: str = "", labels=LABELS, **more) -> dict:
    others = [other for other in labels if other != label]
    distribution = {other: (1 - score) / len(others) for other in others} | {label: score}
    distribution = {name: distribution[name] for name in labels}
    named = {"speaker": speaker} if speaker else {}
    return {**named, "text": text, "label": label, "score": score, "distribution": distribution, **more}


def page_of(*dialogues: list[dict], labels=LABELS, model: str = "model", starts=None) -> str:
    labeled = []
    for number, turns in enumerate(dialogues, start=1):
        times = starts or [None] * len(turns)
        said = [
            Utterance(turn["text"], turn.get("speaker"), start=time) for turn, time in zip(turns, times, strict=True)
        ]
        labeled.append((Dialogue(str(number), said), turns))
    return "".join(as_page(labeled, labels, "calls.csv", model))


def items(text: str) -> list[str]:
    return re.findall(r'<li id="d\d+u\d+".*?\n</li>', text, re.DOTALL)


def classes(item: str) -> set[str]:
    return set(re.search('class="(.*?)"', item)[1].split())


def test_the_title_says_what_the_page_is():
    assert "<title>Emotions in calls.csv</title>" in page_of([turn("joy")])


def test_two_speakers_are_on_two_sides_and_more_have_a_tint_each():
    two = items(page_of([turn("joy", speaker=name) for name in ("Ana", "Ben", "Ana")]))
    assert ["reply" in classes(item) for item in two] == [False, True, False]
    many = items(page_of([turn("joy", speaker=name) for name in ("Ana", "Ben", "Cleo", "Ben", "Dan Ek", "Eva", "Flo")]))
    tints = [next(name for name in classes(item) if re.fullmatch(r"s\d", name)) for item in many]
    assert tints == ["s0", "s1", "s2", "s1", "s3", "s4", "s5"]
    assert not any("reply" in classes(item) for item in many)
    discs = re.findall(r'class="disc" aria-hidden="true">(.*?)<', "".join(many))
    assert discs == ["AN", "BE", "CL", "BE", "DE", "EV", "FL"]


def test_the_band_stacks_all_labels_of_every_utterance_and_says_so_in_words():
    text = page_of([turn("joy", 0.6), turn("anger", 0.5), turn("neutral", 1.0)])
    layers = re.findall(r'<path class="e(\d)" d="(.*?)"', text)
    # Neutral is on top, so that emotions rise from the bottom.
    assert [label for label, _ in layers] == ["2", "0", "1"]
    assert layers[0][1].startswith("M0 0V0.0H333.3V0.0H666.7V0.0H1000.0V100.0H666.7V25.0H333.3V20.0H0.0Z")
    assert layers[2][1].startswith("M0 0V40.0H333.3V75.0H666.7V100.0H1000.0V100.0")
    [described] = re.findall('<div class="band" role="img" aria-label="(.*?)"', text)
    assert "anger 50% at utterance 2; joy 60% at utterance 1; neutral 100% at utterance 3" in described
    # Each column leads to its utterance, for a pointer; the keyboard has the list.
    assert re.findall('<a href="(#d1u.)" tabindex="-1"', text) == ["#d1u1", "#d1u2", "#d1u3"]
    assert 'title="utterance 2: anger 50%"' in text


def test_the_axis_of_the_band_has_times_where_there_are_any_and_else_numbers():
    def ticks(starts=None) -> list[str]:
        text = page_of([turn("joy") for _ in range(30)], starts=starts)
        return re.findall(">([^<]+)</span>", re.search('<p class="ticks.*</p>', text)[0])

    assert ticks() == ["1", "5", "10", "15", "20", "25", "30"]
    assert ticks([f"2025-10-18T19:{minute:02}:00" for minute in range(30)]) == [
        *("19:00", "19:06", "19:12", "19:17", "19:23", "19:29"),
    ]
    assert ticks([60.0 * minute for minute in range(30)])[-1] == "29:00"
    days = [f"2025-10-{day:02}T19:00:00" for day in range(1, 31)]
    assert ticks(days) == ["10-01 19:00", "10-15 19:00", "10-30 19:00"]


def test_the_plots_on_demand_have_round_times_of_any_length():
    for end in (0.5, 3.0, 90.0, 4_000.0, 90_000.0, 1e7, 1e9):
        text = page_of([turn("joy"), turn("joy")], starts=[0.0, end])
        assert "over time" in text, end


def test_a_long_dialogue_has_a_band_of_means():
    text = page_of([turn("joy" if place % 4 else "anger") for place in range(400)])
    assert text.count('tabindex="-1"') == 80
    assert 'title="utterances 6 to 10: joy ' in text and "means of 5 utterances each" in text


@pytest.mark.parametrize(
    "labels",
    [
        ["negative", "neutral", "positive"],
        ["Freude", "Trauer", "Wut", "Angst", "Ekel", "Überraschung", "neutral"],
        ["Joyful", "Mad", "Neutral", "Peaceful", "Powerful", "Sad", "Scared"],
        ["angry", "disgusted", "excited", "fearful", "frustrated", "happy", "neutral", "other", "sad", "surprised"],
        [f"label {number}" for number in range(28)],
    ],
)
def test_labels_of_any_set_have_a_color_and_a_name_each(labels):
    looks = [look for look in looks_of(labels) if not look.is_neutral]
    assert len({(look.light, look.dark) for look in looks}) == len(looks)
    if len(looks) <= len(LOOKS):
        assert len({look.shape for look in looks}) == len(looks)
    text = page_of([turn(label, labels=labels) for label in labels], labels=labels)
    assert all(f"<strong>{label}</strong>" in item for label, item in zip(labels, items(text), strict=True))


def linear(color: str) -> np.ndarray:
    values = np.array([int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def perceived(rgb: np.ndarray) -> np.ndarray:
    """OKLab, in which the distance of two colors is about how different they look."""
    to_cones = [[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]]
    to_lab = [[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]]
    return np.array(to_lab) @ np.cbrt(np.array(to_cones) @ np.clip(rgb, 0, 1))


@pytest.mark.parametrize("cones", CONES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_colors_of_labels_stay_apart_for_people_who_see_fewer_colors(cones, scheme):
    colors = [getattr(look, scheme) for look in (*LOOKS.values(), NEUTRAL_LOOK)]
    seen = [perceived(np.array(CONES[cones]) @ linear(color)) for color in colors]
    assert min(np.linalg.norm(one - other) for one, other in combinations(seen, 2)) > 0.07


def test_white_letters_on_the_disc_of_a_speaker_have_enough_contrast():
    style = (Path(palette.__file__).parent / "templates" / "page.css").read_text(encoding="utf-8")
    discs = re.findall(r"\.s\d \{ --speaker: (#\w{6});", style)
    assert len(discs) == 8
    for disc in discs:
        assert 1.05 / (np.array([0.2126, 0.7152, 0.0722]) @ linear(disc) + 0.05) > 4.5, disc


def test_the_summary_has_shares_speakers_and_the_strongest_moment_of_each_emotion():
    turns = [turn("joy", 0.6, "good", "Ana"), turn("joy", 0.9, "the best", "Ben"), turn("neutral", 1.0, "so", "Ana")]
    text = page_of([*turns, turn("anger", 0.7, "no " * 40, "Ana")])
    shares = re.findall(r'class="name">(\w+)</span>.*?class="value">(\d+%)', text, re.DOTALL)
    assert shares == [("neutral", "25%"), ("anger", "25%"), ("joy", "50%")]
    moments = re.findall(r'<li><a href="(.*?)">.*?<span dir="auto">(.*?)</span></a>\n<p class="facts">(.*?)</p>', text)
    assert [(href, re.sub("<.*?>", "", facts)) for href, _, facts in moments] == [
        ("#d1u2", "joy 90% · Ben, utterance 2"),
        ("#d1u4", "anger 70% · Ana, utterance 4"),
    ]
    assert moments[0][1] == "the best" and moments[1][1].endswith("no …") and len(moments[1][1]) < 100
    assert re.findall(r'<bdi>(\w+)</bdi> <span class="facts">(.*?)<', text) == [
        ("Ana", "3 utterances"),
        ("Ben", "1 utterance"),
    ]


def test_several_dialogues_have_an_index_and_one_has_none():
    text = page_of([turn("joy", speaker="Ana")], [turn("anger", 0.9, speaker="Ben"), turn("joy", speaker="Ana")])
    assert re.findall('<li><p><a href="(.*?)">(.*?)</a>', text) == [("#d1", "Dialogue 1"), ("#d2", "Dialogue 2")]
    assert "2 dialogues · 3 utterances · 2 speakers" in text
    assert "anger 90% · <bdi>Ben</bdi>, dialogue 2, utterance 1" in text
    assert "2 dialogues" not in page_of([turn("joy")])


def explained() -> list[dict]:
    words = [
        {"word": "so", "start": 5, "end": 7, "change": 0.004},
        {"word": "<happy>", "start": 8, "end": 15, "change": 0.4},
        {"word": "I'm", "start": 0, "end": 3, "change": -0.05},
    ]
    why = {"utterances": [0.12, None, -0.02, 0.001], "words": words}
    nothing = {"utterances": [0.0, 0.0, 0.0, None], "words": []}
    return [
        turn("neutral", text="Well?", speaker="Ana"),
        turn("joy", 0.7, "I'm  so <happy>, Ana", "Ben", explanation=why),
        turn("neutral", text="Oh", speaker="Ana"),
        turn("joy", 0.7, "", "Ben", explanation=nothing),
    ]


def test_an_explanation_is_in_the_words_and_beside_them_in_figures():
    _, second, _, fourth = items(page_of(explained()))
    assert re.search('<p class="text" dir="auto">(.*)</p>', second)[1] == (
        '<span class="against" style="--strength:12%">I&#39;m</span>  so '
        '<span class="for" style="--strength:100%">&lt;happy&gt;</span>, Ana'
    )
    figures = re.sub(r"\s+", " ", html.unescape(re.sub("<.*?>", " ", second[second.index('class="why"') :])))
    assert "For joy without “<happy>” 30% without utterance 1, Ana 58% " in figures
    assert "Against joy without “I'm” 75% without utterance 3, Ana 72% " in figures
    assert "“so”" not in figures and "utterance 4" not in figures
    assert "No single word and no other utterance changes it by a point." in fourth and "data-because" not in fourth


def test_only_the_pages_own_script_may_run_and_without_explanations_none():
    text = page_of(explained())
    [script] = re.findall("<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    [policy] = re.findall('http-equiv="Content-Security-Policy" content="(.*?)"', text)
    assert html.unescape(policy) == (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    assert not re.search("<script|script-src", page_of([turn("joy")]))


def test_an_explanation_by_an_utterance_on_another_page_has_no_link(monkeypatch):
    from modeling_precode.cli import excerpts
    from modeling_precode.cli.page_section import section_of

    monkeypatch.setattr(excerpts, "MOST_UTTERANCES", 1)
    turns = explained()
    dialogue = Dialogue("1", [Utterance(one["text"], one["speaker"]) for one in turns])
    second = list(excerpts.excerpts([(dialogue, turns)]))[1]
    [why] = [utterance.explanation for utterance in section_of(second, LABELS).utterances]
    assert [(cause.name, cause.href) for cause in why.supporting if not cause.is_word] == [("utterance 1", "")]
    assert why.marks == ""


@pytest.mark.skipif(browser.CHROMIUM is None, reason="needs Chromium: apt-get install chromium")
@pytest.mark.parametrize("width", [390, 1280])
def test_pointing_at_an_utterance_marks_those_that_explain_it_in_a_real_browser(tmp_path, width):
    (tmp_path / "page.html").write_text(page_of(explained()), encoding="utf-8")
    shown = browser.show(tmp_path / "page.html", width, tmp_path / "profile")
    assert shown.measured["marked"] == [["d1u1", "+12"], ["d1u3", "−2"]]
    assert shown.console == [] and shown.measured["too_wide"] == []
