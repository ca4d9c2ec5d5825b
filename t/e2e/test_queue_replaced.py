#!/usr/bin/env python3
"""A qmgr that is replaced, or stalls, while mail waits for room or the disk is full: nothing is kept from its
successor that the old one does not deliver, and nothing delivered twice. TAP."""

import os
import signal
import smtplib
import threading

import fault_page
import tern_test as t
from queue_peers import SENDER, SMALL, SlowSink, instance

t.need("tern", *t.DAEMONS, "ternqueue", "ternsuper")
fault_page.need()


def reload_beside_waiting():
    """What has come and waits for room is the next qmgr's, not that of the one which still delivers."""
    sink = SlowSink()
    with instance("qmgr_message_active_limit=1", sink=sink) as tern:
        tern.start()
        tern.send(SENDER, ["slow@slow.test"], SMALL)
        t.ok(t.wait_for(lambda: sink.waiting), "a message is under way, and there is room for no other")
        tern.send(SENDER, [SENDER], SMALL)
        t.is_(len(tern.queued("new")), 2, "the next one waits")
        t.is_(tern.run("reload").returncode, 0, "a reload")
        t.ok(tern.wait_stored("anna", seconds=5), "the new qmgr has it at once", tern.queued())
        sink.gate.set()
        t.ok(tern.wait_empty(), "the old one ends what it began", tern.queued())
        t.is_(len(sink.messages), 1, "once")
    sink.close()


def stalled_and_full():
    """qmgr says nothing while it has a message, and then there is no room to store it: it must not keep it for ever."""
    sink = SlowSink()
    with instance(sink=sink) as tern:
        page = fault_page.Page(tern)
        tern.start()
        qmgr = tern.pid_of("qmgr")
        tern.send(SENDER, [SENDER], SMALL) # cleanup runs
        page.arm("cleanup", call="renameat2", count=1000)
        codes = []

        def send():
            try:
                tern.send(SENDER, ["slow@slow.test"], SMALL)
            except smtplib.SMTPResponseException as error:
                codes.append(error.smtp_code)
        sending = threading.Thread(target=send, daemon=True)
        sending.start()
        t.ok(t.wait_for(lambda: sink.waiting), "a message is offered to qmgr, and under way")
        t.freeze(qmgr)
        sending.join(60)
        os.kill(qmgr, signal.SIGCONT)
        page.disarm()
        t.is_(codes, [452], "a qmgr that stalls, and a full disk: the client is told to try again")
        t.ok(tern.wait_log("not accepted: delivered no further"), "and qmgr that it is no message")
        sink.gate.set()
        t.is_(tern.run("reload").returncode, 0, "a reload")
        t.ok(t.wait_for(lambda: not t.alive(qmgr)), "after which nothing keeps the old qmgr")
    sink.close()


def full_and_replaced():
    """What was delivered and cannot be written down for want of room is not delivered again by the next qmgr; and
    who makes room by deleting it is obeyed."""
    sink = t.Sink(lambda stage, text: "450 4.2.1 later" if stage == "rcpt" and text.startswith("later") else None)
    with instance("minimal_backoff_time=1s", "maximal_backoff_time=1s", "queue_run_delay=1s", sink=sink) as tern:
        page = fault_page.Page(tern)
        tern.start()
        qmgr = tern.pid_of("qmgr")
        page.arm("qmgr", call="pwrite", count=100000)
        tern.send(SENDER, ["now@a.test", "later@a.test"], SMALL)
        t.ok(tern.wait_log("cannot note progress"), "one of two is delivered, which a full disk keeps from being noted")
        t.is_(tern.run("reload").returncode, 0, "a reload")
        t.ok(t.wait_for(lambda: tern.pid_of("qmgr") not in (None, qmgr)), "brings another qmgr")
        tern.queue_tool("ternqueue", "-f")
        tern.send(SENDER, [SENDER], SMALL)
        t.ok(tern.wait_stored("anna"), "which works")
        failed = tern.log().count("cannot note progress")
        t.ok(tern.wait_log("cannot note progress", 20, failed + 1), "the old one tries on")
        t.ok(not t.wait_for(lambda: not t.alive(qmgr), 1), "and does not go")
        page.disarm()
        t.ok(t.wait_for(lambda: not t.alive(qmgr), 20), "when there is room the old one notes it, and ends")
        t.ok(t.wait_for(lambda: tern.log().count("to=<later@a.test>") >= 3, 20), "the other recipient is tried again")
        t.is_([message[1] for message in sink.messages], [["now@a.test"]], "the first one has it once")
        page.arm("qmgr", call="pwrite", count=100000)
        tern.send(SENDER, ["again@b.test", "later@b.test"], SMALL)
        t.ok(tern.wait_log("cannot note progress", count=failed + 2), "another one that cannot be noted")
        t.is_(tern.queue_tool("ternsuper", "-d", "ALL").returncode, 0, "is to be deleted")
        t.ok(tern.wait_empty(10), "and is, though there is still no room", tern.queued())
    sink.close()


for part in (reload_beside_waiting, stalled_and_full, full_and_replaced):
    part()
t.done()
