#!/usr/bin/env python3
"""offlineimap against the running server, both ways: messages, flags, deletes and a folder; equal after it, and then
there is nothing to do."""

import os
import re
import shutil

import sync_clients as sync
import tern_test as t
from imap_client import Client

t.need("tern", "master", "auth", "imapd", "mailbox", "log")
if not shutil.which("offlineimap"):
    t.skip_all("offlineimap is not installed")
MESSAGE = "From: ann@example.test\r\nTo: ada@example.test\r\nSubject: number {0}\r\nMessage-ID: <{0}@example.test>\r\n\r\nwords {0}\r\n"
FILTER = "folderfilter = lambda name: name in ('INBOX', 'Work', 'Made here')"


def synchronize(tern, when):
    run = sync.offlineimap(tern.top, tern.port_base + 143, more=FILTER)
    t.ok(sync.went_well(run), f"offlineimap, {when}", run.stdout[-2000:] + run.stderr[-2000:])
    return run.stdout + run.stderr


def log_in(tern):
    client = Client(tern.port_base + 143)
    client.command("LOGIN ada@example.test secret")
    return client


def files(tern, folder):
    top = tern.top / "near" / folder
    return [top / part / name for part in ("cur", "new") for name in sorted(os.listdir(top / part))] if top.is_dir() else []


def equal(tern, wanted, when):
    sync.equal(tern.top, lambda: log_in(tern), wanted, when)


def change(tern):
    """Messages 1 to 60 stand in the INBOX by their numbers, 61 to 80 in Work."""
    client = log_in(tern)
    client.command("SELECT INBOX")
    client.command("STORE 1:10 +FLAGS.SILENT (\\Flagged)")
    client.command("STORE 3,6,9 -FLAGS.SILENT (\\Seen)")
    client.command("STORE 11:15 +FLAGS.SILENT (\\Deleted)")
    client.command("EXPUNGE")
    client.command("UID COPY 20:22 Work")
    client.close()
    for path in files(tern, "INBOX"):
        number = int(re.search(rb"Message-ID: <(\w+)@", path.read_bytes())[1])
        stem, _, flags = path.name.partition(":2,")
        if 30 <= number < 36:
            path.unlink()
        elif 40 <= number < 50:
            path.rename(path.parent.parent / "cur" / f"{stem}:2,{''.join(sorted(set(flags) | {'R', 'S'}))}")
    made = tern.top / "near" / "Made here"
    for part in ("cur", "new", "tmp"):
        (made / part).mkdir(parents=True)
    for number, folder in ((90, "INBOX"), (91, "INBOX"), (92, "Work"), (93, "Made here")):
        path = tern.top / "near" / folder / "cur" / f"17000{number}_0.1.here:2,F"
        path.write_bytes(MESSAGE.format(number).replace("\r\n", "\n").encode())


def main():
    with t.Instance(tls=True) as tern:
        tern.add_user("ada")
        tern.start()
        client = log_in(tern)
        client.command("CREATE Work")
        for number in range(1, 81):
            text = MESSAGE.format(number).encode()
            flags = "(\\Seen) " if number % 3 == 0 else ""
            client.command(f"APPEND {'INBOX' if number <= 60 else 'Work'} {flags}{{{len(text)}+}}\r\n".encode() + text)
        client.close()
        synchronize(tern, "the first time")
        equal(tern, {"INBOX": 60, "Work": 20}, "first")
        change(tern)
        synchronize(tern, "after changes on both sides")
        wanted = {"INBOX": 60 - 5 - 6 + 2, "Work": 20 + 3 + 1, "Made here": 1}
        equal(tern, wanted, "changes")
        flags = sync.far(log_in(tern), "INBOX")
        t.is_((flags["1"], flags["3"], flags["42"], flags["90"]), ("F", "F", "RS", "F"), "flags of both are there")
        text = synchronize(tern, "with nothing to do")
        t.ok(not re.search(r"Copy message|Deleting \d|Adding flags|Deleting flags", text), "nothing is copied, deleted or marked then", text[-2000:])
        equal(tern, wanted, "again")


main()
t.done()
