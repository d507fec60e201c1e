"""Options that commands have in common."""

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[Path | None, typer.Option("--config", help="A settings file; ballast.toml if there is one.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
