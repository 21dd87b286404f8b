import pytest

from hydrafy.report import tables


def test_rows_that_differ_only_in_numbers_become_one() -> None:
    rows = [("stem", "1"), *((f"branches.{i}", "7") for i in range(12)), ("branches.12", "8")]
    assert tables.alike(rows) == [
        ["stem", "1"], ["branches.0 to branches.11", "7"], ["branches.12", "8"],
    ]  # fmt: skip


def test_brackets_in_names_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    tables.show(tables.table(("file",), [("a[bold]b[/].npy[3]",)]))
    assert "a[bold]b[/].npy[3]" in capsys.readouterr().out


def test_numbers_are_aligned_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    tables.show(tables.table(("name", "MACs"), [("a", "7"), ("b", "1234567")], numbers=1))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].endswith("      7")
    assert lines[2].endswith("1234567")
