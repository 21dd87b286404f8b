"""What every verb shares: errors become one sentence on stderr and an exit code."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import click

from hydrafy.errors import HydrafyError, OptionError, VerifyError, nearest

OURS, THEIRS, STOPPED = 1, 2, 130
"""Exit codes: a defect of hydrafy, an input that makes no sense, Ctrl-C."""


class Verbs(click.Group):
    """A group that keeps the order of its verbs, and turns exceptions into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs in the order of the road."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that `args` begin with.

        Raises:
            OptionError: there is none of that name.
        """
        if args[0] not in self.commands and not args[0].startswith("-"):
            raise OptionError(f"there is no verb {args[0]!r}: {nearest(args[0], self.commands)}")
        return super().resolve_command(ctx, args)

    def main(  # type: ignore[override]  # ours never returns, click's may
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> None:
        """Runs the verb that `args` name, and exits."""
        words = list(sys.argv[1:] if args is None else args)
        extra["standalone_mode"] = False
        # Before torch loads: threads that spin while they wait take ten times as long on a
        # machine that is busy with other work, and gain a few per cent on one that is not.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        run = super().main
        with warnings.catch_warnings():
            if not sys.warnoptions:
                warnings.simplefilter("ignore")  # libraries' remarks are not for our users
            sys.exit(
                _guarded(lambda: run(words, prog_name or "hydrafy", **extra), "--debug" in words)
            )


def _guarded(run: Callable[[], Any], debug: bool) -> int:
    try:
        code = run()
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return THEIRS
    except click.ClickException as error:
        return _say(_advised(error), THEIRS)
    except (click.Abort, KeyboardInterrupt):
        return _say("stopped by Ctrl-C, nothing was written", STOPPED)
    except BrokenPipeError:  # the reader of our output, say `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OURS
    except Exception as error:
        if debug:
            raise
        return _explained(error)


def _explained(error: Exception) -> int:
    if isinstance(error, VerifyError):
        return _say(str(error), OURS)
    if isinstance(error, HydrafyError):
        return _say(str(error), THEIRS)
    if isinstance(error, ModuleNotFoundError) and error.name == "onnxruntime":
        return _say("onnxruntime is not installed: pip install 'hydrafy[cpu]', or [gpu]", THEIRS)
    if isinstance(error, OSError) and error.filename is not None:
        return _say(f"{error.filename}: {error.strerror}", THEIRS)
    return _say(
        f"internal error, {type(error).__name__}: {error} "
        "(put --debug before the verb for the traceback, and report it)",
        OURS,
    )


def _advised(error: click.ClickException) -> str:
    """Click's message, with the nearest right word or a place to look."""
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    if ctx is None:
        return error.format_message()
    if isinstance(error, click.NoSuchOption):
        known = (name for option in ctx.command.get_params(ctx) for name in option.opts)
        options = [name for name in known if name.startswith("--")]
        return f"there is no option {error.option_name!r}: {nearest(error.option_name, options)}"
    return f"{error.format_message().removesuffix('.')}: see {ctx.command_path} --help"


def _say(sentence: str, code: int) -> int:
    click.echo(f"Error: {' '.join(sentence.split())}", err=True)
    return code
