"""What a comparison of two files found, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import RenderableType

from hydrafy.report.tables import pairs

if TYPE_CHECKING:
    from hydrafy.runtime.verify import Verification
    from hydrafy.runtime.verify.files import Compared


def compared(found: Compared) -> RenderableType:
    """The files, and that they compute the same."""
    (one, two), (first, second) = found.files, found.stages
    return pairs({
        "equal": f"{one} ({first}), {two} ({second})",
        "images": found.data or "noise",
        **verification(found.verification),
    })  # fmt: skip


def verification(found: Verification) -> dict[str, str]:
    """What was compared, by what is counted."""
    sizes = ", ".join(map(str, dict.fromkeys(found.batches)))
    facts = {
        "compared": f"{found.rows:,} images in {len(found.batches)} batches of {sizes}",
        "worst difference": f"{found.worst:.1e} of the output's scale ({found.limit:.0e} allowed)",
    }
    if found.reached:
        facts["predicates"] = f"{found.reached} reached both ways"
    if found.decided:
        facts["gates"] = f"{found.decided:,} rows of scores, ties among them, decided alike"
    flipped = f"{found.near_threshold} images, whose decisions rounding flipped"
    return {**facts, "next to a threshold": flipped}
