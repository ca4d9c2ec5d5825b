#!/usr/bin/env python3
"""Direct delivery: what can be delivered at once needs no queue file, what cannot is in the queue before
the client hears 250, and whoever dies in between loses nothing that was acknowledged."""

import os
import signal
import smtplib
import threading
import time

import tern_test as t

t.need("tern", *t.DAEMONS, "ternsuper")

SETTINGS = ["smtp_host_lookup=native", "disable_dns_lookups=yes", "minimal_backoff_time=1s", "maximal_backoff_time=2s",
            "queue_run_delay=1s", "transport_retry_time=1s", "direct_delivery_milliseconds=400"]
MESSAGE = b"From: a@client.test\nSubject: direct\n\nOne line.\n"


class SlowSink(t.Sink):
    """Holds every final dot back while .gate is not set; .waiting counts those that wait."""

    def __init__(self, refuse=()):
        self.gate = threading.Event()
        self.gate.set()
        self.waiting = 0
        self.refuse = refuse
        super().__init__(self.reply)

    def reply(self, stage, text):
        if stage == "rcpt" and text.split("@")[0] in self.refuse:
            return "550 5.1.1 no such one"
        if stage == "dot":
            self.waiting += 1
            self.gate.wait(30)
        return None


def instance(sink, *more, **options):
    tern = t.Instance(settings=[*SETTINGS, *more], **options)
    tern.set(f"relayhost = [127.0.0.1]:{sink.port}")
    for user in ("anna", "bert"):
        tern.add_user(user)
    return tern


class Sending(threading.Thread):
    """One message in a thread of its own: .reply is the code that ended it, .seconds how long that took."""

    def __init__(self, tern, *recipients, content=MESSAGE):
        super().__init__(daemon=True)
        self.tern, self.recipients, self.content, self.reply, self.seconds = tern, recipients, content, None, 0.0
        self.start()

    def run(self):
        begun = time.monotonic()
        try:
            self.tern.send("anna@example.test", list(self.recipients), self.content, timeout=30)
            self.reply = 250
        except smtplib.SMTPDataError as error:
            self.reply = error.smtp_code
        except (OSError, smtplib.SMTPException) as error:
            self.reply = str(error)
        self.seconds = time.monotonic() - begun


def kill(tern, service):
    os.kill(tern.pid_of(service), signal.SIGKILL)


def without_queue_folder(tern, sink):
    """The queue's user may not make files: only what needs none is accepted."""
    folder = tern.spool / "queue" / "tmp"
    os.chmod(folder, 0o500)
    tern.send("a@client.test", ["anna@example.test"], MESSAGE)
    t.is_(len(tern.wait_stored("anna", 2)), 2, "a Maildir's message is accepted and delivered without a queue file")
    tern.send("a@client.test", ["r@far.test", "bert@example.test"], MESSAGE)
    t.is_((len(sink.messages), len(tern.stored("bert"))), (1, 1), "250 comes after the next hop's 250 and the Maildir's sync")
    sink.gate.clear()
    late = Sending(tern, "r@far.test")
    late.join(20)
    t.is_(late.reply, 451, "what has to wait and cannot be written is not accepted")
    sink.gate.set()
    t.ok(tern.wait_log("not accepted: delivered no further"), "the queue manager lets go of it")
    os.chmod(folder, 0o700)
    tern.send("a@client.test", ["r@far.test"], MESSAGE)
    t.ok(t.wait_for(lambda: len(sink.messages) >= 3), "afterwards mail goes on")


def no_connection_yet(tern, sink):
    """Deliveries that wait for their agent while their messages come into the queue: each sends its own content."""
    master = tern.pid_of("master")
    t.freeze(master)
    try:
        sendings = [Sending(tern, f"wait{i}@far.test", content=b"Subject: %d\n\n" % i + b"%d\n" % i * (50 + 400 * i))
                    for i in range(8)]
        t.wait_for(lambda: len(tern.queued("new")) == len(sendings))
    finally:
        os.kill(master, signal.SIGCONT)
    for sending in sendings:
        sending.join(20)
    t.is_([sending.reply for sending in sendings], [250] * len(sendings), "no connection to the agent yet: all are accepted")
    t.ok(t.wait_for(lambda: len(sink.messages) == len(sendings)), "and delivered", len(sink.messages))
    wrong = [recipients for _, recipients, content in sink.messages
             if not content.endswith(b"\n\n" + b"%d\n" % int(recipients[0][4]) * (50 + 400 * int(recipients[0][4])))]
    t.is_(wrong, [], "each with the content that is its own")
    sink.messages.clear()


def slow_next_hop(tern, sink):
    before = len(sink.messages)
    sink.gate.clear()
    sending = Sending(tern, "slow@far.test")
    sending.join(20)
    t.is_(sending.reply, 250, "a slow next hop: accepted")
    t.ok(sending.seconds < 5, "within a moment", f"{sending.seconds:.1f} s")
    t.is_(len(tern.queued("new")), 1, "it is in the queue while the delivery goes on")
    sink.gate.set()
    t.ok(tern.wait_empty(), "the queue drains", tern.queued())
    t.is_(len(sink.messages) - before, 1, "delivered once")


def refused_recipient(tern, sink):
    before = len(sink.messages)
    tern.send("bert@example.test", ["good@far.test", "no@far.test"], MESSAGE)
    t.ok(tern.wait_empty(), "a refused recipient: the queue drains")
    t.is_(len(sink.messages) - before, 1, "the good recipient has it once")
    t.ok(t.wait_for(lambda: any(b"no such one" in raw for raw in tern.stored("bert"))), "the sender has a notice")


def killed_qmgr(tern, sink):
    """250 all the same, for cleanup writes it down; the delivery that was under way may have got through."""
    waiting, before, stored = sink.waiting, len(sink.messages), len(tern.stored("anna"))
    sink.gate.clear()
    sending = Sending(tern, "killed@far.test", "anna@example.test")
    t.wait_for(lambda: sink.waiting > waiting and len(tern.stored("anna")) > stored)
    kill(tern, "qmgr")
    sending.join(20)
    t.is_(sending.reply, 250, "qmgr killed in a direct delivery: accepted")
    sink.gate.set()
    t.ok(tern.wait_empty(20), "the queue drains", tern.queued())
    t.ok(t.wait_for(lambda: len(sink.messages) > before), "the remote recipient has it")
    t.is_(len(tern.stored("anna")), stored + 1, "the Maildir has it once: it was looked for there")


def killed_cleanup(tern, sink):
    waiting = sink.waiting
    sink.gate.clear()
    sending = Sending(tern, "lost@far.test")
    t.wait_for(lambda: sink.waiting > waiting)
    kill(tern, "cleanup")
    sending.join(20)
    t.is_(sending.reply, 451, "cleanup killed in a direct delivery: the client is told to try again")
    sink.gate.set()
    t.ok(tern.wait_empty(), "nothing is left of it in the queue", tern.queued())
    tern.send("a@client.test", ["bert@example.test"], MESSAGE)


def reloaded(tern, sink):
    waiting, before = sink.waiting, len(sink.messages)
    sink.gate.clear()
    sending = Sending(tern, "reload@far.test")
    t.wait_for(lambda: sink.waiting > waiting)
    t.is_(tern.run("reload").returncode, 0, "a reload in a direct delivery")
    sending.join(20)
    t.is_(sending.reply, 250, "accepted")
    sink.gate.set()
    t.ok(tern.wait_empty(20), "the queue drains", tern.queued())
    t.is_(len(sink.messages) - before, 1, "delivered once: the successor waited for the lock")


def deleted(tern, sink):
    """An operator's wish in the middle of it."""
    waiting = sink.waiting
    sink.gate.clear()
    sending = Sending(tern, "slow1@far.test", "anna@example.test")
    t.wait_for(lambda: sink.waiting > waiting)
    removed = tern.queue_tool("ternsuper", "-d", "ALL")
    t.is_(removed.returncode, 0, "ternsuper -d ALL during a direct delivery")
    sending.join(20)
    t.is_(sending.reply, 250, "the client hears that it was accepted")
    sink.gate.set()
    t.ok(tern.wait_empty(), "the queue is empty", tern.queued())


def large_and_many(tern, sink):
    body = b"".join(b"%d %s\n" % (i, b"x" * 70) for i in range(20000))
    tern.send("a@client.test", ["anna@example.test"], b"Subject: large\n\n" + body)
    t.ok(t.wait_for(lambda: any(raw.endswith(b"\n\n" + body) for raw in tern.stored("anna"))),
         "a large message is written as it comes, and arrives as it was")
    many = [f"r{i}@far.test" for i in range(990)]
    before = sum(len(message[1]) for message in sink.messages)
    tern.send("a@client.test", many, MESSAGE)
    t.ok(t.wait_for(lambda: sum(len(message[1]) for message in sink.messages) - before == 990), "990 recipients have it")
    t.ok(tern.wait_empty(), "the queue drains")


def main():
    sink = SlowSink(refuse=("no",))
    with instance(sink) as tern:
        tern.start()
        tern.send("a@client.test", ["anna@example.test"], MESSAGE)
        no_connection_yet(tern, sink)
        if t.is_root():
            without_queue_folder(tern, sink)
        for play in (slow_next_hop, refused_recipient, killed_qmgr, killed_cleanup, reloaded, deleted, large_and_many):
            play(tern, sink)
            t.ok(len(tern.queued("corrupt", "tmp")) == 0, f"{play.__name__}: nothing torn, nothing left in tmp")
    with instance(sink, "direct_delivery_milliseconds=0", "content_memory_total=0") as tern:
        tern.start()
        os.chmod(tern.spool / "queue" / "new", 0o500)
        if t.is_root():
            refused = Sending(tern, "anna@example.test")
            refused.join(20)
            t.is_(refused.reply, 451, "direct_delivery_milliseconds=0: every message needs its queue file")
        os.chmod(tern.spool / "queue" / "new", 0o700)
        tern.send("a@client.test", ["anna@example.test"], MESSAGE)
        t.is_(len(tern.wait_stored("anna")), 1, "and is delivered from there")
    sink.close()


main()
t.done()
