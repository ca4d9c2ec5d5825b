#!/usr/bin/env python3
"""mbsync (isync) and curl against the running server: 2,000 messages both ways, flags, deletes, renames; both sides are
equal after it."""

import re
import shutil
import subprocess

import sync_clients as sync
import tern_test as t
from imap_client import Client

t.need("tern", "master", "auth", "imapd", "mailbox", "log")
if not shutil.which("mbsync"):
    t.skip_all("mbsync is not installed")
COUNT = 2000
FOLDERS = (b"Work", b"INBOX", b"Lists", b"INBOX")
MESSAGE = "From: ann@example.test\r\nTo: ada@example.test\r\nSubject: number {0}\r\nMessage-ID: <{0}@example.test>\r\n\r\nwords {0}\r\n"


def log_in(tern):
    client = Client(tern.port_base + 143)
    client.command("LOGIN ada@example.test secret")
    return client


def synchronize(tern, when):
    state = tern.top / "state"  # beside the folders, for what is known of one outlives it
    state.mkdir(exist_ok=True)
    run = sync.mbsync(tern.top, tern.port_base + 143, patterns="INBOX Work Lists Done Read", more="Remove Both", state=f"{state}/", timeout=300)
    t.ok(sync.went_well(run), f"mbsync, {when}", run.stdout[-2000:] + run.stderr[-2000:])


def equal(tern, wanted, when):
    sync.equal(tern.top, lambda: log_in(tern), wanted, when)


def fill(client):
    for folder in ("Work", "Lists"):
        client.command(f"CREATE {folder}")
    batch = []
    for number in range(COUNT):
        text = MESSAGE.format(number).encode()
        flags = b"(\\Seen) " if number % 3 == 0 else b""
        folder = FOLDERS[number % 4]
        client.count += 1
        batch.append(b"b%d APPEND %s %s{%d+}\r\n%s\r\n" % (client.count, folder, flags, len(text), text))
        if len(batch) == 50 or number == COUNT - 1:
            client.send(b"".join(batch))
            client.wait(b"b%d" % client.count)
            batch = []


def change(tern, client):
    """Flags and deletes on both sides, and messages that are new here; in Lists nothing, for its rename."""
    client.command("SELECT INBOX")
    client.command(f"STORE 1:{COUNT // 10} +FLAGS.SILENT (\\Flagged)")
    client.command(f"STORE {COUNT // 10 + 1}:{COUNT // 5} +FLAGS.SILENT (\\Deleted)")
    client.command("EXPUNGE")
    for place in ("cur", "new"):
        folder = tern.top / "near" / "Work" / place
        for index, path in enumerate(sorted(folder.iterdir())):
            stem, _, flags = path.name.partition(":2,")
            if index % 5 == 0:
                path.unlink()
            elif index % 5 == 1:
                path.rename(tern.top / "near" / "Work" / "cur" / f"{stem}:2,{''.join(sorted(set(flags) | {'R', 'S'}))}")
    for number in range(COUNT, COUNT + 30):
        path = tern.top / "near" / "INBOX" / "cur" / f"17000{number}.here:2,F"
        path.write_bytes(MESSAGE.format(number).replace("\r\n", "\n").encode())


def rename(tern, client):
    """A folder on the server's side, another one on this one."""
    t.ok(client.command("RENAME Work Done")[0].startswith(b"OK"), "a folder is renamed on the server")
    near = tern.top / "near"
    (near / "Lists").rename(near / "Read")
    for path in (near / "Read").glob(".*"):
        path.unlink()  # its UIDVALIDITY


def empty(tern, client):
    """mbsync deletes no folder that has messages: those of the old names, each on the side on which it was not renamed."""
    client.command("SELECT Lists")
    client.command("STORE 1:* +FLAGS.SILENT (\\Deleted)")
    client.command("CLOSE")
    for path in (tern.top / "near" / "Work").glob("*/*"):
        path.unlink()


def gone(tern):
    """Which of the renamed folders are still there under their old names."""
    client = log_in(tern)
    far = [name for name in ("Work", "Lists") if client.command(f'LIST "" {name}')[1]]
    client.close()
    return far + [name for name in ("Work", "Lists") if (tern.top / "near" / name / "cur").exists()]


def main():
    with t.Instance(tls=True) as tern:
        tern.add_user("ada")
        tern.start()
        client = log_in(tern)
        fill(client)
        synchronize(tern, "the first time")
        wanted = {"INBOX": COUNT // 2, "Work": COUNT // 4, "Lists": COUNT // 4}
        equal(tern, wanted, "first")
        change(tern, client)
        wanted["INBOX"] += 30 - COUNT // 10
        wanted["Work"] = len(sync.near(tern.top, "Work"))
        synchronize(tern, "after changes on both sides")
        equal(tern, wanted, "changes")
        t.ok(wanted["Work"] < COUNT // 4, "some were removed here", wanted)
        rename(tern, client)
        synchronize(tern, "after renames on both sides")
        wanted = {"INBOX": wanted["INBOX"], "Done": wanted["Work"], "Read": COUNT // 4}
        equal(tern, wanted, "renames")
        empty(tern, client)
        synchronize(tern, "after what was left of the renamed is emptied")
        t.is_(gone(tern), [], "and the old names are gone")
        synchronize(tern, "with nothing to do")
        equal(tern, wanted, "again")
        if shutil.which("curl"):
            base = f"imap://127.0.0.1:{tern.port_base + 143}"
            got = subprocess.run(["curl", "-sS", "-u", "ada@example.test:secret", base + "/INBOX;MAILINDEX=1"], capture_output=True, timeout=60)
            t.ok(got.returncode == 0 and got.stdout.startswith(b"From: ann@"), "curl imap: fetches a message", got)
            got = subprocess.run(["curl", "-sSk", "-u", "ada@example.test:secret", f"imaps://127.0.0.1:{tern.port_base + 993}/INBOX?SUBJECT%20%22number%202029%22"],
                                 capture_output=True, timeout=60)
            t.ok(got.returncode == 0 and re.match(rb"\* SEARCH \d+", got.stdout), "curl imaps: searches", got)


main()
t.done()
