"""
The web server of a captive portal: one answer to whatever is asked; runs alone (see `portal`).

::

    python portal_program.py PORT html|redirect|empty|json|required [close]

It keeps connections, unless told to close them. Standard library only.
"""

from __future__ import annotations

import socketserver
import sys

HTML = "<html><body>Welcome! Please log in.</body></html>"


def response(status: str, fields: str = "", body: str = "") -> str:
    """Return an HTTP response."""
    return f"HTTP/1.1 {status}\r\n{fields}Content-Length: {len(body)}\r\n\r\n{body}"


ANSWERS = {
    "html": response("200 OK", "Content-Type: text/html\r\n", HTML),
    "redirect": response("302 Found", "Location: http://portal.example/login\r\n"),
    "empty": response("200 OK"),
    "json": response("200 OK", "Content-Type: application/json\r\n", "{}"),
    "required": response(
        "511 Network Authentication Required", "Content-Type: text/html\r\n", HTML
    ),  # RFC 6585
}


class Visit(socketserver.StreamRequestHandler):
    """One connection."""

    def handle(self) -> None:
        """Answer each request."""
        closing = sys.argv[-1] == "close"
        answer = ANSWERS[sys.argv[2]]
        if closing:
            answer = answer.replace("\r\n", "\r\nConnection: close\r\n", 1)
        while self.read_request():
            self.wfile.write(answer.encode())
            if closing:
                return

    def read_request(self) -> bool:
        """Read a request with its body, and tell whether there was one."""
        length = 0
        while line := self.rfile.readline():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
            if not line.strip():
                self.rfile.read(length)
                return True
        return False


class Server(socketserver.ThreadingTCPServer):
    """All connections, each in a thread that doesn't hold up the end."""

    allow_reuse_address = True
    daemon_threads = True


def main() -> None:
    """Answer until killed."""
    with Server(("", int(sys.argv[1])), Visit) as server:
        print("ready", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
