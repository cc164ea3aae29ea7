"""The virtual machine itself: that it is a real system, and that no command can make it useless to the next one."""

import asyncio

import pytest

from station.model.phone import PhoneMode
from tests.vm.guest import HOST, TAIL, Guest
from tests.vm.program import PROGRAM, PYTHON

pytestmark = [pytest.mark.vm, pytest.mark.long, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]


async def test_everything_has_started(guest: Guest):
    # --wait: the agent is there before the last service is.
    assert await guest.run("systemctl", "is-system-running", "--wait", seconds=120) == (0, "running\n")


async def test_udev_is_the_real_one(guest: Guest):
    properties = await guest.check("udevadm", "info", "--query=property", "/sys/class/net/uplink")
    assert "ID_NET_DRIVER=virtio_net" in properties.splitlines()


async def test_the_kernel_has_usb_sockets_for_phones(guest: Guest):
    status = await guest.check("cat", "/sys/devices/platform/vhci_hcd.0/status")
    high_speed = [line for line in status.splitlines() if line.startswith("hs")]
    assert len(high_speed) >= 4
    assert all(line.split()[2] == "004" for line in high_speed)  # VDEV_ST_NULL: nothing is attached


async def test_it_runs_the_project(guest: Guest):
    program = "from station.model.phone import PhoneMode; print(*(mode.name for mode in PhoneMode))"
    output = await guest.check("env", f"PYTHONPATH={PROGRAM}", str(PYTHON), "-c", program)
    assert output.split() == [mode.name for mode in PhoneMode]


async def test_it_cannot_change_the_project(guest: Guest):
    code, output = await guest.run("touch", str(PROGRAM / "changed"))
    assert code == 1
    assert "Read-only file system" in output


async def test_both_sides_can_write_to_the_output_folder(guest: Guest):
    file = guest.out / "letter"
    file.write_text("to the guest")
    await guest.check("sed", "-i", "s/to/from/", str(file))
    assert file.read_text() == "from the guest"


async def test_it_reaches_the_host_and_nothing_else(guest: Guest):
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello, " + await reader.readline())
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        talk = f"exec 3<>/dev/tcp/{HOST}/{port}; echo guest >&3; cat <&3"
        assert await guest.check("bash", "-c", talk) == "hello, guest\n"
    assert "default" not in await guest.check("ip", "route")


async def test_a_command_that_fails(guest: Guest):
    assert await guest.run("sh", "-c", "echo out; echo err >&2; exit 3") == (3, "out\nerr\n")


async def test_of_a_command_that_fails_is_shown_what_it_said_last(guest: Guest):
    with pytest.raises(AssertionError) as caught:
        await guest.check("sh", "-c", f"seq {TAIL + 60}; exit 3")
    first, *shown = str(caught.value).splitlines()
    assert first.endswith("exit status 3")
    assert shown == ["[60 lines before these]", *map(str, range(61, TAIL + 61))]


async def test_a_command_that_is_killed(guest: Guest):
    assert await guest.run("sh", "-c", "kill -SEGV $$") == (-11, "")


async def test_a_program_that_does_not_exist(guest: Guest):
    code, output = await guest.run("no-such-program")
    assert code == 127
    assert "no-such-program" in output


async def test_a_command_that_hangs_is_ended_with_its_children(guest: Guest):
    outcome = await guest.run("sh", "-c", "echo begun; sleep 31415 & sleep 31415; echo never", seconds=2)
    assert outcome == (None, "begun\n")
    assert (await guest.run("pgrep", "-f", "sleep 31415")).code == 1


async def test_a_command_that_leaves_a_daemon_behind_is_not_waited_for(guest: Guest):
    outcome = await guest.run("sh", "-c", "setsid sleep 27182 & echo left", seconds=15)
    assert outcome == (0, "left\n")
    await guest.check("pkill", "-f", "sleep 27182")


async def test_of_a_command_that_says_much_the_beginning_is_kept(guest: Guest):
    code, output = await guest.run("sh", "-c", "echo first; head -c 3000000 /dev/zero; echo last")
    assert code == 0
    assert output.startswith("first\n\0")
    assert output.endswith(f"\n[and {6 + 3000000 + 5 - (1 << 20)} bytes more]")


async def test_a_command_that_never_stops_talking(guest: Guest):
    code, output = await guest.run("yes", seconds=2)
    assert code is None
    assert output.startswith("y\ny\n")


async def test_commands_run_at_the_same_time(guest: Guest):
    fifo = "/tmp/between"
    await guest.check("mkfifo", fifo)
    async with asyncio.TaskGroup() as group:
        heard = group.create_task(guest.check("cat", fifo))
        group.create_task(guest.check("sh", "-c", f"echo hello >{fifo}"))
    assert heard.result() == "hello\n"
    await guest.check("rm", fifo)


async def test_quotes_newlines_and_foreign_letters_arrive(guest: Guest):
    words = 'it\'s a "test",\n 手机 \\n $HOME'
    assert await guest.check("printf", "%s", words) == words


async def test_qemu_can_be_asked(guest: Guest):
    assert (await guest.monitor("query-status"))["status"] == "running"
