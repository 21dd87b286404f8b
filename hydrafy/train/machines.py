"""The machines that train: one device, or several under DistributedDataParallel."""

from __future__ import annotations

import logging
import os

from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning_fabric.strategies.ddp import DDPStrategy
from lightning_fabric.strategies.strategy import Strategy
from lightning_fabric.utilities.exceptions import MisconfigurationException

from hydrafy.errors import OptionError, first_line
from hydrafy.train.options import Options


def machines(options: Options) -> Fabric:
    """Starts the processes of a training, one for each device, and joins them.

    Under torchrun the processes are there already, and torchrun says how many.

    Raises:
        OptionError: there are no such devices.
    """
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    devices, nodes = options.devices, options.nodes
    if TorchElasticEnvironment.detect():
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // devices
    cores = os.cpu_count() or 1
    if options.accelerator == "cpu" and devices > cores:
        raise OptionError(f"devices = {devices} makes no sense: this machine has {cores} cores")
    strategy: Strategy | str = "auto"
    if devices * nodes > 1:
        # An output that no loss reads leaves parameters without a gradient, at every step alike.
        strategy = DDPStrategy(static_graph=True)
    try:
        fabric = Fabric(
            accelerator=options.accelerator,
            devices=devices,
            num_nodes=nodes,
            strategy=strategy,
            precision=options.precision,
        )
        fabric.launch()
    except (MisconfigurationException, ValueError, RuntimeError) as error:
        raise OptionError(
            f"cannot train on {options.devices} x {options.accelerator}: {first_line(error)}"
        ) from error
    return fabric
