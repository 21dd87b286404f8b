"""Patterns name the files that exist."""

from pathlib import Path

import pytest

from hydrafy.errors import FileError
from hydrafy.runtime.data.shards import named


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("a-{08..10}.tar", ["a-08.tar", "a-09.tar", "a-10.tar"]),
        ("a-{8..9}.tar", []),
        ("{b,a}-08.*", ["b-08.tar", "a-08.tar", "a-08.txt"]),
        ("{a,b}-{08..09}.tar", ["a-08.tar", "a-09.tar", "b-08.tar"]),
        ("*.tar", ["a-08.tar", "a-09.tar", "a-10.tar", "b-08.tar"]),
        ("b-08.tar", ["b-08.tar"]),
        ("c.tar", []),
    ],
)
def test_a_pattern_stands_for_files(tmp_path: Path, pattern: str, wanted: list[str]) -> None:
    for name in ("a-08.tar", "a-09.tar", "a-10.tar", "a-08.txt", "b-08.tar"):
        (tmp_path / name).touch()
    assert named(str(tmp_path / pattern)) == [str(tmp_path / name) for name in wanted]


def test_a_file_of_exactly_that_name_is_meant(tmp_path: Path) -> None:
    for name in ("a[0].tar", "a0.tar", "b{1,2}.tar", "b1.tar"):
        (tmp_path / name).touch()
    for name in ("a[0].tar", "b{1,2}.tar"):
        assert named(str(tmp_path / name)) == [str(tmp_path / name)]


def test_a_shard_that_is_not_there_is_missed(tmp_path: Path) -> None:
    for number in (0, 2):
        (tmp_path / f"train-{number:03d}.tar").touch()
    with pytest.raises(FileError, match=r"2 of the 4 files .*the first is .*train-001\.tar"):
        named(str(tmp_path / "train-{000..003}.tar"))
    assert named(str(tmp_path / "test-{000..003}.tar")) == []
