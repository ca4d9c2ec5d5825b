#!/usr/bin/env python3
"""The queue: deferral, retry, expiry, operators' wishes, and what has to survive:
a restart of qmgr, a lost index, damaged and stray files, a reload under load."""

import json
import os
import re
import shutil
import signal
import smtplib
import threading
import time

import tern_test as t

t.need("tern", *t.DAEMONS, "sendmail", "ternqueue", "ternsuper", "terncat")

SETTINGS = ["minimal_backoff_time=1s", "maximal_backoff_time=4s", "queue_run_delay=1s", "transport_retry_time=1s",
            "smtp_host_lookup=native", "disable_dns_lookups=yes", "myorigin=$mydomain", "smtp_connect_timeout=5s",
            "mynetworks=127.0.0.0/8"]
LATER = "451 4.7.9 come back later"


class Hop(t.Sink):
    """A next hop that defers while .open is false, and counts attempts."""

    def __init__(self):
        self.open = False
        self.attempts = []
        super().__init__(self.decide)

    def decide(self, stage, text):
        if stage != "rcpt":
            return None
        self.attempts.append((time.monotonic(), text))
        return None if self.open else LATER

    def tried(self, recipient):
        return [when for when, text in self.attempts if text == recipient]

    def got(self, recipient):
        return [message for message in self.messages if recipient in message[1]]


def letter(name):
    return f"From: anna@example.test\nSubject: {name}\n\ntext of {name}\n".encode()


def send(tern, name, sender="anna@example.test"):
    """A message to NAME@sink.test; its queue ID."""
    with tern.smtp() as session:
        session.mail(sender)
        session.rcpt(f"{name}@sink.test")
        code, text = session.data(t.wire(letter(name)))
    assert code == 250, (code, text)
    return re.search(rb"queued as (\S+)", text)[1].decode()


def deferred(tern, hop, name, **options):
    """The same, once it stands deferred."""
    queue_id = send(tern, name, **options)
    t.wait_for(lambda: queue_id in tern.queued("cur"))
    return queue_id


def say(tern, tool, *arguments):
    done = tern.queue_tool(tool, *arguments)
    if done.returncode != 0:
        print(f"# {tool} {arguments}: {done.returncode} {done.stderr}")
    return done


def test_retry(tern, hop):
    hop.open = False
    queue_id = deferred(tern, hop, "retry")
    t.is_(tern.queued("cur"), [queue_id], "a 4xx of the next hop defers")
    t.ok(t.wait_for(lambda: len(hop.tried("retry@sink.test")) >= 3, 15), "it is tried again, and again")
    times = hop.tried("retry@sink.test")
    gaps = [b - a for a, b in zip(times, times[1:])]
    t.ok(gaps and gaps[0] > 0.8 and max(gaps) < 7, "after pauses of the backoff times", gaps)
    t.ok("status=deferred" in tern.log() and LATER.split(" ", 2)[2] in tern.log(), "the log says why")
    hop.open = True
    t.ok(t.wait_for(lambda: hop.got("retry@sink.test"), 10), "and delivered when the next hop agrees")
    t.ok(tern.wait_empty(), "then nothing is left")
    t.is_(len(hop.got("retry@sink.test")), 1, "it came once")


def test_listing(tern, hop):
    hop.open = False
    ids = {name: deferred(tern, hop, name) for name in ("list1", "list2")}
    listing = say(tern, "ternqueue", "-p").stdout
    t.ok(all(queue_id in listing for queue_id in ids.values()), "ternqueue -p names them", listing)
    t.ok("anna@example.test" in listing and "list1@sink.test" in listing and "come back later" in listing,
         "with sender, recipient and reason", listing)
    t.ok(re.search(r"-- \d+ [KM]?[Bb]ytes in 2 Requests\.", listing), "and counts them", listing)
    rows = [json.loads(line) for line in say(tern, "ternqueue", "-j").stdout.splitlines()]
    t.is_(sorted(row["queue_id"] for row in rows), sorted(ids.values()), "ternqueue -j: an object a message")
    t.ok(all(row["queue_name"] in ("deferred", "active") and row["recipients"][0]["address"].endswith("@sink.test")
             and row["sender"] == "anna@example.test" and row["message_size"] > 0 for row in rows), "with its fields", rows)
    shown = say(tern, "terncat", "-q", ids["list1"]).stdout
    t.ok("text of list1" in shown and "list1@sink.test" in shown, "terncat shows envelope and content", shown)
    return ids


def test_wishes(tern, hop, ids):
    done = say(tern, "ternsuper", "-h", ids["list1"])
    t.ok(t.wait_for(lambda: tern.queued("hold") == [ids["list1"]]), "ternsuper -h puts on hold", done.stderr)
    before = len(hop.tried("list1@sink.test"))
    hop.open = True
    say(tern, "ternqueue", "-f")
    t.ok(t.wait_for(lambda: hop.got("list2@sink.test")), "ternqueue -f has the deferred tried")
    t.is_(len(hop.tried("list1@sink.test")), before, "but not what is on hold")
    t.ok(re.search(r"^%s!" % ids["list1"], say(tern, "ternqueue", "-p").stdout, re.M), "which the listing marks")
    say(tern, "ternsuper", "-H", ids["list1"])
    t.ok(t.wait_for(lambda: hop.got("list1@sink.test")), "ternsuper -H lets it go")
    t.ok(tern.wait_empty(), "nothing is left")

    hop.open = False
    gone = deferred(tern, hop, "delete")
    say(tern, "ternsuper", "-d", gone)
    t.ok(tern.wait_empty() and tern.wait_log(f"{gone}: removed"), "ternsuper -d deletes, and the log says so")
    old = deferred(tern, hop, "requeue")
    say(tern, "ternsuper", "-r", old)
    t.ok(t.wait_for(lambda: tern.queued() and old not in tern.queued()), "ternsuper -r gives it another ID")
    hop.open = True
    say(tern, "ternqueue", "-f")
    t.ok(t.wait_for(lambda: hop.got("requeue@sink.test")), "under which it is delivered")
    t.ok(b"text of requeue" in hop.got("requeue@sink.test")[0][2] if hop.got("requeue@sink.test") else False, "whole")
    t.ok(tern.wait_empty(), "nothing is left")

    hop.open = False
    old = deferred(tern, hop, "expire")
    before = len(tern.mailbox("anna"))
    say(tern, "ternsuper", "-e", old)
    t.ok(t.wait_for(lambda: len(tern.mailbox("anna")) > before, 15), "ternsuper -e returns it to the sender")
    t.ok(tern.wait_empty(), "and it goes")

    for name in ("all1", "all2", "all3"):
        deferred(tern, hop, name)
    say(tern, "ternsuper", "-h", "ALL")
    t.ok(t.wait_for(lambda: len(tern.queued("hold")) == 3), "ALL holds everything")
    say(tern, "ternsuper", "-d", "ALL", "hold")
    t.ok(tern.wait_empty(), "or deletes it")
    one = deferred(tern, hop, "one")
    other = deferred(tern, hop, "other")
    hop.open = True
    tried = len(hop.tried("other@sink.test"))
    say(tern, "ternqueue", "-i", one)
    t.ok(t.wait_for(lambda: hop.got("one@sink.test"), 3), "ternqueue -i has one message tried")
    say(tern, "ternqueue", "-s", "sink.test")
    t.ok(t.wait_for(lambda: hop.got("other@sink.test"), 10), "ternqueue -s those of a destination")
    t.ok(tern.wait_empty(), "nothing is left")


def test_qmgr_killed(tern, hop):
    hop.open = False
    ids = [deferred(tern, hop, f"killed{i}") for i in range(5)]
    os.kill(tern.pid_of("qmgr"), signal.SIGKILL)
    t.ok(t.wait_for(lambda: tern.pid_of("qmgr")), "qmgr comes back after a kill")
    t.is_(sorted(tern.queued("cur", "new")), sorted(ids), "with everything")
    hop.open = True
    t.ok(t.wait_for(lambda: all(hop.got(f"killed{i}@sink.test") for i in range(5)), 15), "and delivers it in time by itself")
    t.is_([len(hop.got(f"killed{i}@sink.test")) for i in range(5)], [1] * 5, "each once")


def test_index_lost(tern, hop):
    hop.open = False
    ids = [deferred(tern, hop, f"index{i}") for i in range(5)]
    tern.stop()
    shutil.rmtree(tern.spool / "queue" / "schedule")
    tern.start()
    t.is_(sorted(tern.queued("cur", "new")), sorted(ids), "the index is gone, the messages are not")
    t.is_(len(json_rows(tern)), 5, "they are listed")
    hop.open = True
    t.ok(t.wait_for(lambda: all(hop.got(f"index{i}@sink.test") for i in range(5)), 15), "and tried when their time comes")
    t.ok(tern.wait_empty(), "nothing is left")
    hop.open = False
    deferred(tern, hop, "rubbish")
    tern.stop()
    (tern.spool / "queue" / "schedule" / "data.mdb").write_bytes(b"this is no index" * 1000)
    tern.start()
    hop.open = True
    t.ok(t.wait_for(lambda: hop.got("rubbish@sink.test"), 15), "an index of rubbish is made anew")


def json_rows(tern):
    return [json.loads(line) for line in say(tern, "ternqueue", "-j").stdout.splitlines()]


def spoil(path, at, how):
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(how(byte))


def test_damage(tern, hop):
    hop.open = False
    good = deferred(tern, hop, "good")
    bad = {name: deferred(tern, hop, name) for name in ("content", "header", "cut", "empty")}
    tern.stop()
    folder = tern.spool / "queue" / "cur"
    flip = lambda byte: bytes([byte[0] ^ 1])
    spoil(folder / bad["content"], 256 + 20, flip)
    spoil(folder / bad["header"], 3, flip)
    os.truncate(folder / bad["cut"], (folder / bad["cut"]).stat().st_size // 2)
    os.truncate(folder / bad["empty"], 0)
    strays = [tern.spool / "queue" / "cur" / "README", tern.spool / "queue" / "new" / ".stray", tern.spool / "queue" / "new" / "not an id",
              tern.spool / "queue" / "tmp" / "left over"]
    for stray in strays:
        stray.write_text("a stray file\n")
    (tern.spool / "queue" / "cur" / "directory").mkdir()
    os.symlink("/etc/passwd", tern.spool / "queue" / "new" / "0123456789abcdef")
    tern.start()
    hop.open = True
    say(tern, "ternqueue", "-f")
    t.ok(t.wait_for(lambda: hop.got("good@sink.test")), "damage and strays beside it: a good message is delivered")
    t.ok(t.wait_for(lambda: set(bad.values()) <= set(tern.queued("corrupt")), 10), "what is damaged is set aside in corrupt/",
         (bad, tern.queued("corrupt"), tern.queued()))
    for name, queue_id in bad.items():
        t.ok(t.wait_for(lambda: re.search(rf"{queue_id}.*moved to the queue folder corrupt", tern.log())), f"and logged: {name}")
        t.is_(len(hop.got(f"{name}@sink.test")), 0, f"and not sent: {name}")
    t.ok(tern.run("status").returncode == 0 and tern.pid_of("qmgr"), "all that is no reason not to run")


def test_expiry(hop):
    hop.open = False
    with t.Instance(settings=SETTINGS + ["maximal_queue_lifetime=2s", "bounce_queue_lifetime=1s"]) as tern:
        tern.set(f"relayhost = [127.0.0.1]:{hop.port}")
        tern.add_user("anna")
        tern.start()
        deferred(tern, hop, "old")
        found = tern.wait_stored("anna", 1, 15)
        t.ok(found and b"come back later" in found[0] and b"Action: failed" in found[0], "an old message is returned, with the last reason", found)
        t.ok(tern.wait_empty(), "and goes")


def test_reload_under_load(tern, hop):
    hop.open = True
    sent, failed, stop = [], [], threading.Event()

    def work(number):
        count = 0
        while not stop.is_set():
            name = f"load{number}x{count}"
            count += 1
            try:
                send(tern, name)
                sent.append(name)
            except (AssertionError, OSError, smtplib.SMTPException) as problem:
                failed.append(repr(problem))
    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(8):
        t.wait_for(lambda count=len(sent): len(sent) > count + 10)
        t.ok(tern.run("reload").returncode == 0, "reload under load")
    stop.set()
    for thread in threads:
        thread.join(30)
    t.is_(failed[:3], [], f"no session of {len(sent)} notices")
    got = lambda: {r.split("@")[0] for m in list(hop.messages) for r in m[1] if r.startswith("load")}
    t.ok(t.wait_for(lambda: set(sent) <= got(), 20), "and no message is lost", sorted(set(sent) - got())[:5])
    t.ok(tern.wait_empty(), "nothing is left")
    counts = [len(hop.got(f"{name}@sink.test")) for name in sent[::max(1, len(sent) // 100)]]
    t.ok(all(count == 1 for count in counts), "and none comes twice")


def main():
    hop = Hop()
    with t.Instance(settings=SETTINGS) as tern:
        tern.set(f"relayhost = [127.0.0.1]:{hop.port}")
        tern.add_user("anna")
        tern.start()
        test_retry(tern, hop)
        test_wishes(tern, hop, test_listing(tern, hop))
        test_qmgr_killed(tern, hop)
        test_index_lost(tern, hop)
        test_reload_under_load(tern, hop)
        test_damage(tern, hop)
    test_expiry(hop)
    hop.close()


main()
t.done()
