"""A pretrained network gets its BatchNormalizations back: same function, and it can be trained."""

import dataclasses
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hydrafy.errors import ModelError
from hydrafy.execute.session import Session
from hydrafy.ir.manifest import LossTerm, Normalisation
from hydrafy.ir.program import Program
from hydrafy.passes import base
from hydrafy.passes.batchnorm import RestoreBatchNorm
from hydrafy.passes.lower.batchnorm import FoldBatchNorm
from hydrafy.runtime.convert import convert
from hydrafy.runtime.data import stream
from hydrafy.runtime.data.takes import Takes
from hydrafy.runtime.lower import lower_program
from hydrafy.runtime.measure import moments
from hydrafy.runtime.read import read
from hydrafy.train.data import Data
from hydrafy.train.fit import fit
from hydrafy.train.importer import to_torch
from hydrafy.train.loader import Examples
from hydrafy.train.losses import Losses
from tests.train.problems import options
from tests.train.problems import stream as held

IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.fixture(scope="module")
def images(data: Path) -> dict[str, Data]:
    """The images of cifar10_small for training and testing, as the networks take them."""
    spec = importlib.util.spec_from_file_location("load", data / "load.py")
    assert spec is not None and spec.loader is not None
    load = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(load)
    found: dict[str, Any] = load.load_small(data / "cifar10_small.npz")
    return {
        part: Data(
            IMAGENET.apply(found[f"x_{part}"].transpose(0, 3, 1, 2).astype(np.float32) / 255),
            found[f"label_{part}"].astype(np.int64),
        )
        for part in ("train", "test")
    }


@pytest.fixture(scope="module")
def folded(data: Path) -> Program:
    """A pretrained ResNet-20 as exporters leave it."""
    return base.run(read(data / "models" / "resnet20_cifar10.onnx"), [FoldBatchNorm()])


@pytest.fixture(scope="module")
def restored(folded: Program, images: dict[str, Data]) -> Program:
    source = stream(images["train"], Takes((3, 32, 32)))
    found = moments(folded, source, lambda *_: None)
    return base.run(folded.clone(), [RestoreBatchNorm(found)])


def logits(program: Program, x: np.ndarray) -> np.ndarray:
    return next(iter(Session(program).run({program.data_inputs[0].name or "": x}).values()))


def norms(program: Program) -> int:
    return sum(node.op_type == "BatchNormalization" for node in program.graph)


def test_outputs_and_accuracy_stay(
    folded: Program, restored: Program, images: dict[str, Data]
) -> None:
    assert (norms(folded), norms(restored)) == (0, 19)
    before, after = (logits(program, images["test"].images) for program in (folded, restored))
    assert np.abs(before - after).max() <= 1e-4 * np.abs(before).max()
    right = images["test"].labels
    hits = [float((scores.argmax(1) == right).mean()) for scores in (before, after)]
    assert hits[0] == hits[1] == 0.91


def test_statistics_are_those_of_the_batches_to_come(
    restored: Program, images: dict[str, Data]
) -> None:
    """Training mode starts where eval mode is, on images that were not measured."""
    module = to_torch(restored)
    x = torch.from_numpy(images["test"].images[:256])
    with torch.no_grad():
        still, moving = module.eval()(x)["logits"], module.train()(x)["logits"]
    assert float((still - moving).abs().mean() / still.abs().mean()) < 0.1
    agree = (still.argmax(1) == moving.argmax(1)).float().mean()
    assert float(agree) > 0.95
    assert not torch.equal(still, moving)  # statistics of the batch, not the running ones


def test_it_trains(restored: Program, images: dict[str, Data]) -> None:
    """On images that the network has not seen, from the loss that it has on them."""
    module = to_torch(restored)
    losses = Losses((LossTerm("final", "logits", 1.0),))
    new = images["test"]
    some = held(Data(new.images[:256], new.labels[:256]))
    history = fit(module, losses, Examples(some), options(3, 64))
    first, _, last = (epoch.step for epoch in history.epochs)
    assert last.loss < 0.7 * first.loss and first.loss < 0.6
    assert last.accuracy > first.accuracy > 0.85


def test_lowering_folds_them_again(folded: Program, images: dict[str, Data]) -> None:
    options = {"branches": 4, "k": 2, "split": "stage3"}
    plain = convert(folded, "dynk", **options)
    made = convert(
        folded, "dynk", restore_batchnorm=images["train"].images[:200], **options
    )  # by the same road
    assert norms(made) > norms(plain) + 19
    files = [lower_program(program)[0] for program in (plain, made)]
    sizes = [file.weight_bytes() for file in files]
    assert sizes[0] == sizes[1]
    kinds = [[node.op_type for node in file.graph.all_nodes()] for file in files]
    assert kinds[0] == kinds[1]
    bare = [dataclasses.replace(file.manifest, journal=()) for file in files]
    for file, manifest in zip(files, bare, strict=True):
        file.manifest = manifest
    lengths = [len(file.to_onnx().SerializeToString()) for file in files]
    assert abs(lengths[0] - lengths[1]) < 0.01 * lengths[0]  # names differ
    x = images["test"].images[:64]
    before, after = (logits(file, x) for file in files)
    assert np.abs(before - after).max() <= 1e-4 * np.abs(before).max()


def test_a_network_that_lost_none_is_refused(source: Callable[..., Program]) -> None:
    x = np.zeros((4, 3, 16, 16), np.float32)
    with pytest.raises(ModelError, match="no BatchNormalization"):
        convert(source("resnet8"), "dynk", branches=2, k=1, restore_batchnorm=x)
