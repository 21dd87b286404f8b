from pathlib import Path

import pytest

from hydrafy.errors import FileError, OptionError
from hydrafy.train.schedule import Phase
from hydrafy.train.schedule_files import find, names

ONE = """
[[phases]]
epochs = 3
batch_size = 4
optimiser = "sgd"
learning_rate = 1
"""


def rates(name: str, *epochs: int) -> list[list[float]]:
    """The rate in the first step of some epochs, of each phase; steps are whole epochs."""
    return [[p.learning_rate * p.share(e, 1) for e in epochs] for p in find(name).phases]


def test_the_default_is_a_short_gentle_adamw() -> None:
    (phase,) = find("default").phases
    assert phase == Phase(
        epochs=10, batch_size=64, optimiser="adamw", learning_rate=1e-3, weight_decay=1e-4,
        decay="cosine", warm_up=0.05,
    )  # fmt: skip


def test_dynk_decays_as_its_paper_says() -> None:
    (cifar,) = rates("dynk-cifar", 0, 79, 80, 139, 140, 169, 170, 179, 180, 189)
    assert cifar == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5, 1e-6, 1e-6, 0.5e-6, 0.5e-6])
    (imagenet,) = rates("dynk-imagenet32", 39, 40, 59, 60, 69)
    assert imagenet == pytest.approx([1e-3, 1e-4, 1e-4, 1e-5, 1e-5])
    (food,) = rates("dynk-food", 59, 60, 79, 80, 89, 90)
    assert food == pytest.approx([1e-3, 1e-4, 1e-4, 1e-5, 1e-5, 1e-6])
    assert rates("dynk-cub", 99, 100, 159) == [pytest.approx([1e-3, 1e-4, 1e-4])]


def test_bypass_exits_and_slice_divide_by_ten() -> None:
    fall = pytest.approx([0.1, 0.01, 0.01, 0.001])
    assert rates("bypass-imagenet", 29, 30, 59, 60) == [fall]
    assert rates("bypass-imagenet", 89, 90) == [pytest.approx([1e-3, 1e-4])]
    assert rates("exits-cifar", 149, 150, 224, 225)[0] == fall
    assert rates("exits-cifar", 89, 90, 134, 135)[1] == fall
    assert rates("exits-imagenet", 29, 30, 59, 60) == [fall, fall]
    assert rates("slice-cifar", 149, 150, 224, 225) == [fall]
    assert rates("slice-imagenet", 29, 30, 59, 60) == [fall]
    assert rates("slice-cub", 74, 75, 112, 113) == [fall]


@pytest.mark.parametrize(
    ("name", "epochs", "batch_size", "weight_decay"),
    [
        ("dynk-cifar", [190], 32, 1e-2),
        ("dynk-food", [100], 32, 1e-2),
        ("dynk-imagenet32", [70], 32, 1e-2),
        ("dynk-cub", [160], 32, 1e-2),
        ("bypass-cifar", [350], 256, 5e-4),
        ("bypass-imagenet", [100], 256, 1e-4),
        ("exits-cifar", [300, 180], 64, 1e-4),
        ("exits-imagenet", [90, 90], 256, 1e-4),
        ("slice-cifar", [300], 64, 1e-4),
        ("slice-cub", [150], 64, 1e-4),
        ("slice-imagenet", [90], 96, 1e-4),
    ],
)
def test_presets_have_the_sizes_of_their_papers(
    name: str, epochs: list[int], batch_size: int, weight_decay: float
) -> None:
    phases = find(name).phases
    assert [p.epochs for p in phases] == epochs
    assert {p.batch_size for p in phases} == {batch_size}
    assert {p.weight_decay for p in phases} == {weight_decay}
    adamw = name.startswith("dynk")
    assert {p.optimiser for p in phases} == {"adamw" if adamw else "sgd"}
    assert {p.momentum for p in phases} == {0.0 if adamw else 0.9}
    assert {p.nesterov for p in phases} == {name.startswith(("exits", "slice"))}


def test_each_preset_names_its_source_and_only_exits_freezes() -> None:
    assert len(names()) == 12
    for name in names():
        schedule = find(name)
        assert schedule.name == name
        assert schedule.source
        patterns = [(p.frozen, p.trained) for p in schedule.phases]
        expected = [((), ())]
        assert patterns == ([*expected, ((), ("@classifiers",))] if "exits" in name else expected)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(OptionError, match="no schedule 'dynk-cifr': did you mean 'dynk-cifar'"):
        find("dynk-cifr")


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "my schedule"  # any name will do, if it is there
    more = 'decay = "steps"\nmilestones = [[1, 0.5], [2.5, 1e-2]]\nfrozen = ["stem.*"]\nclip = 1'
    path.write_text(f'source = "me"\n{ONE}{more}\n{ONE}')
    schedule = find(str(path))
    assert (schedule.name, schedule.source, schedule.chosen) == (str(path), "me", "")
    first, second = schedule.phases
    assert first.milestones == ((1, 0.5), (2.5, 0.01))
    assert (first.frozen, first.clip) == (("stem.*",), 1)
    assert second == Phase(epochs=3, batch_size=4, optimiser="sgd", learning_rate=1)
    hash(schedule)  # lists became tuples


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lacks the key 'phases'"),
        ("phases = []", "has no phase"),
        ("phases = 3", "phases is no list: begin each phase with"),
        ("phases = [3]", "phase 1 is no table"),
        (f"sauce = 'x'\n{ONE}", "has no key 'sauce': did you mean 'source'"),
        (f"{ONE}learning_rat = 2", "phase 1 has no key 'learning_rat': did you mean 'learning_r"),
        (ONE + ONE.replace("epochs = 3", ""), "phase 2 lacks the key 'epochs'"),
        (ONE.replace("3", "3.5"), "phase 1: epochs = 3.5 makes no sense: give a whole number"),
        (ONE.replace("3", "true"), "epochs = True makes no sense: give a whole number"),
        (ONE.replace("1\n", "'1'\n"), "learning_rate = '1' makes no sense: give a number"),
        (f"{ONE}nesterov = 1", "nesterov = 1 makes no sense: give true or false"),
        (f"{ONE}decay = ['steps']", "give a text"),
        (f"{ONE}frozen = 'stem'", "frozen = 'stem' makes no sense: give a list of texts"),
        (f"{ONE}milestones = [1, 2]", "makes no sense: give pairs of epoch and factor"),
        (f"{ONE}momentum = 2", "phase 1: momentum = 2 makes no sense: use one from 0 to 1"),
    ],
)
def test_what_a_file_gets_wrong_is_said_in_a_sentence(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "my.toml"
    path.write_text(text)
    with pytest.raises(OptionError, match=message) as caught:
        find(str(path))
    assert str(caught.value).startswith(f"schedule {path}")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"mine\.toml cannot be read: No such file"):
        find(str(tmp_path / "mine.toml"))
    path = tmp_path / "bad.toml"
    path.write_text("epochs = \nphases = 1")
    with pytest.raises(
        FileError, match=r"bad\.toml is no schedule in TOML: Invalid value .*line 1"
    ):
        find(str(path))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(FileError, match=r"bad\.toml is no schedule in TOML: 'utf-8' codec"):
        find(str(path))


def test_no_preset_clips_and_only_the_default_warms_up() -> None:
    for name in names():
        for phase in find(name).phases:
            assert phase.clip is None
            assert bool(phase.warm_up) == (name == "default")
