"""What the Hub's documentation asks of a model card's metadata, as far as it can be checked without the Hub."""

import re

import yaml
from huggingface_hub.repocard_data import model_index_to_eval_results

LICENCES = {
    *("apache-2.0", "bsd-3-clause", "cc", "cc0-1.0", "cc-by-2.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0"),
    *("cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "gpl-2.0", "gpl-3.0", "mit", "other", "unknown"),
}
TASKS = {"text-classification", "feature-extraction", "fill-mask", "token-classification"}
DATASET = re.compile(r"([\w.-]+/)?[\w.-]+")


def problems(card: str) -> list[str]:
    """What is wrong with the metadata of a card, a sentence each; nothing where all is well."""
    found = re.match(r"\A---\n(.*?)\n---\n", card, re.DOTALL)
    if not found:
        return ["the card begins with no YAML between two lines of ---"]
    try:
        data = yaml.safe_load(found[1])
    except yaml.YAMLError as error:
        return [f"no YAML: {error}"]
    if not isinstance(data, dict):
        return ["the metadata is no mapping"]
    wrong = []
    if data.get("license", "unknown") not in LICENCES:
        wrong.append(f"license {data.get('license')!r} is none of {sorted(LICENCES)}")
    if data.get("license") == "other" and not re.fullmatch(r"[a-z0-9.-]+", data.get("license_name") or ""):
        wrong.append(f"license other needs a license_name; got {data.get('license_name')!r}")
    languages = data.get("language", [])
    for language in [languages] if isinstance(languages, str) else languages:
        if not re.fullmatch(r"[a-z]{2,3}|code|multilingual", str(language)):
            wrong.append(f"language {language!r} is no ISO 639 code")
    if "pipeline_tag" in data and data["pipeline_tag"] not in TASKS:
        wrong.append(f"pipeline_tag {data['pipeline_tag']!r} is none of {sorted(TASKS)}")
    for name in ("tags", "datasets", "metrics"):
        if not isinstance(data.get(name, []), list) or not all(isinstance(item, str) for item in data.get(name, [])):
            wrong.append(f"{name} is no list of strings; got {data[name]!r}")
    wrong += [f"datasets: {name!r} is no id" for name in data.get("datasets", []) if not DATASET.fullmatch(str(name))]
    return wrong + (model_index_problems(data["model-index"]) if "model-index" in data else [])


def model_index_problems(model_index: list) -> list[str]:
    try:
        name, results = model_index_to_eval_results(model_index)
    except (KeyError, TypeError, ValueError) as error:
        return [f"model-index: {type(error).__name__} {error}"]
    wrong = [] if name else ["model-index: no name"]
    for result in results:
        if not DATASET.fullmatch(result.dataset_type):
            wrong.append(f"model-index: dataset.type {result.dataset_type!r} is no id")
        if not isinstance(result.metric_value, int | float) or isinstance(result.metric_value, bool):
            wrong.append(f"model-index: {result.metric_type} is no number; got {result.metric_value!r}")
    return wrong
