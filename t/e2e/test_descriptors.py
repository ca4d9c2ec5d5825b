#!/usr/bin/env python3
"""A system that allows few descriptors: a daemon takes new clients only while enough are left for those it
has, and another process takes the others. TAP."""

import re
import socket
import subprocess

import tern_test as t
from imap_client import Client

t.need("tern", "master", "auth", "imapd", "mailbox", "smtpd", "lookup", "log")

ALLOWED = 128  # descriptors a process; an eighth of them is kept
MANY = 2 * ALLOWED


def limit(pid):
    with open(f"/proc/{pid}/limits", encoding="ascii") as file:
        return re.search(r"^Max open files\s+(\d+)\s+(\d+)", file.read(), re.M).groups()


def processes(tern, service):
    return [pid for name, pid in tern.pids() if name == service]


def greeting(port):
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.settimeout(60)
    return connection, connection.recv(512)


def fill(port, start):
    """MANY more clients, all greeted."""
    clients = [greeting(port) for _ in range(MANY)]
    t.ok(all(line.startswith(start) for _, line in clients), f"{MANY} clients are greeted", [line for _, line in clients][-1])
    return [connection for connection, _ in clients]


def imap(tern):
    """The front's first clients have all it needs for their sessions, while it is full."""
    port = tern.port_base + 143
    early = [Client(port) for _ in range(6)]
    for client in early[:3]:
        t.ok(client.command(f"LOGIN ada@{tern.domain} secret")[0].startswith(b"OK"), "a client logs in")
        t.ok(client.command("SELECT INBOX")[0].startswith(b"OK"), "opens its mailbox")
        client.send(b"i IDLE\r\n")
        t.ok(client.answer().startswith(b"+"), "and idles")
    others = fill(port, b"* OK")
    t.ok(len(processes(tern, str(port))) > 1, "by more than one process", tern.pids())
    for client in early[:3]:
        client.send(b"DONE\r\n")
        t.ok(client.answer().startswith(b"i OK"), "who idled is served again")
    for client in early[3:]:
        t.ok(client.command(f"LOGIN ada@{tern.domain} secret")[0].startswith(b"OK"), "who was there before logs in")
    for connection in others:
        connection.close()
    for client in early:
        t.ok(client.command("NOOP")[0].startswith(b"OK"), "and is there after the others have gone")
    t.ok(Client(port).greeting.startswith(b"* OK"), "who comes now is greeted")


def main():
    with t.Instance(user="nobody" if t.is_root() else None,
                    settings=["login_connection_limit=0", "smtpd_client_connection_count_limit=0"]) as tern:
        tern.add_user("ada")
        subprocess.run(["prlimit", f"--nofile={ALLOWED}:{ALLOWED}", t.program("tern"), "-c", tern.etc, "start"], check=True,
                       preexec_fn=tern.demote if tern.user else None)
        t.is_(limit(tern.pid_of("master")), (str(ALLOWED), str(ALLOWED)), f"no process may have more than {ALLOWED} descriptors")
        imap(tern)
        for connection in fill(tern.smtp_port, b"220"):
            connection.close()
        t.ok("Too many open files" not in tern.log(), "nobody lacked a descriptor")
    t.done()


main()
