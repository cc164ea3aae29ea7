"""What a phone's own page offers besides, while the operator is here."""

from station.model.api import BayView
from station.model.gates import Gate
from station.screen.canvas import Target
from station.screen.choices import Choice, obstacle, subject
from station.screen.pages import Page, Turn, opened
from station.screen.scenes.operator import builds, overrule


def choices(bay: BayView) -> list[Choice]:
    """Ways past what stands in the way, and another iOS than the newest."""
    found = overrule.may_decide(bay)
    if found is not None:
        said = "Release" if found.gate is Gate.QUARANTINE else "Overrule"
        return [Choice(said, Target(Turn(opened(bay, Page.OVERRULE)), about=subject(bay)))]
    if obstacle(bay) is None and builds.offered(bay) and bay.confirm is None and bay.job is None and not bay.result:
        said = f"iOS: build {bay.options.build}" if bay.options.build else "iOS: the newest"
        return [Choice(said, Target(Turn(opened(bay, Page.BUILDS)), about=subject(bay)))]
    return []
