"""Tables of pictures are found by what a user names, and read without being held."""

import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hydrafy.errors import DataError, FileError
from hydrafy.runtime.data import stream
from hydrafy.runtime.data.takes import Takes

datasets = pytest.importorskip("datasets")

TAKES = Takes((3, 4, 4), 3)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The library's cache, and no bars of progress."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def encoded(grey: int, form: str = "PNG", mode: str = "RGB", size: int = 4) -> bytes:
    file = io.BytesIO()
    Image.new("L", (size, size), grey).convert(mode).save(file, form)
    return file.getvalue()


def table(greys: Sequence[int], labels: Sequence[int], names: Sequence[str] = ()) -> object:
    kind = datasets.ClassLabel(names=list(names)) if names else datasets.Value("int32")
    features = datasets.Features({"image": datasets.Image(), "label": kind})
    pictures = [{"bytes": encoded(grey), "path": None} for grey in greys]
    return datasets.Dataset.from_dict({"image": pictures, "label": list(labels)}, features)


def greys(source: str, takes: Takes = TAKES, split: str = "train") -> tuple[list[int], list[int]]:
    """The greys of all pictures and their labels."""
    data = stream(source, takes, split).gather()
    assert data.images.shape[1:] == (3, 4, 4) and np.ptp(data.images, axis=(1, 2, 3)).max() == 0
    return (data.images[:, 0, 0, 0] * 255).round().astype(int).tolist(), data.labels.tolist()


def tar(file: Path, samples: Sequence[dict[str, bytes]], first: int = 0) -> None:
    with tarfile.open(file, "w") as content:
        for number, sample in enumerate(samples, first):
            for ending, text in sample.items():
                info = tarfile.TarInfo(f"{number:06d}.{ending}")
                info.size = len(text)
                content.addfile(info, io.BytesIO(text))


def test_a_saved_dataset(tmp_path: Path) -> None:
    table([10, 20, 30], [0, 2, 1]).save_to_disk(tmp_path / "one")
    assert greys(str(tmp_path / "one")) == ([10, 20, 30], [0, 2, 1])
    parts = {"train": table([1, 2], [0, 1]), "test": table([3, 4], [2, 0])}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "two")
    assert greys(str(tmp_path / "two")) == ([1, 2], [0, 1])
    assert greys(str(tmp_path / "two"), split="test") == ([3, 4], [2, 0])
    assert greys(str(tmp_path / "two" / "test")) == ([3, 4], [2, 0])


def test_parquet_files_in_any_order(tmp_path: Path) -> None:
    table([10, 20, 30], [0, 2, 1]).to_parquet(tmp_path / "a.parquet")
    table([40, 50], [1, 1]).to_parquet(tmp_path / "b.parquet")
    assert greys(str(tmp_path / "a.parquet")) == ([10, 20, 30], [0, 2, 1])
    for name in ("", "*.parquet", "{a,b}.parquet"):
        found = stream(os.path.join(tmp_path, name), TAKES)
        assert found.count == 5 and found.pictures
        for some in (found, pickle.loads(pickle.dumps(found))):
            (batch,) = some.batches([3, 0, 4, 0])
            seen = (batch.images[:, 0, 0, 0] * 255).round()
            assert seen.tolist() == [40, 10, 50, 10]


def test_names_that_look_like_patterns(tmp_path: Path) -> None:
    place = tmp_path / "set [1] {a}*"
    place.mkdir()
    table([10, 20], [0, 2]).to_parquet(place / "part?.parquet")
    for name in (place, place / "part?.parquet"):
        assert greys(str(name)) == ([10, 20], [0, 2])


def test_the_parts_of_a_folder_of_parquet_files(tmp_path: Path) -> None:
    place = tmp_path / "set"
    (place / "data").mkdir(parents=True)
    (place / "test.md").write_text("hello")
    for part, grey in (("train", 10), ("validation", 20), ("test", 30)):
        table([grey, grey], [0, 1]).to_parquet(place / "data" / f"{part}-00000-of-00001.parquet")
    assert greys(str(place)) == ([10, 10], [0, 1])
    with pytest.raises(
        DataError, match=r"parts test, train, validation: .* \S+/data/\*PART\*.parq"
    ):
        stream(place, TAKES, "test")
    assert greys(str(place / "data" / "test-*.parquet"), split="test") == ([30, 30], [0, 1])


def test_shards_of_webdataset(tmp_path: Path) -> None:
    tar(tmp_path / "s-00.tar", [{"png": encoded(10 * n), "cls": b"%d" % n} for n in range(3)])
    tar(tmp_path / "s-01.tar", [{"png": encoded(90), "cls": b"1"}], first=3)
    wanted = [0, 10, 20, 90], [0, 1, 2, 1]
    for name in ("", "s-{00..01}.tar", "s-0?.tar"):
        assert greys(os.path.join(tmp_path, name)) == wanted
    assert greys(str(tmp_path / "s-01.tar")) == ([90], [1])


def test_labels_within_json(tmp_path: Path) -> None:
    samples = [
        {"jpg": encoded(80, "JPEG"), "json": json.dumps({"label": n, "width": 4}).encode()}
        for n in (2, 0)
    ]
    tar(tmp_path / "a.tar", samples)
    assert greys(str(tmp_path / "a.tar")) == ([80, 80], [2, 0])


def test_a_dataset_by_name_is_loaded_by_the_same_code(tmp_path: Path) -> None:
    place = tmp_path / "owner" / "name"
    place.mkdir(parents=True)
    table([1, 2], [0, 1]).to_parquet(place / "train.parquet")
    table([3], [2]).to_parquet(place / "test.parquet")
    assert greys(f"hf:{place}") == ([1, 2], [0, 1])
    assert greys(f"hf:{place}", split="test") == ([3], [2])
    assert greys(f"hf:{place}:test") == ([3], [2])
    with pytest.raises(FileError, match=r"hf:.*:tset cannot be read: .*tset"):
        stream(f"hf:{place}:tset", TAKES)


def test_without_a_network_a_name_is_one_sentence() -> None:
    code = (
        "from hydrafy.errors import FileError\n"
        "from hydrafy.runtime.data import stream\n"
        "from hydrafy.runtime.data.takes import Takes\n"
        "try: stream('hf:owner/name', Takes((3, 4, 4), 3))\n"
        "except FileError as error: print(error)"
    )
    words = [sys.executable, "-c", code]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.startswith("hf:owner/name cannot be read: ")
    assert "owner/name" in done.stdout[14:] and len(done.stdout.splitlines()) == 1


def test_without_the_library_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hydrafy.errors import OptionError

    monkeypatch.setitem(sys.modules, "datasets.exceptions", None)
    with pytest.raises(OptionError, match=r"pip install 'hydrafy\[datasets\]'"):
        stream(tmp_path / "a.parquet", TAKES)


@pytest.mark.parametrize("name", ["a.parquet", "b.tar", "c-{0..3}.tar", "d*.parquet"])
def test_a_table_that_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileError, match="there is no file") as caught:
        stream(tmp_path / name, TAKES)
    assert name in str(caught.value)


@pytest.mark.parametrize("name", ["a.parquet", "b.tar"])
@pytest.mark.parametrize("content", [b"", b"hello", b"PAR1" * 200])
def test_a_table_that_is_damaged(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileError, match=f"{name} cannot be read") as caught:
        stream(tmp_path / name, TAKES)
    assert "\n" not in str(caught.value)


def test_shards_that_are_cut_off_or_hold_something_else(tmp_path: Path) -> None:
    tar(tmp_path / "a.tar", [{"png": encoded(n), "cls": b"0"} for n in range(9)])
    whole = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: len(whole) // 3])
    tar(tmp_path / "words.tar", [{"png": encoded(1), "cls": b"cat"}])
    for name in ("cut.tar", "words.tar"):
        with pytest.raises(FileError, match=f"{name} cannot be read"):
            stream(tmp_path / name, TAKES)


def test_a_file_that_was_written_anew_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    table([10, 20], [0, 1]).to_parquet(file)
    assert greys(str(file))[0] == [10, 20]
    table([30, 40], [1, 0]).to_parquet(file)
    assert greys(str(file)) == ([30, 40], [1, 0])


def test_memory_does_not_grow_with_the_data(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 64, 64, 3), dtype=np.uint8)
    pictures = []
    for pixels in noise:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        pictures.append({"bytes": file.getvalue(), "path": None})
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int32")})
    columns = {"image": pictures * 10, "label": [0, 1] * 1000}
    datasets.Dataset.from_dict(columns, features).to_parquet(tmp_path / "a.parquet")
    images = stream(tmp_path / "a.parquet", Takes((3, 64, 64), 2))
    rows = np.random.default_rng(0).permutation(2000)
    seen, before = 0, 0
    for batch in images.batches(rows):
        seen += len(batch.rows)
        np.testing.assert_allclose(
            batch.images[0] * 255, noise[batch.rows[0] % 200].transpose(2, 0, 1), atol=1e-3
        )
        before = before or held()
    assert seen == 2000 and sum(file.stat().st_size for file in tmp_path.rglob("*.arrow")) > 20e6
    assert held() - before < 4e6, held() - before


def held() -> int:
    """Bytes that this process holds, mapped files left out."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))
