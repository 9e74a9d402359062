"""
Formats: bytes and JSON to frozen values and back.

::

    strict_json      JSON objects that two readers can't read differently
    base64url        bytes in JSON
    cbor             such objects in few bytes, for what is sealed
    members          members of JSON objects, declared on attrs classes
    documents        what peers and registry sign: registration, offer, answer, ...
    nameplates       where two meet at the registry who share an invitation
    presence         one question to a registry about many peers
    mailbox          what waits at the registry for somebody who is away
    invitations      lines by which two people meet
    words            words that stand for numbers
    messages         what peers say of a link: PROOF, HELLO, CREDIT, ...; how streams open
    entries          what they say in a conversation: entries of logs, and who has which
    references       bodies of entries: texts, answers, and changes of what was said before
    framing          frames on the streams of a link
    envelopes        the same frames in an envelope, which waits in a mailbox
    problems         refusals of the registry (RFC 9457), and Retry-After
    work             proof of work that a registry under load asks for
    servers          STUN and TURN servers: URLs and credentials
    origins          origins of registries, in one spelling
    addresses        IP addresses with ports, and how far an address reaches
    nat64            IPv4 addresses behind the prefix of a NAT64
    demultiplexing   STUN or QUIC, by a datagram's first bytes
    stun             STUN messages (RFC 8489)
    channel_data     ChannelData of TURN, and its framing on streams
    transfers        messages of transfers of files
    file_names       names of files that others send
    service_names    names of services that a peer may ask for
    usernames        names that a peer may have, and look-alikes
    visible          text of others, safe for a terminal

Pure: no I/O, no clock, no randomness.  A decoder raises only
:class:`p2pchat.errors.RemoteProtocolError`, whatever the bytes; an encoder raises
:class:`p2pchat.errors.LocalProtocolError` for values that can't be written.
"""
