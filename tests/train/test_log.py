"""What cannot be logged is a sentence."""

from pathlib import Path

import pytest

from hydrafy.errors import FileError
from hydrafy.train.history import Epoch, Step
from hydrafy.train.log import PLACE, log

EPOCH = Epoch(Step(1, 1, 1, 1, 0.5, {"final": 0.5}, 0.25, {"picked": (1.0, 0.0)}), 0, 0.1, 1.0)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / PLACE).write_text("a file, where a folder should be")
    with pytest.raises(FileError, match=r"cannot be logged in .*tensorboard.*--resume"):
        log(tmp_path, (EPOCH,))


def test_figures_are_read_back_once_each(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log(tmp_path, (EPOCH,))
    log(tmp_path, (EPOCH,))  # again, after a kill
    read = EventAccumulator(str(tmp_path / PLACE)).Reload()
    assert [(e.step, e.value) for e in read.Scalars("training/loss")] == [(1, 0.5)]
    assert [e.value for e in read.Scalars("rates in training/picked.0")] == [1.0]
