from __future__ import annotations

import os
import socket
from pathlib import Path

from actd.holders import Holder, holders, listener, processes_of
from tests.doctor.tree import process, put

TCP = (
    "  sl  local_address rem_address   st tx rx tr tm retr uid timeout inode\n"
    "   0: 0100007F:2690 00000000:0000 0A 0:0 00:00 0 1000 0 4242 1 0 100 0 0 10 0\n"
    "   2: 07AB177F:2692 00000000:0000 0A 0:0 00:00 0 1000 0 4244 1 0 100 0 0 10 0\n"
    "   3: 00000000:2693 00000000:0000 0A 0:0 00:00 0 1000 0 4245 1 0 100 0 0 10 0\n"
    "   1: 0100007F:2691 0100007F:9C40 01 0:0 00:00 0 1000 0 4243 1 0 100 0 0 10 0\n"
)


def test_who_holds_a_file_under_any_of_its_names(tmp_path: Path) -> None:
    device, link = tmp_path / "video0", tmp_path / "by-id"
    device.touch()
    link.symlink_to(device)
    process(tmp_path, 12, "cheese", "/dev/null", str(device))
    process(tmp_path, 9, "python3", str(device), str(link), words="python3 -c import\nrecord")
    process(tmp_path, 10, "bash", "/dev/null")
    for node in (device, link):
        (found,) = holders([node, tmp_path / "gone"], tmp_path / "proc").values()
        assert found == (Holder(9, "python3 -c import record"), Holder(12, "cheese"))
    assert str(found[1]) == "cheese (pid 12)"


def test_who_listens(tmp_path: Path) -> None:
    proc = tmp_path / "proc"
    put(tmp_path, "proc/net/tcp", TCP)
    process(tmp_path, 7, "actd", "socket:[4242]")
    assert listener(0x2690, proc=proc) == (True, Holder(7, "actd"))
    assert listener(0x2691, proc=proc) == (False, None)  # connected, and nobody listens
    assert listener(0x2692, proc=proc) == (False, None)  # on another address
    assert listener(0x2692, "127.23.171.7", proc) == (True, None)
    assert listener(0x2693, proc=proc) == (True, None)  # on all of them
    assert listener(0x2690, "::1", proc) == (False, None)
    (proc / "7/fd/0").unlink()
    assert listener(0x2690, proc=proc) == (True, None)  # another user's


def test_who_listens_with_ipv6(tmp_path: Path) -> None:
    line = "  0: {}:2690 00:0000 0A 0:0 00:00 0 1000 0 4242 1 0 100 0 0 10 0\n"
    for address, host in (
        ("00000000000000000000000001000000", "::1"),
        ("0000000000000000FFFF00000100007F", "127.0.0.1"),
        ("00000000000000000000000000000000", "127.0.0.1"),
    ):
        put(tmp_path, "proc/net/tcp6", TCP.splitlines()[0] + "\n" + line.format(address))
        assert listener(0x2690, host, tmp_path / "proc") == (True, None)
        assert listener(0x2690, "127.0.0.9", tmp_path / "proc")[0] is (set(address) == {"0"})


def test_a_process_by_a_word_of_its_command(tmp_path: Path) -> None:
    process(tmp_path, 7, "python3", words="python3 -m entry some.module")
    process(tmp_path, 8, "python3", words="python3 -m entry some.module.of.another " + 60 * "x")
    proc = tmp_path / "proc"
    assert processes_of("some.module", proc) == (Holder(7, "python3 -m entry some.module"),)
    (long,) = processes_of("some.module.of.another", proc)
    assert str(long).endswith("x… (pid 8)")


def test_a_port_of_this_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        listens, holder = listener(number)
        assert (listens, holder and holder.pid) == (True, os.getpid())
    assert listener(number) == (False, None)
