"""Subtitles in archives and buckets, read by several processes, after an interruption or damage: nothing is lost."""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest
from films import ENGLISH, film, lines_of_text, long_film, rows, texts_of, xml

import data_scripts

pytest.importorskip("ftfy")
pytest.importorskip("py3langid")


def test_a_zip_and_two_workers_give_the_same(load, films, tmp_path, caplog):
    one = load("opsub", films)
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as archive:
        for path in films.iterdir():
            archive.write(path, path.name)
    with caplog.at_level("INFO", logger="data_scripts"):
        two = load("opsub", tmp_path / "films.zip", num_proc=2)
    assert {split: rows.to_list() for split, rows in one.items()} == {
        split: rows.to_list() for split, rows in two.items()
    }
    assert "films kept 6" in caplog.text


def test_a_tar_plain_or_compressed_and_a_bucket_give_the_same(load, films, tmp_path):
    expected = rows(load("opsub", films))
    for ending, mode in ((".tar", "w"), (".tar.gz", "w:gz")):
        with tarfile.open(tmp_path / f"films{ending}", mode) as archive:
            archive.add(films, "films")
        found = rows(load("opsub", tmp_path / f"films{ending}"))
        assert {split: len(part) for split, part in found.items()} == {k: len(v) for k, v in expected.items()}
    bucket = fsspec.filesystem("memory")
    bucket.put(str(films), "/bucket/films", recursive=True)
    assert rows(load("opsub", "memory://bucket/films")) == expected
    bucket.pipe("/bucket/films/Film_0.srt", film(240).encode())
    assert rows(load("opsub", "memory://bucket/films")) != expected, "a changed file is read again"


def test_two_workers_give_the_same_as_one_from_a_zip(load, tmp_path, caplog):
    """Several parts, which are read from the zip at once."""
    with zipfile.ZipFile(tmp_path / "films.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(100):
            archive.writestr(f"Film_{number}.srt", long_film(number))
    one = load("opsub", tmp_path / "films.zip", min_cues=99)
    with caplog.at_level("INFO", logger="data_scripts"):
        two = load("opsub", tmp_path / "films.zip", num_proc=2)
    assert rows(one) == rows(two)
    assert "films kept 100," in caplog.text and "damaged" not in caplog.text


def interrupted(folder: Path, cache: Path) -> list[Path]:
    """The parts that a build leaves which is killed after a few."""
    code = f"from data_scripts import load_corpus; load_corpus('opsub', {str(folder)!r}, cache_dir={str(cache)!r})"
    root = Path(data_scripts.__file__).parents[1]
    build = subprocess.Popen([sys.executable, "-c", code], cwd=root, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(parts := sorted(cache.rglob("films-*.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.001)
    os.kill(build.pid, signal.SIGKILL)
    build.wait()
    assert len(parts) >= 3
    return [path.with_suffix(".arrow") for path in parts]


@pytest.fixture
def many_films(write):
    return write({f"Film_{number:03}.srt": long_film(number, 400) for number in range(150)})


def test_an_interrupted_build_goes_on_from_whole_parts(many_films, tmp_path, load):
    expected = rows(load("opsub", many_films))
    cache = tmp_path / "killed"
    trusted, *others = interrupted(many_films, cache)
    # A part that is whole is not written again: a word that is put into it comes out.
    table = data_scripts.building.parts.read_part(trusted)
    column = pa.array([f"marked-{name}" for name in table["dialogue_id"].to_pylist()])
    marked = table.set_column(0, table.schema.field(0), column)
    with pa.OSFile(str(trusted) + ".new", "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(marked)
    os.replace(str(trusted) + ".new", trusted)
    report = trusted.with_suffix(".json")
    done = json.loads(report.read_text())
    report.write_text(json.dumps({**done, "digest": data_scripts.building.parts.digest(trusted)}))
    # A broken one is.
    others[0].write_bytes(others[0].read_bytes()[:-100])
    others[1].with_suffix(".json").write_text("{")
    found = rows(data_scripts.load_corpus("opsub", many_films, cache_dir=cache))
    ids = [row["dialogue_id"] for part in found.values() for row in part]
    assert sum(name.startswith("marked-") for name in ids) == len(table)
    for part in found.values():
        for row in part:
            row["dialogue_id"] = row["dialogue_id"].removeprefix("marked-")
    assert found == expected
    assert not list(cache.rglob("*.parts")), "what is no longer needed is gone"


@pytest.mark.slow
def test_a_cluster_of_two_workers_gives_the_same(many_films, tmp_path, load):
    """From a folder, and from an address."""
    ray = pytest.importorskip("ray")
    expected = rows(load("opsub", many_films))
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        for number, films in enumerate([many_films, f"file://{many_films}"]):
            found = data_scripts.load_corpus("opsub", films, cache_dir=tmp_path / f"other_{number}", on_ray=True)
            assert rows(found) == expected
        assert ray.cluster_resources()["CPU"] == 2
    finally:
        ray.shutdown()


@pytest.mark.parametrize("ending", [".zip", ".tar"])
def test_an_archive_that_was_replaced_is_read_again(load, tmp_path, ending):
    """In the same process, which had the old one open or unpacked."""
    path = tmp_path / f"films{ending}"
    for seeds in (range(4), range(10, 17)):
        films = {f"Film_{seed}.srt": long_film(seed).encode() for seed in seeds}
        with zipfile.ZipFile(path, "w") if ending == ".zip" else tarfile.open(path, "w") as archive:
            for name, content in films.items():
                (tmp_path / name).write_bytes(content)
                archive.write(tmp_path / name, name) if ending == ".zip" else archive.add(tmp_path / name, name)
        found = {name.split(".srt")[0] for part in load("opsub", path).values() for name in part["dialogue_id"]}
        assert found == {f"Film_{seed}" for seed in seeds}


def test_a_tar_that_was_cut_short_is_not_trusted_later(load, tmp_path):
    with tarfile.open(tmp_path / "whole.tar.gz", "w:gz") as archive:
        for seed in range(20):
            (tmp_path / "film.srt").write_text(long_film(seed))
            archive.add(tmp_path / "film.srt", f"Film_{seed}.srt")
    whole = (tmp_path / "whole.tar.gz").read_bytes()
    (tmp_path / "films.tar.gz").write_bytes(whole[: len(whole) // 2])
    for _ in range(2):
        with pytest.raises(ValueError, match="films.tar.gz: cannot be read"):
            load("opsub", tmp_path / "films.tar.gz")
    (tmp_path / "films.tar.gz").write_bytes(whole)
    assert sum(len(part) for part in load("opsub", tmp_path / "films.tar.gz").values()) == 200


def test_a_link_is_read_by_its_own_name(load, films, tmp_path):
    with zipfile.ZipFile(tmp_path / "blob", "w") as archive:
        for path in films.iterdir():
            archive.write(path, path.name)
    (tmp_path / "films.zip").symlink_to(tmp_path / "blob")
    assert len(texts_of(load("opsub", tmp_path / "films.zip"))) == 720


def test_damage_is_an_error_or_counted(load, write, tmp_path, caplog):
    folder = write({f"Film_{number}.srt": long_film(number) for number in range(5)})
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    data = (tmp_path / "films.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match="cut.zip: a truncated zip, or not a zip; got .*; download it again"):
        load("opsub", tmp_path / "cut.zip")
    (tmp_path / "cut.tar.gz").write_bytes(gzip.compress(b"no tar")[:-4])
    with pytest.raises(ValueError, match="cut.tar.gz: cannot be read"):
        load("opsub", tmp_path / "cut.tar.gz")
    place = data.index(b"is there.", len(data) // 3)
    (tmp_path / "bad.zip").write_bytes(data[:place] + b"\xff\xff" + data[place + 2 :])
    write(
        {
            "cut.xml": xml(ENGLISH * 40)[:-300],
            "cut.xml.gz": gzip.compress(xml(ENGLISH * 40))[:-200],
            "rubbish.srt": random.Random(0).randbytes(20_000),
            "empty.srt": "",
        }
    )
    with caplog.at_level("INFO", logger="data_scripts"):
        load("opsub", tmp_path / "bad.zip")
        assert "files damaged 1, films kept 4" in caplog.text
        load("opsub", folder)
    assert "cut.xml dropped because it cannot be read: " in caplog.text
    assert "cut.xml.gz dropped because it cannot be read: " in caplog.text
    assert "files damaged 2, films dropped for fewer than 100 cues 2, films kept 5" in caplog.text


def test_a_text_that_is_cut_short_is_read_up_to_there(load, write, caplog):
    whole = gzip.compress(lines_of_text(90_000))
    with caplog.at_level("INFO", logger="data_scripts"):
        dataset = load("opsub", write({"en.txt.gz": whole[: len(whole) * 3 // 4]}))
    assert "files damaged 1" in caplog.text
    assert 40_000 < sum(len(texts) for part in dataset.values() for texts in part["utterances"]) < 90_000
