"""
The client: sockets, signaling, what is kept, and the node.

Adapters only: what is decided here could not be decided in ``traversal`` or ``session``,
because it needs the network, a registry or the person.

Node
    ``node``                   everything together, as user interfaces see it
    ``opened_node``            a node made of what is kept in a directory
    ``settings``               options of a node, and what it lists
    ``event_queue``            their way to the front ends
    ``journal``                what is said, on its way into the store
    ``ephemeral_store``        stores of messages and secrets that keep nothing
    ``people``                 contacts, and names on the screen
    ``contacts``               the contacts themselves
    ``whereabouts``            registries where we are found, and where they are
    ``lookup``                 from a name, an id or its beginning to one peer
    ``pasted``                 the id that stands in a pasted text
    ``retention``              what is too old is deleted
    ``presence``               which contacts are there, and when each was last
    ``presence_lookup``        the same of many peers, at several registries
    ``indications``            what contacts are let know beside what is said
    ``rhythms``                what is done again and again
    ``outbox``                 lines that wait for contacts, and the calls for them
    ``invitations``            invitations of ours, and those that we join by
    ``given_answers``          answers to joiners, until those surely have them
    ``meetings``               what follows: two who met talk
    ``kept_invitations``       the open ones, as they are kept
    ``word_list``              the words that they are said with
    ``failed_calls``           whether the peer of a failed call is gone
    ``profile``                keys, contacts and what else is kept between two runs
    ``remembered``             options of the last start
    ``keeping``                what changes of that is written soon
    ``write_behind``           rows on the disk that follow what is in memory
    ``old_files``              files in which that was kept before
    ``key_files``              the files of the keys, and their passphrase
    ``state_directory``        the directory that holds them, and its lock
    ``files``                  files replaced whole
    ``last_writes``            the disk has what it takes soon, when the node ends
    ``transfers``              files to contacts, and from them: a package
    ``storage``                the database: a package

Services
    ``grants``                 which key may open which service
    ``grant_clock``            the clock that grants run out by
    ``services``               what programs offer to peers, and reach at peers
    ``service_endpoints``      the endpoints of Twisted for that
    ``service_links``          links that are brought up for it
    ``service_access``         who may open what, and when that ends
    ``service_infos``          lists of all that, for people
    ``catalogue``              what a peer may open, as it asks
    ``web_agent``              HTTP to services
    ``new_services``           the services of a node, made of its parts
    ``peer_streams``           streams of services, for programs of Twisted
    ``stream_transport``       Twisted's transport over one of them
    ``peer_address``           the address of a service, as Twisted has addresses
    ``stream_lost``            the loss of a stream with its link

Mail
    ``mail``                   what waits at registries, of ours and for us
    ``mail_tokens``            who may leave something for whom
    ``own_mailbox``            our mailbox: keys and tokens shown, and what waits taken
    ``mail_delivery``          what is left for contacts who are away

Network
    ``driver``                 the machine's timer, and what comes out of it
    ``new_endpoint``           the endpoint of a node, as its person wants it
    ``endpoint_adapter``       the endpoint on real sockets
    ``datagrams``              the UDP sockets of a peer
    ``udp``                    one UDP port, its datagrams in batches
    ``nat64``                  the NAT64 of a network with IPv6 alone
    ``connector``              TCP connections that we make
    ``proxy``                  HTTP and SOCKS5 proxies that they go through
    ``proxy_endpoint``         the endpoint behind one
    ``relay_stream``           TCP and TLS connections to relays
    ``resolver``               names and URLs of servers to addresses

Signaling
    ``signaling``              its values, and several ways of it as one
    ``reach``                  by which ways documents reach us now
    ``known_ways``             by which way each peer was heard last
    ``other_registries``       registries where we aren't registered, asked for a while
    ``guest_registrations``    registrations at a contact's registry, while a call takes place
    ``staggered_race``         the same by several ways, the best one first
    ``signaling_channel``      signed and sealed documents in and out, whatever carries them
    ``sealing_keys``           which key a document to a peer is sealed to
    ``registry_signaling``     signaling by a registry
    ``registry_connection``    registered and subscribed: stages, renewals, retries
    ``lease``                  the answer to a registration
    ``nameplates``             where two meet there who share an invitation
    ``registry_mailbox``       mailboxes there: ours, and those of others
    ``registry_client``        the registry's routes
    ``registry_location``      how near the registry is
    ``http_client``            HTTP with bounds
    ``request_times``          how long it may take
    ``http_connections``       where its connections lead, and which are kept
    ``http_meter``             what of a connection is read, and how fast
    ``address_turns``          which address of a name is tried first
    ``tls``                    TLS to a server that is known by its name
    ``foreign_answers``        who else answers than the registry
    ``event_stream``           server-sent events
    ``stream_health``          whether something on the way holds them back, or ends streams
    ``proof_of_work``          work that a registry under pressure asks for
    ``wall_clock``             this machine's clock, corrected by the registry's
    ``failures``               errors of connections, in words
    ``gate``                   waiting for what comes and goes
"""
