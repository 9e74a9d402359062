"""
The nftables rules that make a Linux box each kind of NAT; pure text.

Every box calls its outward interface `wan`. A box has two tables:

- `uplink`, on all of them: the weather on its line (`weather_ruleset`) and a counter of the
  UDP datagrams that reach it from outside, before any translation;
- `nat`, by kind: the translation, and who may send in.

A third, `quic`, is there while the box recognises QUIC and drops it, as some firewalls do: by the
first bit of a datagram, which is set in QUIC's long headers (RFC 9000 section 17.2), and neither in
STUN nor in TURN's channel data.

=================== ======================= ===========================================
kind                mapping (RFC 4787)      filtering
=================== ======================= ===========================================
open                none: a plain router    none
full-cone           endpoint-independent    endpoint-independent
address-restricted  endpoint-independent    address-dependent
port-restricted     endpoint-independent    address and port-dependent
no-firewall         endpoint-independent    address and port-dependent, yet a stranger's
                    until a stranger sends  datagram reaches the box and takes its mapping
symmetric           address and             address and port-dependent
                    port-dependent
double              port-restricted behind port-restricted
udp-blocked         port-restricted, for TCP UDP is dropped in silence, both ways
                    only
=================== ======================= ===========================================

Two more are what a carrier has for its homes; both are port-restricted to the internet. `carrier`
lets nothing back in that is sent from inside to its own public address; `hairpinning` does, to whom
the port is mapped, from the public endpoint of the sender (RFC 4787 REQ-9).

Endpoint-independent mapping is what `masquerade` gives while each inside port is used by one host:
it keeps the port number. `open`, `full-cone` and `address-restricted` boxes let in to one inside
address only, the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

#: The boxes that make each kind, outermost first.
NAT_KINDS: Mapping[str, tuple[str, ...]] = {
    "open": ("open",),
    "full-cone": ("full-cone",),
    "address-restricted": ("address-restricted",),
    "port-restricted": ("port-restricted",),
    "no-firewall": ("no-firewall",),
    "symmetric": ("symmetric",),
    "double": ("port-restricted", "port-restricted"),
    "udp-blocked": ("udp-blocked",),
}

#: The kinds through which a host can use UDP at all.
UDP_KINDS = tuple(kind for kind in NAT_KINDS if kind != "udp-blocked")

UPLINK = """
table ip uplink {
    counter arrivals { }
    chain weather { }
    chain arriving {
        type filter hook prerouting priority -300; policy accept;
        iifname "wan" jump weather
        iifname "wan" meta l4proto udp counter name arrivals
    }
    chain leaving {
        type filter hook postrouting priority 300; policy accept;
        oifname "wan" jump weather
    }
}
"""

MASQUERADE = """
    chain source {
        type nat hook postrouting priority srcnat; policy accept;
        oifname "wan" masquerade
    }
"""

MASQUERADE_RANDOM = MASQUERADE.replace("masquerade", "masquerade fully-random")

#: Dropped datagrams leave no trace in the connection table, so strangers cannot take a mapping.
FIREWALL = """
    chain to_the_box {
        type filter hook input priority filter; policy accept;
        iifname "wan" ct state != { established, related } drop
    }
    chain through_the_box {
        type filter hook forward priority filter; policy accept;
        iifname "wan" ct status dnat accept
        iifname "wan" ct state != { established, related } drop
    }
"""

NO_UDP = """
    chain no_udp {
        type filter hook forward priority filter - 1; policy accept;
        meta l4proto udp drop
    }
"""

LET_ALL_IN = """
    chain destination {
        type nat hook prerouting priority dstnat; policy accept;
        iifname "wan" meta l4proto udp dnat to INSIDE
    }
"""

#: Keyed per internal endpoint (RFC 4787 section 5): the port that sent, and whom it sent to.
LET_CONTACTED_IN = """
    set contacted {
        type inet_service . ipv4_addr
        flags dynamic,timeout
        timeout 2m
    }
    chain learning {
        type filter hook forward priority filter; policy accept;
        oifname "wan" update @contacted { udp sport . ip daddr }
    }
    chain destination {
        type nat hook prerouting priority dstnat; policy accept;
        iifname "wan" udp dport . ip saddr @contacted dnat to INSIDE
    }
"""

NO_HAIRPINNING = """
    chain sent_to_the_box {
        type filter hook input priority filter - 1; policy accept;
        iifname "lan" ip daddr OUTSIDE meta l4proto udp drop
    }
"""

#: The port is the same inside and outside, so it names the host that uses it.
HAIRPINNING = """
    map mapped {
        type inet_service : ipv4_addr
        flags dynamic,timeout
        timeout 2m
    }
    chain noting {
        type filter hook forward priority filter; policy accept;
        oifname "wan" meta l4proto udp update @mapped { udp sport : ip saddr }
    }
    chain turning_back {
        type nat hook prerouting priority dstnat; policy accept;
        iifname "lan" ip daddr OUTSIDE meta l4proto udp dnat to udp dport map @mapped
    }
    chain turned_back {
        type nat hook postrouting priority srcnat - 1; policy accept;
        oifname "lan" ct status dnat snat to OUTSIDE
    }
"""

TRANSLATION: Mapping[str, str] = {
    "open": "",
    "full-cone": MASQUERADE + LET_ALL_IN,
    "address-restricted": MASQUERADE + LET_CONTACTED_IN + FIREWALL,
    "port-restricted": MASQUERADE + FIREWALL,
    "no-firewall": MASQUERADE,
    "symmetric": MASQUERADE_RANDOM + FIREWALL,
    "udp-blocked": MASQUERADE + FIREWALL + NO_UDP,
    "carrier": MASQUERADE + FIREWALL + NO_HAIRPINNING,
    "hairpinning": MASQUERADE + FIREWALL + NO_HAIRPINNING + HAIRPINNING,
}

#: What a box does, before all else, to packets that it forwards; in a table of its own.
FORWARDING = """
table ip NAME
delete table ip NAME
table ip NAME {
    chain through_the_box {
        type filter hook forward priority filter - 1; policy accept;
        RULE
    }
}
"""

NO_PORTAL = """
table ip portal
delete table ip portal
"""

#: What the portal answers passes, and what is asked of it; UDP is dropped with the rest, or passes.
PORTAL = """
table ip portal {
    chain led_astray {
        type nat hook prerouting priority dstnat - 10; policy accept;
        iifname "lan" tcp dport { 80, 8000 } redirect to :PORT
    }
    chain through_the_box {
        type filter hook forward priority filter - 1; policy accept;
        DROPPED drop
    }
}
"""

#: What a box does to UDP beside translating it, by what it is called.
TROUBLES: Mapping[str, str] = {
    "none": "",
    "loses 60 % outward": 'oifname "wan" meta l4proto udp numgen random mod 100 < 60 drop',
    "loses 40 % inward": 'iifname "wan" meta l4proto udp numgen random mod 100 < 40 drop',
    "polices": "meta l4proto udp limit rate over 50/second burst 20 packets drop",
    "says prohibited": (
        'iifname "lan" meta l4proto udp numgen random mod 2 < 1 reject with icmp admin-prohibited'
    ),
    "says unreachable": (
        'iifname "lan" meta l4proto udp numgen random mod 2 < 1 reject with icmp port-unreachable'
    ),
}

#: Draws one of several public addresses for each destination (RFC 4787 REQ-2 says not to).
POOL = """
table ip pool {
    chain source {
        type nat hook postrouting priority srcnat - 1; policy accept;
        oifname "wan" snat to FIRST-LAST
    }
}
"""

#: Counts what a box gets from either direction, before it is translated, routed or dropped.
WATCH = """
table ip watch
delete table ip watch
table ip watch {
    counter from_them { }
    counter to_them { }
    chain passing {
        type filter hook prerouting priority -310; policy accept;
        ip saddr { ADDRESSES } counter name from_them
        ip daddr { ADDRESSES } counter name to_them
    }
}
"""

#: Drops, and counts, TCP of some ports inside.
SEVERED = """
table ip severed
delete table ip severed
table ip severed {
    counter dropped { }
    chain through_the_box {
        type filter hook forward priority filter - 1; policy accept;
        tcp sport { PORTS } counter name dropped drop
        tcp dport { PORTS } counter name dropped drop
    }
}
"""

#: Counts UDP's packets through a box that have so many bytes.
SIZE = """
table ip sizes
delete table ip sizes
table ip sizes {
    counter large { }
    chain through_the_box {
        type filter hook forward priority filter - 2; policy accept;
        meta l4proto udp ip length >= LEAST counter name large
    }
}
"""


def box_ruleset(kind: str, inside: str, outside: str) -> str:
    """
    Return the rules of a box of `kind`.

    `inside` is where it may let strangers in to, `outside` its public address.
    """
    return UPLINK + nat_ruleset(kind, inside, outside)


def nat_ruleset(kind: str, inside: str, outside: str) -> str:
    """Return only the `nat` table of a box of `kind`."""
    rules = TRANSLATION[kind].replace("INSIDE", inside).replace("OUTSIDE", outside)
    return "table ip nat {" + rules + "}\n"


def weather_ruleset(cut: bool, loss: float) -> str:
    """Return the rules that cut the uplink, or lose a fraction `loss` of packets each way."""
    flush = "flush chain ip uplink weather\n"
    if cut:
        return flush + "add rule ip uplink weather drop\n"
    if loss > 0:
        threshold = round(loss * 10_000)
        return flush + f"add rule ip uplink weather numgen random mod 10000 < {threshold} drop\n"
    return flush


def forwarding_ruleset(name: str, rule: str) -> str:
    """Return the table of this name with one rule, instead of what it had; "" lets all pass."""
    return FORWARDING.replace("NAME", name).replace("RULE", rule)


def trouble_ruleset(name: str) -> str:
    """Return the rules of one of TROUBLES, instead of another."""
    return forwarding_ruleset("trouble", TROUBLES[name])


def proxies_ruleset() -> str:
    """Return the rules by which nothing passes from inside; the box itself may go out."""
    return forwarding_ruleset("walled", 'iifname "lan" drop')


def apart_ruleset(address: str) -> str:
    """Return the rules by which nothing passes to and from an address; "" lets all pass."""
    rules = f"ip saddr {address} drop; ip daddr {address} drop"
    return forwarding_ruleset("apart", rules if address else "")


def pool_ruleset(first: str, last: str) -> str:
    """Return the rules that draw from these public addresses."""
    return POOL.replace("FIRST", first).replace("LAST", last)


def quic_ruleset(dropped: bool, entering: str = "") -> str:
    """
    Return the rules that let QUIC's long headers through, or drop them in silence.

    :param entering: the port of the box at which they come in that are dropped; "" for both.
    """
    first_bit = "@th,64,1 1"  # of what is behind UDP's header of eight bytes
    way = f'iifname "{entering}" ' if entering else ""
    return forwarding_ruleset("quic", f"{way}meta l4proto udp {first_bit} drop" if dropped else "")


def long_ruleset(most: int | None) -> str:
    """
    Return the rules that drop UDP's packets of more bytes in silence, or let them pass.

    What comes in fragments is put together before it is measured.
    """
    rule = "" if most is None else f"meta l4proto udp ip length > {most} drop"
    return forwarding_ruleset("long", rule)


def severed_ruleset(ports: Iterable[int]) -> str:
    """Return the rules that drop, in silence, TCP of these ports inside."""
    found = ", ".join(map(str, ports))
    return SEVERED.replace("PORTS", found) if found else ""


def size_ruleset(least: int) -> str:
    """Return the rules that count UDP's packets of so many bytes, from now on."""
    return SIZE.replace("LEAST", str(least))


def portal_ruleset(port: int | None, udp: bool = False) -> str:
    """Return the rules of a portal whose web server has this port; None: all are logged in."""
    if port is None:
        return NO_PORTAL
    dropped = "meta l4proto != udp" if udp else 'iifname { "lan", "wan" }'
    return NO_PORTAL + PORTAL.replace("PORT", str(port)).replace("DROPPED", dropped)


def watch_ruleset(addresses: Iterable[str]) -> str:
    """Return the rules that count packets from and to these addresses, from now on."""
    return WATCH.replace("ADDRESSES", ", ".join(addresses))
