"""
A page of Alice's in Bob's browser, by `p2pchat share` and `p2pchat open`.
"""

from __future__ import annotations

import os
import re
import sys

from tests.lab.service_side import P2PCHAT
from tests.lab.services_case import ServicesTestCase

PORT = 3000
PAGE = "a page from a laptop"


class OpenedPageTests(ServicesTestCase):
    """`curl` is the browser."""

    def test_page(self) -> None:
        """Who has the printed address sees the page, once it has a cookie; nobody else does."""
        self.require("curl")
        os.makedirs(self.alice.path("site"))
        self.write(self.alice, "site/index.html", PAGE)
        server = ("-m", "http.server", str(PORT), "--bind", "127.0.0.1", "-d", "site")
        self.alice.start(sys.executable, *server, awaits="Serving")
        self.alice.start(
            P2PCHAT, "share", str(PORT), "--as", "web", "--with", "bob", awaits="for bob"
        )
        said = self.bob.start(P2PCHAT, "open", "alice:web", awaits="http://")
        found = re.search(r"http://\S+", said)
        assert found is not None, said
        first, base = found[0], "/".join([*found[0].split("/")[:3], ""])
        fetch = ("curl", "-s", "--max-time", "20", "-w", "%{http_code}")
        self.assertTrue(self.bob.do(*fetch, "-c", "jar", first).endswith("200"))
        self.assertFalse(self.bob.do(*fetch, first).endswith("200"), "twice by one address")
        self.assertEqual(self.bob.do(*fetch, "-b", "jar", base), PAGE + "200")
        self.assertTrue(self.bob.do(*fetch, base).endswith("403"))
        stranger = self.bob.do(*fetch, "-b", "jar", "-H", "Host: evil.example", base)
        self.assertTrue(stranger.endswith("421"), stranger)
        self.assertNotIn(PAGE, stranger)
