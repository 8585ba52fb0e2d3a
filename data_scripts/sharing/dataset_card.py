"""The dataset card of a corpus: its source, license, content and construction."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import datasets
from datasets.info import DatasetInfosDict
from huggingface_hub import CardData, DatasetCard, DatasetCardData, RepoCard

from ..inspection.description import describe
from ..loading.corpora import CORPORA, INFO, INFO_FIELDS
from ..tools.console import printable_lines

Card = TypeVar("Card", bound=RepoCard)
NO_REDISTRIBUTION = "no-redistribution"  # the tag of a card
# The license ids of the Hub that corpora use.
HUB_LICENSES = {
    *("apache-2.0", "bsd", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "gpl-2.0", "gpl-3.0", "lgpl-3.0", "mit"),
    *("cc", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0"),
    *("cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0"),
    *("cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "odbl", "odc-by", "pddl", "unlicense"),
}
SIZES = {"n<1K": 1e3, "1K<n<10K": 1e4, "10K<n<100K": 1e5, "100K<n<1M": 1e6, "1M<n<10M": 1e7, "10M<n<100M": 1e8}
COLUMNS = {
    "dialogue_id": "unique within a split",
    "utterances": "as published",
    "speakers": 'one per utterance, "" if the corpus does not name the speaker',
    "labels": "one per utterance, -1 for an utterance without a label, which serves as context",
    "label_distributions": "the share of the annotators' votes for each label, in the order of the labels",
    "negatives": "other candidates for an utterance of the dialogue",
}
TEMPLATE = Path(__file__).with_name("dataset_card_template.md")
# Separates the licenses of several corpora. The license of a single corpus may contain a semicolon.
LICENSE_SEPARATOR = " + "


def dataset_card(corpus: datasets.DatasetDict, name: str, options: dict[str, Any], notes: Iterable[str]) -> str:
    """Create the `README.md` of a corpus: a header for the Hub and `load_dataset`, then a text for readers.

    Args:
        corpus: The splits of the corpus.
        name: One of `CORPORA`, or any other name.
        options: The options that the corpus was built with.
        notes: Sentences about further changes to the corpus.
    """
    rows = next(iter(corpus.values()))
    title, info = Path(name).name, rows.info
    restricted = is_restricted(name, info.license)
    settings = built_with(name, options)
    card = fill_template(
        DatasetCard,
        TEMPLATE,
        header(corpus, title, language_of(name, settings), restricted),
        title=title,
        description=info.description.strip(),
        homepage=info.homepage,
        columns=bullets(f"`{column}`: {COLUMNS[column]}" for column in rows.column_names if column in COLUMNS),
        stated_license=info.license,
        restricted=restricted,
        statistics=describe(corpus).markdown(),
        settings=bullets([*(f"`{option}={value!r}`" for option, value in settings.items()), *notes]),
        citation=info.citation,
    )
    return str(card)


def fill_template(kind: type[Card], template: Path, data: CardData, **facts: Any) -> Card:
    """Create a card from its header `data` and a Jinja template, filled in with `facts`."""
    card = kind.from_template(data, template_path=str(template), **facts)
    # The template leaves an empty line for every condition.
    card.text = "\n" + re.sub(r"\n{3,}", "\n\n", printable_lines(card.text)).strip("\n") + "\n"
    return card


def header(corpus: datasets.DatasetDict, title: str, language: str | None, restricted: bool) -> DatasetCardData:
    """The YAML header of a dataset card.

    Args:
        corpus: The splits of the corpus.
        title: The name to show.
        language: The code of the language, such as `en`; None if unknown.
        restricted: Whether the license forbids redistribution. The card is then tagged.
    """
    rows = next(iter(corpus.values()))
    labeled = "labels" in rows.column_names
    size = sum(map(len, corpus.values()))
    files = [{"split": split, "path": f"data/{split}-*"} for split in corpus]
    tags = ["conversation", *["emotion-recognition-in-conversations"] * labeled, *[NO_REDISTRIBUTION] * restricted]
    described: dict[str, Any] = dict(license_of(rows.info.license, rows.info.homepage))
    described |= {INFO: {field: getattr(rows.info, field) or "" for field in INFO_FIELDS}}
    data = DatasetCardData(
        pretty_name=title,
        language=language,
        task_categories=["text-classification" if labeled else "text-generation"],
        task_ids=None if labeled else ["dialogue-modeling"],
        tags=tags,
        size_categories=[next((name for name, limit in SIZES.items() if size < limit), "100M<n<1B")],
        configs=[{"config_name": "default", "data_files": files}],
        **described,
    )
    DatasetInfosDict(default=datasets.DatasetInfo(features=rows.features)).to_dataset_card_data(data)
    return data


def language_of(name: str, settings: dict[str, Any]) -> str | None:
    """The language of a published corpus. Other corpora may have any language."""
    return settings.get("language", "en") if name in CORPORA.keys() - {"custom"} else None


def license_of(license_name: str, homepage: str = "") -> dict[str, str]:
    """The fields for a license in the header of a card."""
    short = license_name.lower().replace(" ", "-")
    if not short or short in HUB_LICENSES:
        return {"license": short or "unknown"}
    link = {"license_link": homepage} if homepage and ", " not in homepage else {}  # several corpora have several
    return {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", short).strip("-"), **link}


def corpus_facts(corpus: datasets.DatasetDict, name: str) -> dict[str, Any]:
    """Facts about a training corpus for a model card: source, license, and the content of each split."""
    info = next(iter(corpus.values())).info
    splits: dict[str, dict[str, Any]] = {}
    for split, rows in corpus.items():
        columns = [column for column in ("utterances", "labels") if column in rows.column_names]
        utterances = 0
        labels: Counter[int] = Counter()
        for batch in rows.select_columns(columns).with_format("arrow").iter(10_000):
            utterances += len(batch["utterances"].combine_chunks().flatten())
            if "labels" in columns:
                labels.update(batch["labels"].combine_chunks().flatten().to_pylist())
        splits[split] = {"dialogues": len(rows), "utterances": utterances}
        if labels:
            names = rows.features["labels"].feature.names
            splits[split]["labels"] = {label: labels[number] for number, label in enumerate(names)}
    return {
        "licence": info.license or "",
        "homepage": info.homepage or "",
        "citation": (info.citation or "").strip(),
        "may_be_passed_on": not is_restricted(name, info.license),
        "splits": splits,
    }


def is_restricted(corpus: str | Path, license_name: str = "") -> bool:
    """Whether a corpus must not be redistributed.

    Args:
        corpus: The name of the corpus, or the folder to which it was exported.
        license_name: The license of the corpus, which remains if the corpus is saved and loaded under another name.
    """
    card = Path(corpus, "README.md")
    tagged = card.is_file() and NO_REDISTRIBUTION in (DatasetCard.load(card).data.tags or [])
    restricted = {name: builder.LICENSE for name, builder in CORPORA.items() if not builder.REDISTRIBUTABLE}
    return (
        tagged
        or str(corpus) in restricted
        or not set(license_name.split(LICENSE_SEPARATOR)).isdisjoint(restricted.values())
    )


def built_with(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """All options of a corpus, with defaults filled in."""
    if name not in CORPORA:
        return options
    config = CORPORA[name].BUILDER_CONFIG_CLASS(**options)
    common = {field.name for field in fields(datasets.BuilderConfig)}
    return {field.name: getattr(config, field.name) for field in fields(config) if field.name not in common}


def bullets(lines: Iterable[str]) -> str:
    """A Markdown list with one item per line."""
    return "\n".join(f"* {line}" for line in lines)
