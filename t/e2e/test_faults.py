#!/usr/bin/env python3
"""Every daemon killed in the middle of a stream of messages, again and again: what
was acknowledged arrives, unaltered; nobody has to help. Duplicates are counted,
for a kill between delivery and its note makes one; losses are not allowed."""

import hashlib
import os
import random
import re
import signal
import smtplib
import socket
import subprocess
import threading
import time

import tern_test as t

t.need("tern", *t.DAEMONS, "sendmail")

SECONDS_EACH = 2.0
RECOVERY = 5.0
VICTIMS = ["smtpd", "cleanup", "qmgr", "local", "local-worker", "smtp", "bounce", "lookup", "pickup", "log", "master"]
SETTINGS = ["minimal_backoff_time=1s", "maximal_backoff_time=2s", "queue_run_delay=1s", "transport_retry_time=1s",
            "smtp_host_lookup=native", "disable_dns_lookups=yes", "myorigin=$mydomain", "smtp_connect_timeout=5s",
            "default_destination_concurrency_failed_cohort_limit=50"]
TOKEN = re.compile(rb"^X-Token: (\S+) ([0-9a-f]{64})\n", re.M)


class Load:
    """Threads that send numbered messages and note what was acknowledged."""

    def __init__(self, tern, recipients):
        self.tern = tern
        self.recipients = recipients
        self.acknowledged = {}
        self.trouble = 0
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.number = 0
        self.threads = [threading.Thread(target=work, args=(i,), daemon=True)
                        for i, work in enumerate([self.by_smtp] * 3 + [self.by_sendmail])]
        for thread in self.threads:
            thread.start()

    def message(self, rng):
        with self.lock:
            self.number += 1
            token = f"T{self.number}"
        body = bytes(rng.choice(b"abcdef \n.") for _ in range(rng.choice((50, 2000, 20000)))) + b"end\n"
        digest = hashlib.sha256(body).hexdigest()
        return token, f"Subject: {token}\nX-Token: {token} {digest}\n\n".encode() + body

    def by_smtp(self, seed):
        rng = random.Random(seed)
        session = None
        while not self.stopping.is_set():
            token, content = self.message(rng)
            recipient = rng.choice(self.recipients)
            try:
                session = session or self.tern.smtp(timeout=10)
                session.sendmail("carl@example.test", recipient, t.wire(content))
                self.acknowledge(token, recipient)
            except (OSError, smtplib.SMTPException):
                self.trouble += 1
                session = None
                self.stopping.wait(0.05)

    def by_sendmail(self, seed):
        rng = random.Random(seed)
        while not self.stopping.is_set():
            token, content = self.message(rng)
            recipient = rng.choice(self.recipients)
            done = subprocess.run([str(t.program("sendmail")), "-C", str(self.tern.etc), "-i", "-f", "carl@example.test",
                                   recipient], input=content, capture_output=True)
            if done.returncode == 0:
                self.acknowledge(token, recipient)
            else:
                self.trouble += 1
            self.stopping.wait(0.1)

    def acknowledge(self, token, recipient):
        with self.lock:
            self.acknowledged[token] = recipient

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)


class Mailboxes:
    """What has arrived so far; a file is read once."""

    def __init__(self, tern, sink, users):
        self.tern, self.sink, self.users = tern, sink, users
        self.seen, self.copies, self.altered, self.bounced = set(), {}, [], set()
        self.sink_seen = 0

    def judge(self, raw, recipient):
        found = TOKEN.search(raw)
        if not found:
            return
        if b"\nContent-Type: message/delivery-status" in raw:
            self.bounced.add(found[1].decode())
            return
        token = found[1].decode()
        body = raw[found.end():].split(b"\n", 1)[1] if raw[found.end():found.end() + 1] == b"\n" else raw[raw.index(b"\n\n", found.end()) + 2:]
        self.copies[(token, recipient)] = self.copies.get((token, recipient), 0) + 1
        if hashlib.sha256(body).hexdigest() != found[2].decode():
            self.altered.append(token)

    def look(self):
        for user in self.users:
            for path in self.tern.mailbox(user):
                if path not in self.seen:
                    self.seen.add(path)
                    self.judge(path.read_bytes(), f"{user}@example.test")
        for _, recipients, content in self.sink.messages[self.sink_seen:]:
            self.sink_seen += 1
            for recipient in recipients:
                self.judge(content, recipient)

    def missing(self, acknowledged):
        self.look()
        return [token for token, recipient in list(acknowledged.items())
                if (token, recipient) not in self.copies and token not in self.bounced]


def pids_named(tern, names):
    """By process name: the workers of local are no services of their own."""
    found = []
    top = str(tern.libexec)
    for entry in os.listdir("/proc"):
        try:
            comm = open(f"/proc/{entry}/comm").read().strip()
            if comm in names and os.readlink(f"/proc/{entry}/exe").startswith(top):
                found.append(int(entry))
        except (OSError, ValueError):
            pass
    return found


def greets(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.settimeout(3)
            return connection.recv(3) == b"220"
    except OSError:
        return False


def torment(tern, victim, rng):
    """Kills the victim for some seconds; how often, and the longest time to the next greeting."""
    kills, worst = 0, 0.0
    end = time.monotonic() + SECONDS_EACH
    while time.monotonic() < end:
        time.sleep(rng.uniform(0.05, 0.4))
        for pid in pids_named(tern, (victim,)):
            try:
                os.kill(pid, signal.SIGKILL)
                kills += 1
            except ProcessLookupError:
                pass
        begin = time.monotonic()
        if victim == "master":
            t.wait_for(lambda: not pids_named(tern, ("master", "qmgr", "smtpd", "lookup")), RECOVERY)
            tern.start()
        t.wait_for(lambda: greets(tern.smtp_port), RECOVERY * 2)
        worst = max(worst, time.monotonic() - begin)
    return kills, worst


def main():
    rng = random.Random(11)
    sink = t.Sink(lambda stage, text: "550 5.1.1 no such one" if stage == "rcpt" and text.startswith("no@") else None)
    with t.Instance(settings=SETTINGS) as tern:
        tern.set(f"relayhost = [127.0.0.1]:{sink.port}")
        tern.set("virtual_alias_maps = inline:{ postmaster@example.test=carl@example.test }")
        users = ["anna", "bert", "carl"]
        for user in users:
            tern.add_user(user)
        tern.start()
        load = Load(tern, ["anna@example.test", "bert@example.test", "r@sink.test", "no@sink.test"])
        boxes = Mailboxes(tern, sink, users)
        for victim in VICTIMS:
            before = len(load.acknowledged)
            kills, worst = torment(tern, victim, rng)
            t.ok(kills > 0, f"{victim}: killed {kills} times", "never met")
            t.ok(worst < RECOVERY, f"{victim}: the server answers again within {RECOVERY:g} s", f"after {worst:.1f} s")
            more = t.wait_for(lambda: len(load.acknowledged) - before > 5, RECOVERY)
            t.ok(more, f"{victim}: mail goes on being accepted", len(load.acknowledged) - before)
        load.stop()
        t.ok(len(load.acknowledged) > 100, f"{len(load.acknowledged)} messages were acknowledged, {load.trouble} attempts were not")
        missing = t.wait_for(lambda: not boxes.missing(load.acknowledged), 30)
        t.ok(missing, "nothing acknowledged is lost", boxes.missing(load.acknowledged)[:10])
        t.is_(boxes.altered[:5], [], "nothing is altered")
        t.ok(tern.wait_empty(20), "the queue drains", tern.queued("tmp", "new", "cur", "hold"))
        t.is_(tern.queued("corrupt"), [], "no queue file is damaged")
        t.is_([p.name for p in (tern.spool / "maildrop").iterdir() if not p.name.startswith(".")], [], "the drop folder is empty")
        boxes.look()
        print(f"# duplicates: {sum(count - 1 for count in boxes.copies.values())} of {len(boxes.copies)}")
    sink.close()


main()
t.done()
