#!/usr/bin/env python3
"""A queue that was copied from another host, with foreign things in it: the mail is delivered, what is on hold
stays so, and nothing that stands there is a reason not to start."""

import os
import shutil

import tern_test as t

t.need("tern", *t.DAEMONS, "ternsuper")

SETTINGS = ["smtp_host_lookup=native", "disable_dns_lookups=yes", "minimal_backoff_time=1s", "maximal_backoff_time=2s",
            "queue_run_delay=1s", "transport_retry_time=1s"]


def copy_queue(source, target):
    """As cp -a does, index, ID ceiling and all."""
    shutil.rmtree(target)
    shutil.copytree(source, target)
    for folder, folders, files in os.walk(source):
        for name in [".", *folders, *files]:
            status = os.lstat(os.path.join(folder, name))
            copied = os.path.join(target, os.path.relpath(os.path.join(folder, name), source))
            os.chown(copied, status.st_uid, status.st_gid)


def put_foreign_things(queue):
    for folder in ("new", "cur", "hold"):
        os.mkdir(queue / folder / "directory")
        os.mkfifo(queue / folder / "fifo")
        os.symlink("/etc/passwd", queue / folder / "AAAAAAAAAA")
        owner = (queue / folder).stat()
        for name, content in (("BBBBBBBBBB", b""), ("CCCCCCCCCC", os.urandom(5000))):
            (queue / folder / name).write_bytes(content)
            os.chown(queue / folder / name, owner.st_uid, owner.st_gid)


def main():
    refusing = t.Sink(lambda stage, text: "450 4.2.0 later" if stage == "rcpt" else None)
    accepting = t.Sink()
    with t.Instance(settings=SETTINGS) as old, t.Instance(domain="other.test", settings=SETTINGS) as new:
        old.set(f"relayhost = [127.0.0.1]:{refusing.port}")
        new.set(f"relayhost = [127.0.0.1]:{accepting.port}")
        old.start()
        for number in range(6):
            old.send("a@client.test", [f"r{number}@far.test"], b"Subject: %d\n\nmoved\n" % number)
        t.ok(t.wait_for(lambda: len(old.queued("cur")) == 6), "six messages wait on the old host")
        held = old.queued("cur")[0]
        old.queue_tool("ternsuper", "-h", held)
        t.ok(t.wait_for(lambda: old.queued("hold") == [held]), "one of them on hold")
        old.stop()
        copy_queue(old.spool / "queue", new.spool / "queue")
        put_foreign_things(new.spool / "queue")
        new.start()
        t.ok(t.wait_for(lambda: len(accepting.messages) == 5, 20), "the new host delivers five", len(accepting.messages))
        t.ok(held in new.queued("hold"), "and keeps the one on hold")
        new.queue_tool("ternsuper", "-H", held)
        t.ok(t.wait_for(lambda: len(accepting.messages) == 6, 20), "until it is released")
        recipients = sorted(recipient for _, recipients, _ in accepting.messages for recipient in recipients)
        t.is_(recipients, [f"r{number}@far.test" for number in range(6)], "each once")
        t.ok(t.wait_for(lambda: {"BBBBBBBBBB", "CCCCCCCCCC"} <= set(new.queued("corrupt")), 20),
             "what is no queue file is set aside", new.queued("corrupt"))
        new.send("a@client.test", ["new@far.test"], b"Subject: new\n\nnew\n")
        t.ok(t.wait_for(lambda: len(accepting.messages) == 7), "and new mail goes its way")
        t.is_(new.run("status").returncode, 0, "the server runs")
    refusing.close()
    accepting.close()


main()
t.done()
