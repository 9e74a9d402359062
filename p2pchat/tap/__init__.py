"""
The programs: command lines and services, for ``twistd`` and for the command ``p2pchat``.

::

    program         p2pchat, before anything heavy is imported
      └── command     commands for people, such as p2pchat pipe
    runner          our programs without twistd's command line
    command_line    the base of all command lines
    p2pnode         a node without a console
    p2ppeer         its options, beside those of every node
      ├── node_options      those, and where the log goes
      ├── opened_peer       the service of a node that has its directory
      ├── places            paths on command lines
      ├── profiles          state directories by name
      ├── passphrases       the passphrase of the identity, from a file or typed
      ├── p2ppeer_services  the node with its front ends; --nat-type
      ├── event_log         a node's events as log lines
      ├── message_command   --on-message: when its command runs, and for how long
      ├── child_process     the start of such a command, and its end
      ├── attached_peer     a program whose node is another one, until that ends
      ├── stdio_relay       stdio of such a program, for whoever has it now
      └── stdio_service     the base of services that own stdio
    p2ppipe         forwards between endpoints: its options
      └── p2ppipe_service   what is told of them
    p2p_endpoint    endpoint strings for people, of clients and servers
      └── node_for          the node that they mean, which this program may become
    p2psignal       its options
      ├── p2psignal_services  its ports
      └── tls_endpoint        TLS with certificates that may be replaced
    logs            log lines as JSON
    process         standard streams, exit status, open files, garbage collection
"""
