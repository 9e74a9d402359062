"""A real sshd on the loopback of a host of the lab, and what a client needs to reach it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.lab.service_side import Side

SSHD = "/usr/sbin/sshd"
PORT = 2222
_SERVER = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {directory}/host-key
AuthorizedKeysFile {directory}/authorized
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
Subsystem sftp internal-sftp
LogLevel VERBOSE
"""
_CLIENT = """\
Host *
  User root
  IdentityFile {directory}/key
  IdentitiesOnly yes
  StrictHostKeyChecking no
  UserKnownHostsFile {directory}/known
  LogLevel ERROR
  ServerAliveInterval 30
  ProxyCommand p2pchat pipe %h:ssh
"""


def start_sshd(side: Side, client: Side) -> str:
    """Start sshd on a side, for the key of another; returns the client's configuration file."""
    os.makedirs("/run/sshd", exist_ok=True)
    side.do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", side.path("host-key"))
    client.do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", client.path("key"))
    shutil.copy(client.path("key.pub"), side.path("authorized"))
    settings = _SERVER.format(port=PORT, directory=side.directory)
    Path(side.path("sshd_config")).write_text(settings)
    side.start(SSHD, "-D", "-e", "-f", side.path("sshd_config"), awaits="Server listening")
    found = client.path("ssh_config")
    Path(found).write_text(_CLIENT.format(directory=client.directory))
    return found
