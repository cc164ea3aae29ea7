"""com.apple.mobile.notification_proxy, used by the library."""

from pymobiledevice3.services.notification_proxy import NotificationProxyService

from station.virtual.system import notifications
from tests.virtual_services.helpers import started

ONE, OTHER = "com.apple.itunes-mobdev.syncWillStart", "com.apple.mobile.application_installed"


async def observe(hearer, *names):
    """Observe some names. That is not answered; so the last is posted, and heard, before anything else is."""
    for name in names:
        await hearer.notify_register_dispatch(name)
    await hearer.notify_post(names[-1])
    assert (await anext(hearer.receive_notification())).name == names[-1]


async def test_what_one_posts_the_other_hears(plug):
    phone = plug()
    async with (
        started(phone, NotificationProxyService) as poster,
        started(phone, NotificationProxyService, timeout=5) as hearer,
    ):
        await observe(hearer, ONE)
        await poster.notify_post(OTHER)
        await poster.notify_post(ONE)
        assert await anext(hearer.receive_notification()) == {"Command": "RelayNotification", "Name": ONE}


async def test_the_phone_posts_too(plug):
    phone = plug()
    async with started(phone, NotificationProxyService, timeout=5) as hearer:
        await observe(hearer, ONE, OTHER)
        phone.system.notifications.post(OTHER)
        phone.system.notifications.post(ONE)
        heard = hearer.receive_notification()
        assert [(await anext(heard)).name for _ in range(2)] == [OTHER, ONE]


async def test_ends_when_told_and_observes_no_more(plug):
    phone = plug()
    async with started(phone, NotificationProxyService, timeout=5) as hearer:
        await hearer.service.send_plist({"Command": "Nonsense", "Name": ONE})
        await hearer.service.send_plist({"Command": "PostNotification"})
        await hearer.notify_register_dispatch(ONE)
        await hearer.service.send_plist({"Command": "Shutdown"})
        assert await anext(hearer.receive_notification()) == {"Command": "ProxyDeath"}
        assert not phone.system.notifications._observers


async def test_an_observer_that_does_not_listen_costs_little(monkeypatch):
    monkeypatch.setattr(notifications, "MAX_WAITING", 3)
    centre = notifications.NotificationCentre()
    with centre.observe({ONE}) as observer:
        for _ in range(10):
            centre.post(ONE)
        assert observer.waiting.qsize() == 3
