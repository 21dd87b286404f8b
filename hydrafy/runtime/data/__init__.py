"""Images and labels from what a user names: the digits, a file, a folder, a table, or arrays."""

import os
from pathlib import Path

from hydrafy.errors import DataError
from hydrafy.runtime.data.archive import from_archive
from hydrafy.runtime.data.arrays import from_memory
from hydrafy.runtime.data.digits import DIGITS, Split, from_digits
from hydrafy.runtime.data.folder import from_folder
from hydrafy.runtime.data.huggingface import is_table, open_table
from hydrafy.runtime.data.table import from_table
from hydrafy.runtime.data.takes import Takes
from hydrafy.train.data import Array, Data, Stream

Source = str | os.PathLike[str] | Array | Data


def stream(source: Source, takes: Takes, split: Split = "train") -> Stream:
    """Images, and labels where the network's classes are given, to be read one after the other.

    Args:
        source: `digits` (1,797 handwritten digits of 8x8 greys, enlarged to the network's input);
            an .npz file with arrays `x` (uint8 [N, H, W, C] or [N, C, H, W], or float
            [N, C, H, W], which is taken as it stands), `y` (integers [N]) and perhaps `classes`
            (their names); a folder of pictures, of one folder for each class where labels matter;
            a table of pictures, as `open_table` finds it: .parquet files, WebDataset's .tar shards,
            or a dataset of Hugging Face's; or such an array x itself.
        takes: what images and labels have to fit.
        split: the training or the test part of the digits, and of a table that has parts.
            Everything else is taken whole.

    Raises:
        OptionError: a library is missing that the source needs.
        FileError: there is no such file, or it cannot be read.
        DataError: what is in it does not fit the network.
    """
    norm, channels = takes.normalisation, takes.shape[0]
    if norm is not None and {len(norm.mean), len(norm.std)} != {channels}:
        raise DataError(
            f"the normalisation has {len(norm.mean)} means and {len(norm.std)} standard "
            f"deviations, but the model's images have {channels} channels"
        )
    if not isinstance(source, str | os.PathLike):
        return from_memory(source, takes)
    text = os.fspath(source)
    if text == DIGITS:
        return from_digits(takes, split)
    if is_table(text):
        return from_table(text, open_table(text, split), takes)
    place = Path(text)
    return from_folder(place, takes) if place.is_dir() else from_archive(place, takes)
