"""Disks that fail, as Linux tells of them."""

import errno
import os
from pathlib import Path

import pytest


def unlistable(monkeypatch: pytest.MonkeyPatch, *directories: Path) -> None:
    """Nobody can be told what is in these directories: the disk gives back an error instead."""
    names, scandir = {str(directory) for directory in directories}, os.scandir

    def failing(path="."):
        if str(path) in names:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", failing)
