#!/usr/bin/env python3
"""LMTP to a server on a UNIX socket: smtp sits in an empty root, so master makes the
connection, to sockets that the configuration names and to no other. TAP."""

import os
import re
import smtplib
import socket
import threading
import time

import tern_test as t

NEEDED = ["tern", "master", "smtpd", "cleanup", "qmgr", "lookup", "smtp", "log"]
missing = [name for name in NEEDED if not t.program(name)]
if missing:
    t.skip_all("not built: " + " ".join(missing))


class LmtpServer:
    """A plain LMTP server; slow: seconds before it accepts, and before each greeting."""

    def __init__(self, path, slow=0.0, backlog=16):
        self.path, self.slow = str(path), slow
        self.messages = []  # (recipients, content)
        self.first_bytes = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(backlog)
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def accept(self):
        time.sleep(self.slow)
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            self.talk(connection)
        except OSError:
            pass  # the client closes after QUIT as it likes

    def talk(self, connection):
        connection.settimeout(0.2)
        try:
            self.first_bytes.append(connection.recv(100))
        except TimeoutError:
            self.first_bytes.append(b"")  # the server speaks first
        connection.settimeout(30)
        time.sleep(self.slow)
        file = connection.makefile("rwb")

        def say(line):
            file.write(line.encode() + b"\r\n")
            file.flush()

        say("220 lmtp.test LMTP")
        recipients = []
        for line in file:
            verb = line[:4].upper()
            if verb == b"LHLO":
                say("250-mail.example.test\r\n250-PIPELINING\r\n250 8BITMIME")
            elif verb == b"RCPT":
                recipients.append(re.search(rb"<(.*?)>", line).group(1).decode())
                say("250 2.1.5 Ok")
            elif verb == b"DATA":
                say("354 go on")
                content = b""
                for text in file:
                    if text == b".\r\n":
                        break
                    content += text
                self.messages.append((recipients, content))
                for recipient in recipients:
                    say(f"250 2.0.0 <{recipient}> Saved")
                recipients = []
            elif verb == b"QUIT":
                say("221 2.0.0 Bye")
                return
            else:
                say("250 2.0.0 Ok")


def send(tern, recipient, subject="hello"):
    with smtplib.SMTP("127.0.0.1", tern.smtp_port, timeout=20) as client:
        client.sendmail("you@example.com", [recipient], f"Subject: {subject}\r\n\r\nby way of a socket\r\n")


def outcome(tern, recipient, seconds=15.0):
    """The log line of the first outcome of this recipient."""
    def find():
        return next((line for line in tern.log().splitlines() if f"to=<{recipient}>" in line and "status=" in line), "")
    return t.wait_for(find, seconds)


def listening(path):
    return t.wait_for(lambda: os.path.exists(path), 5)


with t.Instance(settings=["mydestination=", "virtual_mailbox_domains=", "relay_domains=$mydomain, by.table, operator.test, slow.test, absent.test, stale.test, full.test",
                          "relay_transport=smtp", "minimal_backoff_time=1s", "queue_run_delay=1s",
                          "transport_retry_time=1s"]) as tern:
    run = tern.top / "run"
    run.mkdir()
    os.chmod(run, 0o700)
    table = tern.etc / "transport"
    table.write_text(f"by.table lmtp:unix:{run}/table\noperator.test lmtp:unix:private/master\n")
    tern.set(f"transport_maps = texthash:{table}, inline:{{ {{ {tern.domain} = lmtp:unix:{run}/inline }},"
             f" {{ slow.test = lmtp:unix:private/slow }}, {{ absent.test = lmtp:unix:{run}/absent }},"
             f" {{ stale.test = lmtp:unix:{run}/stale }},"
             f" {{ full.test = lmtp:unix:{run}/full }} }}")
    tern.start()

    # ---- permitted by an inline table
    with LmtpServer(run / "inline") as server:
        send(tern, f"ada@{tern.domain}")
        line = outcome(tern, f"ada@{tern.domain}")
        t.ok("status=sent" in line and "Saved" in line and f"relay=mail.{tern.domain}[{run}/inline]" in line and "/lmtp[" in line,
             "a socket that an inline table names", line)
        t.is_([recipients for recipients, _ in server.messages], [[f"ada@{tern.domain}"]], "the server has the message")
        t.ok(b"by way of a socket" in server.messages[0][1], "whole", server.messages)
        t.is_(server.first_bytes, [b""], "nothing is said before the server's greeting")
        t.ok("replied to HELO/EHLO with my own hostname" not in tern.log(), "a server of this host's name is no loop")

    # ---- refused: it stands in a table file only
    with LmtpServer(run / "table") as server:
        send(tern, "bob@by.table")
        line = outcome(tern, "bob@by.table")
        t.ok("status=deferred" in line and f"lmtp_unix_sockets = {run}/table would" in line,
             "one that a table file names is refused, with the parameter that would permit it", line)
        t.is_(server.first_bytes, [], "nobody connected")
        tern.set(f"lmtp_unix_sockets = {run}/table")
        t.is_(tern.run("reload").returncode, 0, "reload")
        sent = t.wait_for(lambda: server.messages, 15)
        t.ok(sent, "named in lmtp_unix_sockets it gets the deferred message", tern.log()[-2000:])

    # ---- master's own socket is no mail server's
    send(tern, "mal@operator.test")
    line = outcome(tern, "mal@operator.test")
    t.ok("status=deferred" in line and "does not permit it" in line, "nor may smtp reach what no setting names", line)

    # ---- absent, then there
    send(tern, "eve@absent.test")
    line = outcome(tern, "eve@absent.test")
    t.ok("status=deferred" in line and f"connect to mail.{tern.domain}[{run}/absent]: No such file or directory" in line,
         "a socket that is not there defers", line)
    with LmtpServer(run / "absent") as server:
        tern.command("ternqueue", "-f")
        t.ok(t.wait_for(lambda: server.messages, 15), "and gets the message when it is")
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(run / "stale"))
    stale.close()
    send(tern, "dan@stale.test")
    line = outcome(tern, "dan@stale.test")
    t.ok("status=deferred" in line and "Connection refused" in line, "a stale socket defers", line)

    # ---- slow, at a path relative to queue_directory
    with LmtpServer(tern.spool / "private" / "slow", slow=1.5) as server:
        begun = time.monotonic()
        send(tern, "flo@slow.test")
        send(tern, f"gus@{tern.domain}")
        t.ok(outcome(tern, f"gus@{tern.domain}", 5) and time.monotonic() - begun < 1.5,
             "a slow server holds nobody else up", tern.log()[-1000:])
        line = outcome(tern, "flo@slow.test")
        t.ok("status=sent" in line and "[private/slow]" in line, "a slow server is waited for", line)

    # ---- a queue that is full for a while: the kernel says EAGAIN
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(run / "full"))
    listener.listen(0)
    fillers = []
    while True:
        filler = socket.socket(socket.AF_UNIX)
        filler.setblocking(False)
        fillers.append(filler)
        if filler.connect_ex(str(run / "full")) != 0:
            break
    send(tern, "hal@full.test")
    time.sleep(0.7)
    t.is_(tern.run("status").returncode, 0, "master serves meanwhile")
    t.ok("hal@full.test" not in "".join(line for line in tern.log().splitlines() if "status=" in line),
         "a full queue is waited for")
    for filler in fillers:
        filler.close()
    listener.settimeout(10)
    greeted = False
    try:
        while not greeted:
            connection, _ = listener.accept()
            try:
                connection.sendall(b"421 4.3.2 not now\r\n")
                greeted = connection.recv(100) != b"" or "not now" in tern.log()
            except OSError:
                continue
    except TimeoutError:
        pass
    line = outcome(tern, "hal@full.test")
    t.ok("not now" in line, "and reached when there is room", line)

    if os.geteuid() == 0:
        t.ok(not re.search(r"panic|fatal:|killed by signal|exited with status", tern.log()), "nothing died", tern.log()[-3000:])

t.done()
