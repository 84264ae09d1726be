import socket
import threading
import urllib.error
import urllib.request

import pytest

from drivetrain.types import InputError
from drivetrain.view.serve import HOST, make_server


@pytest.fixture
def address():
    server = make_server("<p>größer</p>")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://{HOST}:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_one_page_and_nothing_else(address):
    with urllib.request.urlopen(f"{address}/") as answer:
        assert answer.read().decode() == "<p>größer</p>"
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{address}/../../etc/passwd")
    assert error.value.code == 404
    error.value.close()


def test_a_port_in_use_is_named():
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        with pytest.raises(InputError, match="port"):
            make_server("", taken.getsockname()[1])


def test_a_port_that_is_none_is_named():
    with pytest.raises(InputError, match="port"):
        make_server("", 99999)
