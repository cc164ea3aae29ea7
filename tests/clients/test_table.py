"""That tests/README.md shows the clients as the tests have them."""

import pytest

from tests.clients import table


def test_the_readme_shows_every_client(request):
    if not request.config.stash[table.WHOLE]:
        pytest.skip("only some of the tests were collected")
    assert table.parts()[1] == table.render(request.config.stash[table.ROWS]), "run: pytest --co -q --write-clients"
