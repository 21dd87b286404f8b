"""What machine this is."""

import platform
import sys
from pathlib import Path


def processor() -> str:
    """The machine's processor, as the system names it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()
