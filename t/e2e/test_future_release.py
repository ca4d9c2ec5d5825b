#!/usr/bin/env python3
"""FUTURERELEASE (RFC 4865): who may hold, how long, what the queue shows, across restarts and flushes, and what
cancels it. TAP."""

import datetime
import json
import re
import time

import tern_test as t

t.need("ternqueue", "ternsuper", "terncat", "tern", "master", "smtpd", "qmgr", "cleanup", "lookup", "local")
MESSAGE = "Subject: {0}\r\nFrom: <a@example.test>\r\n\r\n{0}\r\n"


def session(tern, login="ann"):
    smtp = tern.smtp()
    if login:
        code, text = smtp.docmd("XCLIENT", f"LOGIN={login}")
        if code != 220:
            raise RuntimeError(text)
        smtp.ehlo()
    return smtp


def send(tern, subject, parameters, login="ann"):
    with session(tern, login) as smtp:
        code, reply = smtp.docmd("MAIL", f"FROM:<a@{tern.domain}> {parameters}")
        if code != 250:
            return code, reply.decode()
        smtp.rcpt(f"user@{tern.domain}")
        code, reply = smtp.data(MESSAGE.format(subject).encode())
        return code, reply.decode()


def rows(tern):
    return [json.loads(line) for line in tern.command("ternqueue", "-j").stdout.splitlines()]


def subjects(tern):
    return sorted(re.search(rb"^Subject: (.*)$", raw, re.M)[1].decode() for raw in tern.stored("user"))


def utc(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


with t.Instance(settings=["smtpd_authorized_xclient_hosts=127.0.0.1", "smtpd_future_release_limit=1d"]) as tern:
    tern.add_user("user")
    tern.start()
    with tern.smtp() as smtp:
        t.ok(not smtp.has_extn("futurerelease"), "a stranger is not offered it", smtp.esmtp_features)
    t.is_(send(tern, "no", "HOLDFOR=10", login=None)[0], 555, "nor may it use it")
    with session(tern) as smtp:
        offered = smtp.esmtp_features.get("futurerelease", "")
        t.ok(re.fullmatch(r"86400 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", offered), "who has logged in is told the limits", offered)
    t.is_(send(tern, "no", "HOLDFOR=86401")[0], 501, "an interval beyond the limit")
    t.is_(send(tern, "no", f"HOLDUNTIL={utc(time.time() + 86500)}")[0], 501, "a date beyond the limit")
    t.is_(send(tern, "no", "HOLDUNTIL=tomorrow")[0], 501, "what is no date")
    t.is_(send(tern, "no", "HOLDFOR=1 HOLDUNTIL=2026-01-01T00:00:00Z")[0], 501, "both at once")
    t.is_(send(tern, "past", "HOLDUNTIL=2001-01-01T00:00:00Z")[0], 250, "a date in the past")
    t.ok(tern.wait_stored("user", 1), "is now")

    before = time.time()
    code, reply = send(tern, "soon", "HOLDFOR=6")
    t.is_(code, 250, "six seconds from now")
    queue_id = reply.split()[-1]
    t.ok(t.wait_for(lambda: tern.queued("cur") == [queue_id]), "waits in the queue", tern.queued())
    row = rows(tern)[0]
    t.ok(row["queue_name"] == "deferred" and before + 5 <= row["release_time"] <= before + 8, "ternqueue -j has the date", row)
    listing = tern.command("ternqueue", "-p").stdout
    t.ok(re.search(r"\(to be released \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d\)", listing), "ternqueue -p too", listing)
    shown = tern.command("terncat", "-q", queue_id).stdout
    t.ok("release_time: " in shown and "named_attribute: sasl_username=ann\n" in shown, "terncat too", shown)

    tern.command("ternqueue", "-f", check=True)
    tern.command("ternqueue", "-i", queue_id, check=True)
    tern.run("stop", check=True)
    tern.start()
    t.is_(tern.queued("cur"), [queue_id], "neither a flush nor a restart sends it early")
    stored = tern.wait_stored("user", 2, seconds=20)
    t.ok(len(stored) == 2 and time.time() >= before + 6, "it is delivered when its time has come", subjects(tern))
    t.is_(subjects(tern), ["past", "soon"], "and is the right one")
    t.ok(tern.wait_empty(), "the queue is empty then")

    queue_id = send(tern, "never", "HOLDFOR=80000")[1].split()[-1]
    t.wait_for(lambda: tern.queued("cur") == [queue_id])
    tern.run("stop", check=True)
    for path in (tern.spool / "queue" / "schedule").iterdir():
        path.unlink()
    tern.start()
    t.ok(tern.wait_log("the schedule index was made anew") and tern.queued("cur") == [queue_id],
         "an index made anew keeps the date", tern.queued())
    t.ok("the clock was wrong" not in tern.log(), "and takes it for no mistake")
    tern.command("ternsuper", "-h", queue_id, check=True)
    tern.command("ternsuper", "-H", queue_id, check=True)
    t.ok(t.wait_for(lambda: tern.queued("cur") == [queue_id]), "held and let go by an operator it still waits", tern.queued())
    tern.command("ternsuper", "-d", queue_id, check=True)
    t.ok(tern.wait_empty() and subjects(tern) == ["past", "soon"], "an operator cancels it with ternsuper -d")
t.done()
