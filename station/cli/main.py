"""`station`: every command there is, each loaded when it is used, so that `station status` is quick."""

import importlib
import importlib.util
from typing import Any

import typer
from typer.core import TyperGroup

COMMANDS = {
    # Command: the module in station.cli that has it, as its typer `app` or as a function of this name.
    "daemon": "daemon",
    "worker": "worker",
    "screen": "screen",
    "status": "client",
    "watch": "client",
    "start": "client",
    "confirm": "client",
    "cancel": "client",
    "dismiss": "client",
    "offers": "rulings",
    "decide": "rulings",
    "overrule": "rulings",
    "release": "rulings",
    "order": "order",
    "guide": "guide",
    "advise": "advise",
    "did-not-help": "advise",
    "records": "records",
    "backups": "backups",
    "firmware": "firmware",
    "virtual": "virtual",
    "demo": "demo",
    "doctor": "doctor",
}


class LazyGroup(TyperGroup):
    """A group whose commands are imported one by one.

    Its types are Any: typer keeps its own click to itself.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """Every command that is installed."""
        del ctx
        return [name for name, module in COMMANDS.items() if importlib.util.find_spec(f"station.cli.{module}")]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import one command."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"station.cli.{COMMANDS[cmd_name]}")
        found = getattr(module, cmd_name.replace("-", "_"), None)
        if callable(found):
            alone = typer.Typer(add_completion=False)
            alone.command(cmd_name)(found)
            command = typer.main.get_command(alone)
        else:
            command = typer.main.get_command(module.app)
        command.name = cmd_name
        return command


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def station() -> None:
    """Restore Station: brings phones back to life and wipes them with proof."""
