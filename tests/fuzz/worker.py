"""A process that reads hostile files within limits, so that its death tells on whoever it obeys.

    python worker.py

For each path on a line of its input it answers with a line of JSON: an outcome (`converted`,
`inspected`, `refused` or `failed`) and a message.
"""

import json
import resource
import sys
import traceback
import warnings
from pathlib import Path

from hydrafy.errors import HydrafyError, VerifyError
from hydrafy.runtime.convert import convert
from hydrafy.runtime.inspect import inspect

MEMORY = 6 << 30  # bytes of address space: the libraries alone map over one


def main() -> None:
    """Answers until the input ends."""
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        outcome, message = attempt(Path(json.loads(line)))
        print(json.dumps({"outcome": outcome, "message": message}), file=answers, flush=True)


def attempt(file: Path) -> tuple[str, str]:
    """Reads, inspects and converts a file; says how far it got, and why no further."""
    reached = ""
    try:
        inspect(file)
        reached = "inspected"
        convert(file, "dynk", branches=3, k=1)
        reached = "converted"
    except HydrafyError as error:
        if len(str(error).splitlines()) != 1:
            return "failed", f"the message is not one line: {str(error)!r}"
        if isinstance(error, VerifyError):
            return "failed", traceback.format_exc()
        return reached or "refused", str(error)
    except BaseException:
        return "failed", traceback.format_exc()
    return reached, ""


if __name__ == "__main__":
    main()
