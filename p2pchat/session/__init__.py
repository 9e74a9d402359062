"""
Sessions of one peer with others: calls, links, conversations, and every decision; pure.

::

    endpoint ── every decision of a peer: datagrams, documents, callers, sessions
      ├── callers ── who may call, and how often somebody rings; token_bucket, retry_after
      ├── transfer_stream ── a transfer of files, on one stream; file_sender and file_receiver,
      │     its sides; transfer_events, what they say; pieces, and the root of their hashes;
      │     transfer_rate, how fast it is
      ├── receipts ── one for many lines that come together
      ├── privacy ── what is let known beside what is said
      └── peer_session ── everything with one peer; session_state holds it, session_path
      │     │ finds and keeps its path; chat_consent asks whether somebody may talk
            ├── stages ── the table of stages, and the values that leave a session
            ├── path_loss ── whether a path is lost, or has only become slow
            ├── approval ── whose yes a call has
            ├── call ── offers, ringing, refusals, retries; call_events, what it says
            ├── live_link ── the link of now over the path of now
            │     ├── link ── QUIC and the proof of who is there; flight, link_clock
            │     │     ├── quic ── one connection; qh3_connection, quic_secrets
            │     │     └── renewal ── other keys and sizes for it
            │     ├── datagram_size ── what the path carries
            │     ├── streams ── frames, credit, and whose turn it is; receive_window
            │     ├── byte_streams ── those of services; service_stream, one of them
            │     ├── bulk_allowance ── how much of services may be under way
            │     └── control ── HELLO, heartbeats, DISCONNECT; liveness, verification,
            │           mailbox_exchange, registry_exchange: each an announcement
            ├── composing ── that somebody types
            ├── conversation ── two logs and their receipts; stored, what is kept of them
            │     ├── own_log, log_copy ── one that we write, one that somebody else writes
            │     ├── moved_lines ── lines of ours that were written again in other places
            │     ├── pause ── until when nothing more is stored of who has sent too much
            │     ├── held_lines ── what of theirs waits until our person agrees to talk
            │     ├── unread ── what somebody still has to read, and the credit it holds
            │     ├── mail ── what of it waits in mailboxes; deposits, which envelopes do
            │     ├── read_marks ── how far each side has read
            │     ├── passing_on ── what the other side has lost, out of our store
            │     └── conversation_events ── what it tells its session and the store; line_events,
            │           what front ends are told of it
            └── connection_log ── what happened, as events and for connection_report, which
                  /why shows; explanation has the sentences
"""
