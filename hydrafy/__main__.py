"""`python -m hydrafy` is the command line."""

from hydrafy.cli import main

main()
