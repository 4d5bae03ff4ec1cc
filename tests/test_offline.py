"""The suite is offline and the command line starts quickly: nothing heavy is imported before a verb runs."""

import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

HEAVY = {"torch", "monai", "torchvision", "matplotlib", "sklearn", "skimage", "nibabel"}


def blocked():
    return pytest.raises(RuntimeError, match="understudy works offline")


def test_the_internet_is_blocked():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe, blocked():
        probe.connect(("192.0.2.1", 80))
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe, blocked():
        probe.connect_ex(("2001:db8::1", 80))
    with blocked():
        socket.getaddrinfo("example.org", 443)


def test_a_download_is_blocked():
    with pytest.raises((RuntimeError, urllib.error.URLError)):
        urllib.request.urlopen("http://192.0.2.1/weights.bin", timeout=1)


def test_loopback_is_blocked_unless_marked():
    with socket.socket() as probe, blocked():
        probe.connect(("127.0.0.1", 9))


@pytest.mark.loopback
def test_loopback_is_open_where_marked():
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        client.connect(server.getsockname())


def test_the_command_line_starts_without_the_heavy_libraries():
    probe = f"import sys, understudy.cli.main; print(*{HEAVY} & {{name.split('.')[0] for name in sys.modules}})"
    ran = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
