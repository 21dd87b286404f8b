"""Numbers as a person reads them, the unit always stated."""


def count(number: float) -> str:
    """A number of things, in thousands, millions or billions: `25.56 M`."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= limit * 0.9995:
            return f"{_three(number / limit)} {unit}"
    return f"{number:.0f}"


def size(number: float) -> str:
    """A number of bytes, in powers of 1,024: `97.69 MiB`."""
    for limit, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if abs(number) >= limit:
            return f"{_three(number / limit)} {unit}"
    return f"{number:.0f} B"


def percent(share: float) -> str:
    """A share of one: `73.0 %`."""
    return f"{100 * share:.1f} %"


def points(difference: float) -> str:
    """A difference of two shares, in percentage points: `-0.4 points`."""
    return f"{100 * difference:+.1f} points"


def given(value: float | tuple[float, ...]) -> str:
    """What a run-time input was set to: `0.5`, or `0.5,inf`."""
    return ",".join(f"{number:g}" for number in (value if isinstance(value, tuple) else [value]))


def shape(dimensions: tuple[int | str, ...]) -> str:
    """Dimensions: `64 x 56 x 56`, or `scalar`."""
    return " x ".join(map(str, dimensions)) or "scalar"


def _three(number: float) -> str:
    """Three or four digits that matter."""
    return f"{number:.2f}" if abs(number) < 100 else f"{number:.1f}"
