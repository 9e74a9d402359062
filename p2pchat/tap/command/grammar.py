"""
Command lines of the commands: words to values, help, and mistakes in a sentence.

A mistake ends the program with status 2, and with the way to the help of its command.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from p2pchat.tap.command.statuses import MISTAKE

PROGRAM = "p2pchat"
PATHS = ("any", "direct", "relay")
MAX_TIMEOUT = 600  # seconds; longer is a loop in a shell

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}  # seconds
_SERVICE = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_SUFFIX = ".p2p"  # that ~/.ssh/config may have a pattern for


class Target(NamedTuple):
    """A service of somebody: a contact's name or a whole id, and the service's name."""

    who: str
    service: str

    def __str__(self) -> str:
        return f"{self.who}:{self.service}"


class Grammar(argparse.ArgumentParser):
    """The command line of one command."""

    def __init__(self, command: str, description: str, epilog: str = "") -> None:
        super().__init__(
            prog=f"{PROGRAM} {command}",
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and where the help is; end with status 2."""
        sys.stderr.write(f"{self.prog}: {message}\n{self.prog} --help says how it is used.\n")
        sys.exit(MISTAKE)

    def take_directory(self) -> None:
        """Take --profile and --state, which say whose node it is."""
        places = self.add_mutually_exclusive_group()
        places.add_argument("--profile", metavar="NAME", help="the profile, if not the usual one")
        places.add_argument("--state", metavar="DIR", help="the state directory, if not the usual")

    def take_path(self) -> None:
        """Take --path and --timeout, which say how a service is reached."""
        self.add_argument(
            "--path",
            choices=PATHS,
            default="any",
            help="direct: no relay, whose traffic somebody pays for; relay: a relay alone",
        )
        self.add_argument(
            "--timeout",
            type=_seconds,
            default=30.0,
            metavar="SECONDS",
            help="for all of it, from the call to the service's answer (default: 30)",
        )

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Read a command line, or end the program."""
        return self.parse_args(list(arguments))


def target(text: str) -> Target:
    """Read ``bob:ssh``; a name may have colons, a service has none."""
    who, colon, name = text.rpartition(":")
    if not colon or not who:
        raise argparse.ArgumentTypeError(f"{text!r} is no WHO:SERVICE, such as bob:ssh")
    return Target(who.removesuffix(_SUFFIX) or who, service(name))


def service(text: str) -> str:
    """Read the name of a service."""
    if _SERVICE.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no name of a service, such as web: small letters, figures, dots, "
            "hyphens and underscores, 63 at most, first a letter or a figure"
        )
    return text


def duration(text: str) -> int:
    """Read a time such as 30m, 8h or 2d; returns seconds."""
    found = re.fullmatch(r"([0-9]{1,5})([smhd])", text)
    seconds = int(found[1]) * _UNITS[found[2]] if found is not None else 0
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 30m, 8h or 2d")
    return seconds


def port(text: str) -> int:
    """Read the number of a port."""
    number = int(text) if text.isascii() and text.isdecimal() else -1
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a number from 0 to 65535")
    return number


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= MAX_TIMEOUT:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds up to {MAX_TIMEOUT}")
    return seconds
