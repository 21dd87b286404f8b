"""The machine: what onnxruntime says of its blocks, and that other files run anywhere."""

import platform

import onnxruntime

from hydrafy.execute.machine import check_machine, this_machine
from hydrafy.ir.manifest import Manifest


def test_the_block_is_what_the_processor_has() -> None:
    here = this_machine()
    assert here.block in (1, 4, 8, 16, 32)
    assert here.onnxruntime == onnxruntime.__version__
    assert here.architecture == platform.machine()
    assert here.processor


def test_a_file_of_no_machine_and_one_of_this_run_here() -> None:
    check_machine(Manifest())
    check_machine(Manifest(target="native", machine=this_machine()))
