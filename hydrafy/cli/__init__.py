"""The command line: verbs that parse, call and print."""

import click

from hydrafy.cli.app import Verbs
from hydrafy.cli.bench import bench
from hydrafy.cli.calibrate import calibrate
from hydrafy.cli.convert import convert, recipes
from hydrafy.cli.demo import demo
from hydrafy.cli.evaluate import evaluate
from hydrafy.cli.finetune import finetune
from hydrafy.cli.inspect import explain, inspect
from hydrafy.cli.lower import lower
from hydrafy.cli.prune import prune
from hydrafy.cli.recalibrate import recalibrate
from hydrafy.cli.run import run
from hydrafy.cli.verify import verify
from hydrafy.cli.zoo import zoo


@click.group(
    cls=Verbs,
    commands=[
        convert,
        recipes,
        finetune,
        recalibrate,
        calibrate,
        prune,
        lower,
        verify,
        evaluate,
        bench,
        run,
        inspect,
        explain,
        zoo,
        demo,
    ],
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="hydrafy", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks of errors.")
def main() -> None:
    """Rewrite a pretrained ONNX image classifier into a network that skips what it does not need.

    The road: convert, finetune, lower, run. Each step reads an ONNX file and writes the next.
    """
