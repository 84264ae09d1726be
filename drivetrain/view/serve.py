"""One page on this machine alone: `http.server` on 127.0.0.1, nothing else is served."""

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from drivetrain.types import InputError

HOST = "127.0.0.1"


def make_server(page: str, port: int = 0) -> ThreadingHTTPServer:
    """A server that answers `/` with the page; port 0 takes a free one (`server.server_port`).

    Raises `InputError` where the port cannot be had.
    """
    content = page.encode("utf-8")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """The page, or 404."""
            known = self.path.split("?")[0] in ("/", "/index.html")
            body = content if known else b"not here\n"
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8" if known else "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *values: object) -> None:
            """Quiet: one page is no traffic to report."""

    try:
        return ThreadingHTTPServer((HOST, port), Handler)
    except (OSError, OverflowError) as error:
        raise InputError(f"{HOST}:{port}: port: {error} (choose another with --port)") from None


def serve(page: str, port: int = 0, ready: Callable[[str], None] = print) -> None:
    """Serve the page until interrupted; `ready` is told its address once it is up."""
    with make_server(page, port) as server:
        ready(f"http://{HOST}:{server.server_port}/")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return
