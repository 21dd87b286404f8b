"""Names and options lead to the right network, wrong ones to the nearest right ones."""

import pytest
import torch

from hydrafy import zoo
from hydrafy.errors import OptionError
from hydrafy.zoo.design import Design

ONE_OF_EACH = (
    "resnet20",
    "resnet34",
    "resnet50",
    "resnext29",
    "resnext50",
    "densenet40",
    "densenet121",
    "preact_resnet20",
    "wrn16_8",
    "ressep",
    "msdnet",
)


@pytest.mark.parametrize("name", zoo.names())
def test_every_listed_name_is_known(name: str) -> None:
    assert {"classes", "size"} <= set(zoo.options(name)) <= set(vars(zoo.find(name, {})))


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_network_gives_what_its_design_says(name: str) -> None:
    design = zoo.find(name, {})
    with torch.device("meta"):
        found = design.module()(torch.zeros(2, *design.input_shape))
    shapes = [tuple(y.shape) for y in (found if isinstance(found, tuple) else [found])]
    assert shapes == [(2, design.classes)] * len(design.outputs)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("resnet20", "CifarResNetDesign"),
        ("cifar_resnet50", "CifarResNetDesign"),
        ("resnet50", "ImageNetResNetDesign"),
        ("imagenet_resnet34", "ImageNetResNetDesign"),
        ("resnext29", "CifarResNeXtDesign"),
        ("cifar_resnext101", "CifarResNeXtDesign"),
        ("resnext101", "ImageNetResNeXtDesign"),
        ("densenet121", "ImageNetDenseNetDesign"),
        ("densenet100", "CifarDenseNetDesign"),
        ("preact_resnet20", "PreactResNetDesign"),
        ("wrn28_10", "WideResNetDesign"),
        ("ressep", "ResSepDesign"),
        ("msdnet", "MsdNetDesign"),
    ],
)
def test_a_name_tells_family_and_numbers(name: str, family: str) -> None:
    design = zoo.find(name, {})
    assert type(design).__name__ == family
    if design.DEPTHS:
        assert str(vars(design)["depth"]) in name


def test_names_are_listed_once_and_with_their_family() -> None:
    assert len(set(zoo.names())) == len(zoo.names())
    assert {"resnet20", "resnet152", "msdnet", "densenet201"} <= set(zoo.names())


def test_what_a_name_tells_is_no_option() -> None:
    assert zoo.find("resnext50_16x8d", {}) == zoo.find(
        "resnext50", {"cardinality": 16, "base_width": 8}
    )
    assert "cardinality" in zoo.options("resnext50")
    assert "cardinality" not in zoo.options("resnext50_16x8d")
    assert "depth" not in zoo.options("resnet20")


def test_numbers_may_be_text() -> None:
    assert zoo.find("resnet20", {"classes": "100", "shortcut": "B"}) == zoo.find(
        "resnet20", {"classes": 100, "shortcut": "B"}
    )
    assert zoo.find("ressep", {"w": "1"}) == zoo.find("ressep", {"w": 1.0})


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("resent20", {}, "did you mean 'resnet20'"),
        ("wrn-28-10", {}, "did you mean 'wrn28_10'"),
        ("resnet21", {}, "resnet18, resnet20"),
        ("cifar_resnet18", {}, "cifar_resnet14, cifar_resnet20"),
        ("resnet2", {}, "resnet8, resnet14"),
        ("imagenet_resnet20", {}, "imagenet_resnet18, imagenet_resnet34"),
        ("densenet120", {}, "densenet118, densenet121"),
        ("resnext49_4x8d", {}, "resnext47_4x8d, resnext50_4x8d"),
        ("wrn28", {}, "did you mean 'wrn28_10'"),
        ("wrn28_0", {}, "widening=0 is not above 0"),
        ("resnet99999", {}, "resnet1988, resnet1994"),
        ("resnet" + "9" * 5000, {}, "no network"),
        ("resnet20", {"clases": 5}, "did you mean 'classes'"),
        ("resnet20", {"depth": 26}, "no option 'depth'"),
        ("resnet50", {"shortcut": "B"}, "known are classes, size"),
        ("resnet20", {"shortcut": "C"}, "shortcut=C is none of A, B"),
        ("resnet20", {"width": "wide"}, "width=wide is not a whole number"),
        ("resnet20", {"width": True}, "not a whole number"),
        ("resnet20", {"width": 2.5}, "not a whole number"),
        ("resnet20", {"width": None}, "not a whole number"),
        ("resnet20", {"width": "-3"}, "width=-3 is not above 0"),
        ("resnet20", {"classes": 0}, "classes=0 is not above 0"),
        ("resnet20", {"classes": 10**6}, "classes=1000000 is above 65536"),
        ("resnet20", {"size": 2}, "too small.*at least 4"),
        ("resnet18", {"size": 16}, "too small.*at least 32"),
        ("resnet20", {"size": 5000}, "size=5000 is above 1024"),
        ("ressep", {"w": "nan"}, "w=nan is not above 0"),
        ("ressep", {"w": "inf"}, "w=inf is above 16"),
        ("ressep", {"w": "big"}, "w=big is not a number"),
        ("ressep", {"d": 1000}, "d=1000 is above 50"),
        ("preact_resnet1001", {}, "use block=bottleneck"),
        ("preact_resnet110", {"block": "wide"}, "none of basic, bottleneck"),
        ("resnet20", {"width": 60000}, "has .* parameters: the zoo builds at most 1,000,000,000"),
    ],
)
def test_a_wrong_name_or_option_is_refused_with_the_right_one(
    name: str, options: dict[str, object], said: str
) -> None:
    with pytest.raises(OptionError, match=said) as caught:
        zoo.build(name, **options)
    assert "\n" not in str(caught.value)


def test_designs_are_values() -> None:
    assert isinstance(zoo.find("msdnet", {}), Design)
    assert hash(zoo.find("resnet20", {})) == hash(zoo.find("resnet20", {}))
