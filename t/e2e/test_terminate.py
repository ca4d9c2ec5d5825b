#!/usr/bin/env python3
"""SIGTERM to one daemon of a running instance, each kind in turn, while mail comes in:
it finishes what it does, its successor takes over meanwhile, and every message that
was acknowledged arrives, once. TAP."""

import os
import re
import signal
import smtplib
import subprocess
import threading

import mail_peers as peers
import tern_test as t

t.need("tern", *t.DAEMONS, "sendmail")

PROGRAMS = ["smtpd", "cleanup", "qmgr", "local", "smtp", "bounce", "lookup", "pickup", "log"]
TOKEN = re.compile(rb"^Subject: (T\d+)\n", re.M)


class Stream:
    """Threads that hand in numbered messages and note what was acknowledged."""

    def __init__(self, tern):
        self.tern, self.number, self.acknowledged, self.trouble = tern, 0, {}, []
        self.lock, self.stopping = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(way, recipient), daemon=True) for way, recipient in
                        [(self.by_smtp, "ada@example.test"), (self.by_smtp, "far@sink.test"),
                         (self.by_smtp, "refused@sink.test"), (self.by_sendmail, "ada@example.test")]]
        for thread in self.threads:
            thread.start()

    def by_smtp(self, recipient, content):
        with self.tern.smtp() as session:
            session.sendmail("bert@example.test", [recipient], t.wire(content))

    def by_sendmail(self, recipient, content):
        subprocess.run([t.program("sendmail"), "-C", self.tern.etc, "-f", "bert@example.test", recipient], input=content,
                       capture_output=True, check=True, timeout=60)

    def run(self, way, recipient):
        while not self.stopping.is_set():
            with self.lock:
                self.number += 1
                token = f"T{self.number}"
            try:
                way(recipient, f"Subject: {token}\n\nx\n".encode())
                with self.lock:
                    self.acknowledged[token] = recipient
            except (OSError, smtplib.SMTPException, subprocess.SubprocessError) as problem:
                self.trouble.append((token, repr(problem)))

    def wait_for_more(self, count=8):
        """Waits until so many more are acknowledged of every kind."""
        def counts():
            with self.lock:
                return {name: list(self.acknowledged.values()).count(name) for name in
                        ("ada@example.test", "far@sink.test", "refused@sink.test")}
        before = counts()
        return t.wait_for(lambda: all(after >= before[name] + count for name, after in counts().items()), 30)

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)


def arrived(tern, sink):
    """{token: copies} of all that was delivered or returned."""
    found = {}
    contents = tern.stored("ada") + [content for _, _, content in sink.messages]
    for content in tern.stored("bert"):  # notices: what they return names it
        contents.append(content[content.index(b"Content-Type: message/rfc822"):])
    for content in contents:
        token = TOKEN.search(content)
        if token:
            found[token[1].decode()] = found.get(token[1].decode(), 0) + 1
    return found


def processes(tern, program):
    """{pid: whether it drains}"""
    found = {}
    for line in tern.run("pids").stdout.splitlines():
        pid = int(line.split()[1])
        try:
            with open(f"/proc/{pid}/comm") as comm:
                if comm.read().strip() == program:
                    found[pid] = "draining" in line
        except OSError:
            pass
    return found


def terminate(tern, stream, program):
    """The processes of that program are told to end, and others take over."""
    old = t.wait_for(lambda: processes(tern, program), 20)
    if not t.ok(old, f"{program} runs"):
        return
    for pid in old:
        os.kill(pid, signal.SIGTERM)
    t.ok(t.wait_for(lambda: set(processes(tern, program)) - set(old), 10), f"another {program} takes over")
    t.ok(t.wait_for(lambda: not any(t.alive(pid) for pid in old), 20), f"the old one ends")
    t.ok(stream.wait_for_more(), f"and mail goes on", stream.trouble[-3:])


def session_outlives(tern):
    """An smtpd with a client in the middle of something is no hindrance to others."""
    client = peers.Client(tern.smtp_port)
    client.say("MAIL FROM:<bert@example.test>")
    client.say("RCPT TO:<ada@example.test>")
    t.is_(client.say("DATA")[0], "354", "a client begins its content")
    old = next(iter(processes(tern, "smtpd")))
    os.kill(old, signal.SIGTERM)
    t.ok(t.wait_for(lambda: processes(tern, "smtpd").get(old)) and "was told to end by somebody" in tern.log(), "its smtpd drains")
    other = peers.Client(tern.smtp_port, timeout=10)
    t.is_(other.greeting[0], "220", "another client is greeted meanwhile")
    other.quit()
    t.ok(t.alive(old), "by another smtpd, while the old one is still there")
    client.send(b"Subject: T0\r\n\r\nx\r\n.\r\n")
    t.is_(client.reply()[0], "250", "which takes the content to its end")
    client.quit()
    t.ok(t.wait_for(lambda: not t.alive(old)), "and ends with its client")


def main():
    sink = t.Sink(lambda stage, text: "550 5.1.1 not here" if stage == "rcpt" and text.startswith("refused") else None)
    settings = ["smtpd_peername_lookup=no", "relay_domains=sink.test", "smtp_host_lookup=native", "disable_dns_lookups=yes",
                "minimal_backoff_time=1s", "maximal_backoff_time=2s", "queue_run_delay=1s",
                f"transport_maps=inline:{{ sink.test=smtp:[127.0.0.1]:{sink.port} }}"]
    with t.Instance(settings=settings) as tern:
        tern.add_user("ada")
        tern.add_user("bert")
        tern.start()
        stream = Stream(tern)
        t.ok(stream.wait_for_more(), "mail flows")
        for program in PROGRAMS:
            terminate(tern, stream, program)
        stream.stop()
        t.is_(stream.trouble, [], "nobody who hands in mail was disturbed")
        session_outlives(tern)
        t.ok(tern.wait_empty(60), "the queue empties", tern.queued())
        wanted = {**stream.acknowledged, "T0": "ada@example.test"}
        found = t.wait_for(lambda: (got := arrived(tern, sink)).keys() >= wanted.keys() and got) or arrived(tern, sink)
        t.is_(sorted(set(wanted) - set(found)), [], f"each of {len(wanted)} messages has come, or its notice")
        t.is_(sorted(token for token, copies in found.items() if copies > 1), [], "and none twice")
        log = tern.log()
        for words in ("killed by", "ended by itself", "exit status", "fatal:", "killing it", "Sanitizer"):
            t.ok(words not in log, f"no line says \"{words}\"", "\n".join(line for line in log.split("\n") if words in line))
    sink.close()


main()
t.done()
