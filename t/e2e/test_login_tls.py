#!/usr/bin/env python3
"""login_tls, seen from another machine: what is offered before TLS, and whether a password in clear is taken. TAP."""

import socket
import subprocess

import mail_peers as peers
import tern_test as t
from imap_client import Client

t.need("tern", "master", "auth", "imapd", "pop3d", "mailbox", "log")
peers.enter_own_network()
HERE, THERE = "192.0.2.20", "192.0.2.11"


def connect(port):
    return socket.create_connection((HERE, port), timeout=30, source_address=(THERE, 0))


def imap(tern, clear, offered):
    client = Client(tern.port_base + 143, connection=connect(tern.port_base + 143))
    words = client.greeting.replace(b"]", b" ").split()
    t.is_((b"LOGINDISABLED" in words, b"AUTH=PLAIN" in words, b"STARTTLS" in words), (not clear, clear, offered), "imap: what is offered")
    answer, _ = client.command(f"LOGIN ada@{tern.domain} secret")
    t.ok(answer.startswith(b"OK" if clear else b"NO [PRIVACYREQUIRED]"), "imap: LOGIN in clear is " + ("taken" if clear else "not"), answer)
    client.close()


def pop3(tern, clear, offered):
    with connect(tern.port_base + 110) as connection, connection.makefile("rb") as answers:
        def say(text):
            connection.sendall(text)
            return answers.readline()
        answers.readline()
        say(b"CAPA\r\n")
        words = list(iter(answers.readline, b".\r\n"))
        t.is_((b"USER\r\n" in words, b"STLS\r\n" in words), (clear, offered), "pop3: what is offered")
        first, last = say(f"USER ada@{tern.domain}\r\n".encode()), say(b"PASS secret\r\n")
        t.is_((first[:3] == b"+OK" and last[:3] == b"+OK"), clear, "pop3: USER and PASS in clear are " + ("taken" if clear else "not"))


def main():
    for address in (HERE, THERE):
        subprocess.run([peers.find_program("ip"), "address", "add", f"{address}/32", "dev", "lo"], check=True)
    for value, clear, offered in (("required", False, True), ("may", True, True), ("none", True, False)):
        with t.Instance(tls=True, settings=[f"login_tls={value}", f"inet_interfaces={HERE}", "inet_protocols=ipv4"]) as tern:
            tern.add_user("ada")
            tern.start()
            print(f"# login_tls={value}", flush=True)
            imap(tern, clear, offered)
            pop3(tern, clear, offered)
    t.done()


main()
