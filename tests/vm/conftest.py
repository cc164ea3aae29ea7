"""One guest for all tests of a run: booting takes longer than each of them. They share one event loop with it."""

from collections.abc import AsyncIterator, Generator

import pytest
import pytest_asyncio

from tests.vm.guest import Guest, shared

running = pytest.StashKey[Guest]()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def guest(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> AsyncIterator[Guest]:
    """A machine that has booted. What a test changes in it, it puts back."""
    async with Guest(tmp_path_factory.mktemp("guest"), shares=shared()) as guest:
        request.config.stash[running] = guest
        yield guest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the guest said last."""
    report = yield
    if report.failed and (guest := item.config.stash.get(running, None)) is not None:
        report.sections.append((f"Guest's console ({guest.console})", "\n".join(guest.last_words())))
    return report
