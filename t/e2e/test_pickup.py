#!/usr/bin/env python3
"""Connections to pickup: how many an account may have, how long they may idle, and what
becomes of mail from who has too many. Needs root, for other accounts. TAP."""

import os
import pwd
import select
import socket
import subprocess
import time

import tern_test as t

t.need("tern", "master", "pickup", "cleanup", "qmgr", "lookup", "local", "log", "sendmail")
if not t.is_root():
    t.skip_all("needs root to become other accounts")

LIMIT = 5
SESSIONS = 200  # that pickup serves in all
FLOOD = "nobody"


def demote(name):
    account = pwd.getpwnam(name)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


class Flood:
    """A process of an account that opens connections and keeps them."""

    def __init__(self, path, account, count):
        self.read, write = os.pipe()
        self.stop, stop = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.read)
            os.close(stop)
            os._exit(self.hold(path, account, count, write))
        os.close(write)
        os.close(self.stop)
        self.stop = stop

    def hold(self, path, account, count, write):
        demote(account)
        held = []
        for _ in range(count):
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            connection.connect(str(path))
            held.append(connection)
        os.write(write, b"c")
        # How many live on is told each time that a line is asked for.
        while os.read(self.stop, 1):
            ended = select.select(held, [], [], 0)[0]
            os.write(write, b"%d\n" % (len(held) - len(ended)))
        return 0

    def connected(self):
        return os.read(self.read, 1) == b"c"

    def open(self):
        os.write(self.stop, b"?")
        return int(os.read(self.read, 20))

    def end(self):
        os.close(self.stop)
        os.close(self.read)
        os.waitpid(self.pid, 0)


def sendmail(tern, account, subject):
    return subprocess.run([t.program("sendmail"), "-C", tern.etc, f"ada@{tern.domain}"], timeout=60, text=True,
                          input=f"Subject: {subject}\n\nx\n", capture_output=True, preexec_fn=lambda: demote(account),
                          env={**os.environ, "MAIL_CONFIG": str(tern.etc)})


def let_drop(tern, account):
    """On a whole machine the set-gid program's group lets everybody in; here the folder is the account's group's."""
    folder = tern.spool / "maildrop"
    os.chown(folder, -1, pwd.getpwnam(account).pw_gid)
    os.chmod(folder, 0o1770)


with t.Instance(settings=[f"pickup_uid_connection_limit={LIMIT}", "pickup_timeout=3600s"]) as tern:
    if sendmail(tern, FLOOD, "probe").returncode == 126:
        t.skip_all("other accounts cannot execute the build's commands")
    for path in (tern.etc / "main.cf", tern.etc):
        os.chmod(path, 0o755)
    tern.add_user("ada")
    tern.start()
    path = tern.spool / "public" / "pickup"
    flood = Flood(path, FLOOD, SESSIONS + 20)
    t.ok(flood.connected(), "an account opens more connections than pickup serves")
    t.ok(t.wait_for(lambda: flood.open() == LIMIT), "all but the limit are closed", flood.open())
    words = "pickup_uid_connection_limit: it gets no more"
    t.wait_for(lambda: words in tern.log()) # the line passes through another process
    t.is_(tern.log().count(words), 1, "the log says so once")
    other = sendmail(tern, "daemon", "other")
    t.is_(other.returncode, 0, "another account hands in its mail")
    t.ok(tern.wait_stored("ada"), "which is delivered")
    root = Flood(path, "root", LIMIT + 20)
    t.ok(root.connected(), "root opens connections")
    t.is_(sendmail(tern, "root", "root").returncode, 0, "and hands in mail")
    t.is_(root.open(), LIMIT + 20, "none of its are closed")
    root.end()
    refused = sendmail(tern, FLOOD, "refused")
    t.is_(refused.returncode, 75, "the first account is told to try again where it has no drop folder")
    t.ok("connection lost" in refused.stderr and "drop folder" in refused.stderr, "and why", refused.stderr)
    let_drop(tern, FLOOD)
    t.is_(sendmail(tern, FLOOD, "dropped").returncode, 0, "with one, its mail is taken there")
    t.is_(len(os.listdir(tern.spool / "maildrop")), 1, "and waits")
    flood.end()
    t.ok(t.wait_for(lambda: sendmail(tern, FLOOD, "again").returncode == 0 and len(tern.stored("ada")) > 2),
         "when its connections are gone it is served again", tern.stored("ada"))
    tern.stop()

    tern.set("pickup_timeout = 1s")
    tern.start()
    t.ok(t.wait_for(lambda: any(b"dropped" in message for message in tern.stored("ada"))),
         "what waited is delivered after a start")
    started = time.monotonic()
    idle = Flood(path, FLOOD, LIMIT)
    t.ok(idle.connected(), "connections that say nothing")
    t.is_(sendmail(tern, FLOOD, "beside them").returncode, 0, "beside them mail is dropped")
    t.ok(t.wait_for(lambda: any(b"beside them" in message for message in tern.stored("ada"))),
         "and goes on from there within seconds")
    t.ok(t.wait_for(lambda: idle.open() == 0), "are closed")
    t.ok(time.monotonic() - started >= 1, "after pickup_timeout")
    idle.end()
    t.is_(sendmail(tern, FLOOD, "last").returncode, 0, "and give their places back")

    # authorized_submit_users
    tern.set(f"authorized_submit_users = !{FLOOD}, static:all")
    t.is_(tern.run("reload").returncode, 0, "a reload forbids the account to send")
    no = sendmail(tern, FLOOD, "forbidden")
    t.ok(no.returncode == 77 and "not allowed to submit mail" in no.stderr, "which is told so", (no.returncode, no.stderr))
    t.ok(tern.wait_log(f"uid {pwd.getpwnam(FLOOD).pw_uid} is not allowed to submit mail"), "the log has it")
    t.is_([sendmail(tern, account, "allowed").returncode for account in ("daemon", "root")], [0, 0], "others may")
    tern.stop()
    t.is_(sendmail(tern, FLOOD, "by the drop folder").returncode, 0, "what it drops while the server is down")
    tern.start()
    t.ok(tern.wait_log("is refused: not allowed to submit mail") and not tern.queued("new", "cur"), "is not delivered either")
    t.ok(not any(b"forbidden" in message or b"by the drop" in message for message in tern.stored("ada")), "nothing of it came")

t.done()
