#!/usr/bin/env python3
"""ternqueue, ternsuper, terncat, ternshape and sendmail -bp against a running system. TAP."""

import gzip
import json
import os
import re
import subprocess

import tern_test as t

NEEDED = ["sendmail", "ternqueue", "ternsuper", "terncat", "ternshape", "tern", "master", "qmgr", "pickup", "cleanup", "lookup"]
missing = [name for name in NEEDED if not t.program(name)]
if missing:
    t.skip_all("not built: " + " ".join(missing))


def send(tern, sender, recipient, subject):
    return tern.command("sendmail", "-f", sender, "--", recipient, input=f"Subject: {subject}\nTo: {recipient}\n\nbody of {subject}\n")


def rows(tern):
    listing = tern.command("ternqueue", "-j")
    return {row["queue_id"]: row for row in map(json.loads, listing.stdout.splitlines())}


def by_recipient(tern, address):
    return next((row for row in rows(tern).values() if row["recipients"][0]["address"] == address), None)


def in_queue(tern, name, count):
    return t.wait_for(lambda: sum(row["queue_name"] == name for row in rows(tern).values()) == count)


with t.Instance(settings=["defer_transports=smtp"]) as tern:
    down = tern.command("ternqueue", "-f")
    t.is_(down.returncode, 69, "down: flush says so by its status")
    tern.start()
    t.is_(tern.command("ternqueue", "-p").stdout, "Mail queue is empty\n", "an empty queue")

    for number in range(3):
        sent = send(tern, f"s{number}@{tern.domain}", f"r{number}@away.example.com", f"mail {number}")
        t.ok(sent.returncode == 0, f"sendmail takes message {number}", sent.stderr)
    t.ok(in_queue(tern, "deferred", 3), "all are deferred", tern.command("ternqueue", "-j").stdout)
    listing = tern.command("ternqueue", "-p").stdout
    t.ok(re.search(r"^-- \d+ Kbytes in 3 Requests\.$", listing, re.M), "the last line of mailq", listing)
    t.ok("(reason unavailable)" not in listing and re.search(r"^ +\(.+\)$", listing, re.M), "reasons are there", listing)

    first = by_recipient(tern, "r0@away.example.com")
    shown = tern.command("terncat", "-q", first["queue_id"])
    t.ok(shown.returncode == 0 and "recipient: r0@away.example.com\n" in shown.stdout and "body of mail 0" in shown.stdout,
         "terncat shows it", shown.stdout + shown.stderr)
    parts = [tern.command("terncat", "-q", option, first["queue_id"]).stdout for option in ("-h", "-b", "-bh")]
    t.ok(parts[0] + parts[1] == parts[2] and parts[1].startswith("\n"), "-h and -b together are the message", parts)
    t.ok("named_attribute: client_name=localhost\n" in tern.command("terncat", "-qe", first["queue_id"]).stdout, "attributes as postcat has them")
    t.ok("delivery_event: " in shown.stdout and "next_attempt_time: " in shown.stdout, "and what happened", shown.stdout)
    shape = tern.command("ternshape", "deferred").stdout
    t.ok(re.search(r"^ *away\.example\.com 3 ", shape, re.M), "ternshape counts", shape)

    held = tern.command("ternsuper", "-h", first["queue_id"])
    t.is_(held.stderr, f"ternsuper: {first['queue_id']}: placed on hold\nternsuper: Placed on hold: 1 message\n", "hold")
    t.is_(tern.command("ternsuper", "-d", "ALL", "active").stderr, "ternsuper: Deleted: 0 messages\n", "a count of none is told too")
    t.is_(rows(tern)[first["queue_id"]]["queue_name"], "hold", "it is on hold")
    t.ok(re.search(rf"^{first['queue_id']}! ", tern.command("ternqueue", "-p").stdout, re.M), "and marked")
    checked = tern.command("ternsuper", "-s")
    t.ok("3 good, 0 damaged, 0 foreign" in checked.stderr, "a check while it runs only looks", checked.stderr)
    released = tern.command("ternsuper", "-H", "ALL")
    t.is_(released.stderr, "ternsuper: Released from hold: 1 message\n", "release")
    t.ok(in_queue(tern, "deferred", 3), "deferred again")

    flushed = tern.command("ternqueue", "-i", first["queue_id"])
    t.ok(flushed.returncode == 0, "flush one", flushed.stderr)
    t.ok(tern.command("ternqueue", "-s", "away.example.com").returncode == 0, "flush a site")
    t.ok(tern.command("ternqueue", "-f").returncode == 0, "flush all")
    t.ok(in_queue(tern, "deferred", 3), "still deferred: the transport is")

    requeued = tern.command("ternsuper", "-r", first["queue_id"])
    t.is_(requeued.stderr, f"ternsuper: {first['queue_id']}: requeued\nternsuper: Requeued: 1 message\n", "requeue")
    t.ok(t.wait_for(lambda: (by_recipient(tern, "r0@away.example.com") or first)["queue_id"] != first["queue_id"]), "under a new ID")
    t.ok(in_queue(tern, "deferred", 3), "and deferred again", tern.command("ternqueue", "-j").stdout)

    gone = tern.command("ternsuper", "--sender", "S1@*", "-d", "ALL", "deferred")
    t.is_(gone.stderr, "ternsuper: Deleted: 1 message\n", "delete by sender")
    t.ok(by_recipient(tern, "r1@away.example.com") is None, "that one is gone")
    wrong = tern.command("ternsuper", "-d", first["queue_id"])
    t.ok(wrong.returncode == 0 and "nothing changed" in wrong.stderr and "Deleted: 0 messages" in wrong.stderr, "an ID that is gone", wrong.stderr)
    ids = "".join(f"{name}*\n" for name in rows(tern))
    gone = tern.command("ternsuper", "-d", "-", input=ids)
    t.is_(gone.stderr, "".join(f"ternsuper: {name[:-2]}: removed\n" for name in ids.splitlines(True)) + "ternsuper: Deleted: 2 messages\n",
          "delete from standard input")
    t.is_(tern.command("ternqueue", "-p").stdout, "Mail queue is empty\n", "empty again")

    for number in range(120):
        send(tern, f"s@{tern.domain}", f"r{number}@many.example.com", "many")
    t.ok(in_queue(tern, "deferred", 120), "a listing of several portions", len(rows(tern)))
    t.is_(tern.command("ternsuper", "-d", "ALL", "deferred").stderr, "ternsuper: Deleted: 120 messages\n", "delete all")

    # Changed while down, taken up at the next start.
    for number in range(4):
        send(tern, f"s{number}@{tern.domain}", f"r{number}@away.example.com", f"mail {number}")
    t.ok(in_queue(tern, "deferred", 4), "four more are deferred")
    if os.geteuid() == 0:
        stranger = subprocess.run([t.program("ternsuper"), "-d", "ALL"], capture_output=True, text=True, user=65534, group=65534,
                                  extra_groups=[], env={**os.environ, "MAIL_CONFIG": str(tern.etc)})
        t.ok(stranger.returncode == 77 and "fatal" in stranger.stderr, "strangers may not", stranger.stderr)
    tern.stop()
    ids = [by_recipient(tern, f"r{number}@away.example.com")["queue_id"] for number in range(4)]
    t.is_(tern.command("ternsuper", "-h", ids[0]).stderr, f"ternsuper: {ids[0]}: placed on hold\nternsuper: Placed on hold: 1 message\n", "down: hold")
    t.is_(tern.command("ternsuper", "-d", ids[1]).stderr, f"ternsuper: {ids[1]}: removed\nternsuper: Deleted: 1 message\n", "down: delete")
    t.ok("ternsuper: Requeued: 1 message\n" in tern.command("ternsuper", "-r", ids[2]).stderr, "down: requeue")
    t.is_(tern.command("ternsuper", "-e", ids[3]).stderr, f"ternsuper: {ids[3]}: expired\nternsuper: Force-expired: 1 message\n", "down: expire")
    t.ok("3 good, 0 damaged, 0 foreign" in tern.command("ternsuper", "-s").stderr, "down: check")
    tern.start()
    t.ok(t.wait_for(lambda: {row["queue_id"]: row["queue_name"] for row in rows(tern).values()}.get(ids[2]) == "deferred"),
         "the requeued one is tried and deferred", tern.command("ternqueue", "-j").stdout)
    t.is_(rows(tern)[ids[0]]["queue_name"], "hold", "the held one is on hold")
    t.ok(ids[1] not in rows(tern), "the deleted one is gone")
    t.ok(t.wait_for(lambda: ids[3] not in rows(tern)), "the expired one was returned")
    t.ok(tern.wait_log(f"{ids[1]}: removed"), "it is in the log")

    # What hands know as postfix flush, postfix logrotate and so on.
    t.is_(tern.run("flush").returncode, 0, "tern flush")
    t.is_([tern.tern("-v", "-D", "-c", tern.etc, "status").returncode, tern.run("start-fg").returncode], [0, 1], "postfix's -v and -D; it runs already")
    tern.set("maillog_file_rotate_suffix = old-%Y")
    before = tern.log()
    rotated = tern.run("logrotate")
    old = list(tern.log_file.parent.glob("tern.log.old-2*.gz"))
    t.ok(rotated.returncode == 0 and len(old) == 1 and before in gzip.decompress(old[0].read_bytes()).decode(errors="replace"),
         "tern logrotate sets the log aside, compressed", (rotated.stderr, old))
    send(tern, f"s@{tern.domain}", "after@away.example.com", "after")
    t.ok(tern.wait_log("to=<after@away.example.com>"), "and the log goes on in a new file")
    subprocess.run(["gunzip", old[0]], check=True)
    again = tern.run("logrotate")
    t.ok(again.returncode == 1 and "is there already" in again.stderr and "after@away" in tern.log(), "never over a file that is there", again.stderr)
    t.is_(tern.run("abort").returncode, 0, "tern abort")
    t.is_(tern.run("logrotate").returncode, 1, "while it is down, too: the name is still taken")
    tern.set("maillog_file_rotate_suffix = older")
    t.ok(tern.run("logrotate").returncode == 0 and not tern.log_file.exists(), "and with another one it goes")

t.done()
