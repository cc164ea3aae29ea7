"""`station`: every command there is, each loaded when it is used, so that `station status` is quick."""

import importlib
import importlib.util
import re
from typing import Any

import typer
from typer.core import TyperGroup

COMMANDS = {
    # Command: the module in station.cli that has it, as its typer `app` or as a function of this name.
    "daemon": "daemon",
    "worker": "worker",
    "gateway": "gateway",
    "usbmuxd": "usbmuxd",
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
    "pin": "operator",
    "face": "operator",
    "use": "operator",
    "bays": "bays",
    "logs": "savelogs",
    "records": "records",
    "backups": "backups",
    "firmware": "firmware",
    "upkeep": "upkeep",
    "virtual": "virtual",
    "demo": "demo",
    "doctor": "doctor",
    "configure": "configure",
    "places": "places",
    "update": "update",
}


PANELS = {
    "The phones": ("status", "watch", "offers", "advise", "did-not-help", "guide", "start", "cancel", "dismiss"),
    "What an operator decides": ("confirm", "decide", "overrule", "release", "order"),
    "The station itself": ("use", "bays", "face", "pin", "places", "update"),
    "What the station keeps": ("records", "backups", "firmware"),
    "Trying and mending": ("demo", "virtual", "doctor", "logs"),
    "What the units run": ("daemon", "screen", "worker", "gateway", "usbmuxd", "upkeep", "configure"),
}
"""How `station --help` puts them in order."""

PLAINER = (
    (re.compile(r"^Value error, "), ""),
    (re.compile(r"^Input should be a valid integer.*"), "it must be a whole number."),
    (re.compile(r"^Input should be a valid number.*"), "it must be a number."),
    (re.compile(r"^Input should be greater than or equal to (\S+)"), r"it must be \1 or more."),
    (re.compile(r"^Input should be less than or equal to (\S+)"), r"it must be \1 or less."),
)
"""What the library says of a wrong argument, and what a person can read."""


class LazyGroup(TyperGroup):
    """A group whose commands are imported one by one.

    Its types are Any: typer keeps its own click to itself.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """Every command that is installed."""
        del ctx
        there = {name for name, module in COMMANDS.items() if importlib.util.find_spec(f"station.cli.{module}")}
        return [name for names in PANELS.values() for name in names if name in there]

    def invoke(self, ctx: Any) -> Any:
        """Run what was typed; what is wrong with it is told in plain words."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            for said, plainer in PLAINER:
                error.message = said.sub(plainer, error.message)
            raise

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import one command."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"station.cli.{COMMANDS[cmd_name]}")
        found = getattr(module, cmd_name.replace("-", "_"), None)
        command: Any
        if callable(found):
            alone = typer.Typer(add_completion=False)
            alone.command(cmd_name)(found)
            command = typer.main.get_command(alone)
        else:
            command = typer.main.get_command(module.app)
        command.name = cmd_name
        command.rich_help_panel = next((panel for panel, names in PANELS.items() if cmd_name in names), None)
        return command


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def station() -> None:
    """Restore Station: brings phones back to life and wipes them with proof."""
