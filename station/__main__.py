"""`python -m station`: the same as the `station` command."""

from station.cli.main import app

if __name__ == "__main__":
    app(prog_name="station")
