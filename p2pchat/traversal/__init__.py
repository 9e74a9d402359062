"""
Finding and keeping a path between two peers: pure state machines.

::

    attempt ── an offer, its answer, and the checks that follow
    agent ── the traversal of one peer: tells STUN from the rest, empties its children's outboxes
      ├── dual_stack ── gathering in both address families
      │     └── gathering ── our candidates, by Binding requests to the registry's STUN service
      │           ├── filtering_test ── which of two filtering behaviours our NAT has
      │           └── keepalive ── how long our NAT keeps an idle mapping
      ├── relays ── our allocations on TURN relays
      │     └── turn ── one allocation
      │           ├── turn_permissions ── its permissions and channels
      │           └── stun_transactions ── its requests, signed and repeated
      ├── punching ── rounds of checks of one attempt, and the path that they find; attempt_events
      │     ├── checks ── making, answering and judging a check
      │     ├── pairs ── candidate pairs, the checklist of them, and the path
      │     │     └── link_proof ── whether one carries the link
      │     ├── probing ── which pairs are probed for what size; size_probe, one of them
      │     ├── selection ── which pair carries the traffic
      │     ├── remote_candidates ── which of a peer's candidates are kept
      │     └── port_guessing ── many sockets, or probes to many ports
      ├── strategy ── what is tried beside plain checks; path_hint, how the last path was made
      ├── check_slots ── how many attempts check at a time
      └── send_budget ── how much is sent to each host, and to all of them

    own_addresses ── our addresses by their usefulness, and our routes
    routes ── bases, routes, and which attempt gets what comes over a route
    nat ── words for NAT behaviour (RFC 4787); gathering finds out which fit ours
    reachability ── addresses that may be contacted, by scope
    report ── what was tried, as values
    round_trips ── what was measured, and the time limits that follow
    earliest ── which of several times comes first

A machine gets the time and randomness as arguments.  What it has for its parent, datagrams and
events, waits in its ``outbox``, in order; the agent's own come out of ``datagrams_to_send`` and
``next_event``.  Terms are those of RFC 8445 (ICE), 8489 (STUN), 8656 (TURN) and 4787 (NAT); what
deviates stands in the module concerned.
"""
