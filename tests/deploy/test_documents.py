"""The documents: what they link to is there."""

import re
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.deploy.conftest import ROOT

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")


def documents() -> list[Path]:
    """All that are in the project."""
    known = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    return [ROOT / name for name in known.split()] or [ROOT / "README.md"]


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_linked_is_there(document: Path):
    links = [link for link in LINK.findall(document.read_text()) if "://" not in link]
    assert [link for link in links if not (document.parent / unquote(link)).exists()] == []
