#!/usr/bin/env python3
"""tern stop and tern reload with SMTP sessions open: a stop ends those that wait for
a command with 421 at once and the others after their command, a reload does so after
drain_time. TAP."""

import threading
import time

import mail_peers as peers
import tern_test as t

t.need("master", "smtpd", "cleanup", "qmgr", "local", "lookup", "log", "tern", "ternconf")

QUICK = 3.0  # seconds, far below stop_time
GOODBYE = "Service shutting down and closing the connection"
HOST = "mail.stop.test"


class Stopping:
    """A command of tern that runs beside the test."""

    def __init__(self, tern, *command):
        self.started = time.monotonic()
        self.seconds = None
        self.thread = threading.Thread(target=self.run, args=(tern, command))
        self.thread.start()

    def run(self, tern, command):
        self.result = tern.run(*command)
        self.seconds = time.monotonic() - self.started

    def end(self):
        self.thread.join()
        return self.seconds


def is_goodbye(client, name):
    reply = client.reply()
    t.is_(reply, ("421", f"421 4.3.2 {HOST} {GOODBYE}\r\n"), name)
    t.is_(client.file.read(), b"", "and the end of the connection")


def begin_content(client, tern, subject):
    for command in ("MAIL FROM:<eve@client.example>", f"RCPT TO:<ada@{tern.domain}>", "DATA"):
        reply = client.say(command)
    t.is_(reply[0], "354", "a client begins its content")
    client.send(f"Subject: {subject}\r\n\r\nfirst\r\n".encode())


def stop_with_idle_sessions(tern):
    """Idle sessions of all kinds: in the middle of nothing, of a transaction, of a line, between chunks."""
    fresh, greeted, within, half, chunks = [peers.Client(tern.smtp_port, helo=helo)
                                              for helo in (None, *["c.example"] * 4)]
    for client in (within, half, chunks):
        client.say("MAIL FROM:<eve@client.example>")
        client.say(f"RCPT TO:<ada@{tern.domain}>")
    half.send(b"DA")
    t.is_(chunks.say(b"BDAT 6\r\nabcd")[0], "250", "a client has sent a chunk")
    many = [peers.Client(tern.smtp_port) for _ in range(200)]
    stop = Stopping(tern, "stop")
    for client, name in ((fresh, "one that has said nothing"), (greeted, "one past EHLO"),
                         (within, "one in a transaction"), (half, "one with half a command"),
                         (chunks, "one between chunks")):
        is_goodbye(client, f"421 to {name}")
    t.ok(all(client.reply()[0] == "421" for client in many), "421 to 200 more")
    t.ok(stop.end() < QUICK, "stop is quick with idle sessions", stop.seconds)
    t.is_(stop.result.returncode, 0, "and succeeds")
    t.is_(tern.queued("tmp", "new", "cur"), [], "nothing of theirs is in the queue")
    t.ok("killing it" not in tern.log(), "nobody was killed")


def stop_within_content(tern):
    idle, busy = peers.Client(tern.smtp_port), peers.Client(tern.smtp_port)
    begin_content(busy, tern, "stop")
    stop = Stopping(tern, "stop")
    is_goodbye(idle, "an idle session gets 421")
    time.sleep(0.5)
    t.ok(stop.seconds is None, "stop waits for the content")
    busy.send(b"last\r\n.\r\nNOOP\r\n")
    t.is_(busy.reply()[0], "250", "the message is taken")
    is_goodbye(busy, "then, in place of the next command, 421")
    busy.close()  # as long as a client keeps its end open, what it sends is read away for a moment
    t.ok(stop.end() < QUICK, "stop takes no longer than the command", stop.seconds)
    tern.start()
    stored = tern.wait_stored("ada")
    t.ok(len(stored) == 1 and b"first\nlast\n" in stored[0], "the message is delivered after the next start", stored)


def reload_then_stop(tern):
    idle, busy = peers.Client(tern.smtp_port), peers.Client(tern.smtp_port)
    begin_content(busy, tern, "reload")
    t.is_(tern.run("reload").returncode, 0, "reload")
    late = peers.Client(tern.smtp_port)
    t.is_(late.greeting[0], "220", "new clients are served after a reload")
    time.sleep(0.5)  # until the old processes have been told
    t.is_(idle.say("NOOP")[0], "250", "the reload dropped no idle session")
    busy.send(b"last\r\n.\r\n")
    t.is_(busy.reply()[0], "250", "nor the one within its content")
    t.is_(busy.say("NOOP")[0], "250", "which goes on")
    stop = Stopping(tern, "stop")
    for client, name in ((idle, "before"), (busy, "before"), (late, "after")):
        is_goodbye(client, f"a stop ends a session from {name} the reload")
    t.ok(stop.end() < QUICK, "quickly", stop.seconds)


def reload_and_time_passes(tern):
    idle, busy = peers.Client(tern.smtp_port), peers.Client(tern.smtp_port)
    begin_content(busy, tern, "late")
    started = time.monotonic()
    t.is_(tern.run("reload").returncode, 0, "reload with a short drain_time")
    is_goodbye(idle, "an idle session gets 421")
    t.ok(time.monotonic() - started >= 1, "not before drain_time is over", time.monotonic() - started)
    late = peers.Client(tern.smtp_port)
    t.is_(late.greeting[0], "220", "new clients are served")
    busy.send(b"last\r\n.\r\n")
    t.is_(busy.reply()[0], "250", "the one within its content ends it")
    is_goodbye(busy, "and gets 421 then")
    t.ok(t.wait_for(lambda: "draining" not in tern.run("pids").stdout), "the old processes end")
    t.is_(late.say("NOOP")[0], "250", "the new one is served on")
    late.quit()


def restart(tern):
    tern.start()
    idle = peers.Client(tern.smtp_port)
    again = Stopping(tern, "restart")
    is_goodbye(idle, "a restart ends an idle session")
    t.ok(again.end() < 2 * QUICK and again.result.returncode == 0, "restart is quick",
         (again.seconds, again.result.stderr))
    t.ok(t.wait_for(lambda: t.accepts(tern.smtp_port)), "and serves again")


with t.Instance(settings=["smtpd_peername_lookup=no", f"myhostname={HOST}", "stop_time=20s"]) as tern:
    tern.add_user("ada")
    tern.start()
    stop_with_idle_sessions(tern)
    tern.start()
    stop_within_content(tern)
    reload_then_stop(tern)
    restart(tern)
    tern.set("drain_time = 1s")
    tern.run("restart", check=True)
    reload_and_time_passes(tern)
t.done()
