"""
Front ends of a node: the console and the JSON lines, on top of :class:`p2pchat.interfaces.INode`.

::

    stdio          standard input and output; the base of the front ends
      ├── console       for people: on a terminal, or in plain pipes
      │     ├── wording      events and results as sentences; pure
      │     │     ├── display_names  what peers are called, one label for each; pure
      │     │     ├── presence_wording  presence in words; pure
      │     │     ├── mail_wording  mail in words; pure
      │     │     ├── service_wording  services in words; pure
      │     │     ├── transfer_wording  transfers of files in words; pure
      │     │     ├── line_lists     lines of the history, a search, the outbox; pure
      │     │     ├── quoting        which line is answered or changed; pure
      │     │     └── sentences      sentences, quotations, tables; pure
      │     ├── qr           QR codes of invitations; pure
      │     ├── layout       entries as rows, with colours and the time of day
      │     │     └── cells       widths of text, and where rows break; pure
      │     ├── deliveries   messages that are unconfirmed for too long; pure
      │     ├── line_editor  the line that is being typed; pure
      │     │     └── keys        keys from the bytes of a terminal; pure
      │     ├── statuses     what stands beside a name for a moment; pure
      │     ├── notifications  bell and OSC 9, and whether somebody looks; pure
      │     └── terminal     modes of the terminal
      └── json_lines    for programs
            └── json_form    what they write, and read; pure
    slices         a bounded amount of work in each turn of the reactor
    requests       what is asked of the node, and done
    reading        which lines were shown, and seen
    history_requests  what is asked of the history
    service_requests  what is asked of services
    transfer_requests  what is asked of the transfers of files
    line_requests  what is asked of one line: an answer, another text, its deletion
      ├── known_lines   the lines that were shown, so that one can be meant; pure
      ├── grant_options  what is granted, and for how long; pure
      ├── commands      the meaning of a typed line; pure
      ├── cursor        the current conversation; pure
      └── results       what commands show, as values; pure
"""
