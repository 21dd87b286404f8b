"""The folder of a training run: its settings, its history, and checkpoints, always whole."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from hydrafy.errors import FileError, OptionError

SETTINGS, HISTORY, LAST, BEST = "settings.json", "history.json", "last.ckpt", "best.ckpt"
LOCK = "lock"


class Folder:
    """Where a run is kept, so that it can go on after it was stopped at any moment.

    Each file is written beside its place and then renamed: whatever happens meanwhile, the one
    before stays.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def begun(self) -> bool:
        """Whether there is a run that can go on."""
        return (self.path / LAST).exists()

    @property
    def epochs(self) -> int:
        """How many epochs of that run are finished."""
        file = self.path / HISTORY
        return len(json.loads(file.read_text())) if file.exists() else 0

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Makes the folder, and keeps other processes off it, until this one ends at the latest.

        Raises:
            FileError: another process is at work in it, or it cannot be written.
        """
        with _writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            try:
                lock = FileLock(self.path / LOCK).acquire(timeout=0)
            except Timeout as error:
                raise FileError(
                    f"another process is at work on the run in {self.path}: wait until it ends, or "
                    "name another output"
                ) from error
        with lock:
            yield

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Throws away what an earlier run left in the folder."""
        with _writing(self.path):
            for name in (LAST, BEST, HISTORY, SETTINGS):
                (self.path / name).unlink(missing_ok=True)
        self._write(SETTINGS, lambda file: file.write_text(json.dumps(settings, indent=2)))

    def check(self, settings: Mapping[str, Any]) -> None:
        """Refuses to go on with other settings than the run was begun with.

        Raises:
            OptionError: a setting differs; it is named.
            FileError: nobody knows with which it was begun.
        """
        file = self.path / SETTINGS
        try:
            before = json.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise FileError(f"{file} cannot be read: start again with --force") from error
        now = json.loads(json.dumps(settings))
        for name in {**before, **now}:
            if before.get(name) != now.get(name):
                raise OptionError(
                    f"the run in {self.path} was begun with {name} = {before.get(name)}, not "
                    f"{now.get(name)}: give the same options, or start again with --force"
                )

    def save(self, state: Mapping[str, Any], history: object) -> None:
        """Writes where the run stands, and its epochs until then.

        Raises:
            FileError: the disk is full, or the folder cannot be written; the last one stays.
        """
        self._write(LAST, lambda file: torch.save(state, file))
        self._write(HISTORY, lambda file: file.write_text(json.dumps(history, indent=1)))

    def save_best(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Writes the weights of the best epoch.

        Raises:
            FileError: as `save`.
        """
        self._write(BEST, lambda file: torch.save(weights, file))

    def load(self) -> dict[str, Any]:
        """What `save` wrote last.

        Raises:
            FileError: it is damaged.
        """
        return _loaded(self.path / LAST)

    def load_best(self) -> dict[str, torch.Tensor] | None:
        """What `save_best` wrote last; None if nothing.

        Raises:
            FileError: it is damaged.
        """
        return _loaded(self.path / BEST) if (self.path / BEST).exists() else None

    def finish(self) -> None:
        """Drops the checkpoints, once their weights are safe elsewhere."""
        for name in (LAST, BEST):
            (self.path / name).unlink(missing_ok=True)

    def _write(self, name: str, write: Callable[[Path], object]) -> None:
        part = self.path / f"{name}.part"
        with _writing(self.path, part):
            write(part)
            with part.open("rb") as written:
                os.fsync(written.fileno())
            part.replace(self.path / name)


@contextlib.contextmanager
def _writing(folder: Path, part: Path | None = None) -> Iterator[None]:
    """Turns what can go wrong with a disk into a sentence; torch has its own errors for it."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        if part is not None:
            part.unlink(missing_ok=True)
        why = error.strerror if isinstance(error, OSError) else _free(folder)
        raise FileError(
            f"the run cannot be kept in {folder} ({why}): make room, and go on with --resume"
        ) from error


def _free(folder: Path) -> str:
    if not folder.is_dir():
        return "it is gone"
    return f"{shutil.disk_usage(folder).free // 10**6} MB are free"


def _loaded(file: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises what its unpickler does: nearly anything
        raise FileError(f"the checkpoint {file} is damaged: start again with --force") from error
    return found
