from hydrafy.ir import ops
from hydrafy.train.converters import converters


def test_the_converters_cover_exactly_the_vocabulary_of_programs() -> None:
    standard = {("", name) for name in ops.STANDARD}
    domain = {(ops.DOMAIN, name) for name in ops.names()}
    assert set(converters()) == standard | domain
