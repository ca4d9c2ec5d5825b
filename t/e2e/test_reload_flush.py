"""A reload and a flush close together: what was being tried when the queue was flushed is tried again with the new
configuration, and from the moment that `tern reload` returns no process with the old one takes anything.

A message that a draining qmgr has not let go of yet is locked. So that the flush surely meets one, the test locks it
itself, and lets it go when the flush has gone past: it takes up another message, which stands behind it in the index."""
import fcntl

import fault_page
import tern_test as t

ROUNDS, CERTAIN = 4, 3
refusal = ["450 4.2.0 later"]
greeted, heard = [], []


class NextHop(t.Sink):
    def _say(self, connection, stage, text, good):
        if stage == "helo":
            greeted.append(text.split()[1])
        if stage == "rcpt":
            heard.append(text)
        return super()._say(connection, stage, text, good)


def is_logged(tern, name, status):
    return any(f"to=<{name}@x.test>" in line and f"status={status}" in line for line in tern.log().splitlines())


def send(tern, name):
    """Sends what is refused for now; once the log says so it may not be written down yet."""
    refusal[0] = "450 4.2.0 later"
    tern.send("a@example.test", [f"{name}@x.test"], b"Subject: x\n\nx\n")
    return t.wait_for(lambda: is_logged(tern, name, "deferred"))


def flush_after_reload(tern, name):
    """The names by which the next hop was greeted since the reload, one by one as they come."""
    refusal[0] = "550 5.2.0 no"
    tern.set(f"smtp_helo_name = {name}.test")
    tern.run("reload", check=True)
    before = len(greeted)
    tern.command("ternqueue", "-f", check=True)
    return lambda: greeted[before:]


def close_together(tern):
    old, refused = [], 0
    for number in range(ROUNDS):
        send(tern, f"u{number}")
        since = flush_after_reload(tern, f"n{number}")
        refused += bool(t.wait_for(lambda: is_logged(tern, f"u{number}", "bounced")))
        old += [name for name in since() if name != f"n{number}.test"]
    t.is_(refused, ROUNDS, "each was tried again when the queue was flushed")
    t.is_(old, [], "and by processes with the new configuration")


def locked(tern, number):
    """A message that was locked when the flush came to it is tried again once it is not."""
    tern.wait_empty()
    first, second = f"locked{number}", f"behind{number}"
    send(tern, first)
    [queue_id] = t.wait_for(lambda: tern.queued("cur"))
    with open(tern.spool / "queue" / "cur" / queue_id, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        send(tern, second)
        t.wait_for(lambda: len(tern.queued("cur")) == 2 and not tern.queued("new"))
        before = len(heard)
        flush_after_reload(tern, f"m{number}")
        met = t.wait_for(lambda: any(second in text for text in heard[before:]))
        early = [text for text in heard[before:] if first in text]
    t.ok(met and not early, f"round {number}: the flush meets a locked message and goes past it", heard[before:])
    t.ok(t.wait_for(lambda: is_logged(tern, first, "bounced")), f"round {number}: it is tried again without waiting for its time")
    tern.command("ternsuper", "-c", tern.etc, "-d", "ALL")


def unopened(tern, page):
    """A flush that cannot open a message at that moment comes back to it."""
    if fault_page.NAME.encode() not in t.program("qmgr").read_bytes():
        return
    tern.wait_empty()
    send(tern, "unopened")
    t.wait_for(lambda: len(tern.queued("cur")) == 1 and not tern.queued("new"))
    refusal[0] = "550 5.2.0 no"
    page.arm("qmgr", call="openat", count=8)
    tern.command("ternqueue", "-f", check=True)
    t.ok(tern.wait_log("cannot open the queue file"), "a flush meets a message that cannot be opened")
    page.disarm()
    t.ok(t.wait_for(lambda: is_logged(tern, "unopened", "bounced"), 15), "and tries it when it can be")


hop = NextHop(lambda stage, text: refusal[0] if stage == "rcpt" else None)
with t.Instance() as tern:
    tern.set(f"relayhost = [127.0.0.1]:{hop.port}")
    page = fault_page.Page(tern)
    tern.start()
    close_together(tern)
    for number in range(CERTAIN):
        locked(tern, number)
    unopened(tern, page)
t.done()
