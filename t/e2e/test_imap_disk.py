#!/usr/bin/env python3
"""IMAP while the disk is full: what cannot be kept is refused for now, nothing is torn, and with room all goes on. And
beside another program that works in the Maildir."""

import os
import pathlib
import pwd
import random
import re
import subprocess
import tempfile

import tern_test as t
from imap_client import Client

t.need("tern", "master", "auth", "imapd", "mailbox", "log")
if not t.is_root():
    t.skip_all("wants root, to mount a small file system")
MESSAGE = b"From: ann@example.test\r\nTo: ada@example.test\r\nSubject: %s\r\n\r\n%s\r\n"


def log_in(tern, folder="INBOX"):
    client = Client(tern.port_base + 143)
    client.command("LOGIN ada@example.test secret")
    if folder:
        client.command(f"SELECT {folder}")
    return client


def append(client, subject, size=100, folder="INBOX"):
    text = MESSAGE % (subject, b"y" * size)
    return client.command(b"APPEND %s {%d+}\r\n%s" % (folder.encode(), len(text), text))[0]


def told(client, folder):
    """{UID: (flags, bytes)} of a folder, by number."""
    client.command(f"SELECT {folder}")
    found = {}
    for answer in client.command("UID FETCH 1:* (FLAGS BODY.PEEK[])")[1]:
        if match := re.search(rb"UID (\d+)", answer):
            flags = {flag for flag in re.search(rb"FLAGS \(([^)]*)\)", answer)[1].split() if flag != b"\\Recent"}
            found[int(match[1])] = (frozenset(flags), answer[answer.index(b"BODY[]"):])
    return found


def everything(tern):
    client = log_in(tern, None)
    found = {folder: told(client, folder) for folder in ("INBOX", "Other")}
    client.close()
    return found


def fill(path, leave):
    with open(path / "ballast", "ab") as file:
        for size in (1 << 20, 1 << 12):
            while os.statvfs(path).f_bavail * 4096 >= leave + size:
                file.write(bytes(size))
                file.flush()


def is_refusal(result):
    return result.startswith((b"NO [UNAVAILABLE]", b"NO [OVERQUOTA]", b"NO [LIMIT]"))


def full(tern, disk, leave, refused):
    kind = f"{leave} octets left"
    client = log_in(tern)
    before = everything(tern)
    fill(disk, leave)
    answers = {"APPEND": append(client, b"too much", 2000000)}
    answers["COPY"] = client.command("COPY 1:* Other")[0]
    answers["CREATE"] = client.command(f"CREATE New{leave}")[0]
    # The journal's last page has some room: keywords until it has none.
    stored, has, unsure = [], set(), set()
    for number in range(400):
        word = rb"fill%d" % (number % 20)
        result = client.command(b"STORE 1:* %sFLAGS.SILENT (%s)" % (b"+-"[number % 2:][:1], word))[0]
        stored.append(result)
        if not result.startswith(b"OK"):
            unsure.add(word)
            break
        (has.discard if number % 2 else has.add)(word)
    answers["STORE"] = stored[-1]
    # Flags with letters are in the name, which needs no room in a file.
    for number, flag in ((2, b"\\Flagged"), (3, b"\\Answered"), (4, b"\\Seen")):
        if client.command(b"STORE %d +FLAGS.SILENT (%s)" % (number, flag))[0].startswith(b"OK"):
            has.add((number, flag))
    kept = everything(tern)["INBOX"]
    lost = [(uid, word) for number, (uid, (flags, _)) in enumerate(sorted(kept.items()), 1) for word in has
            if (word not in flags if isinstance(word, bytes) else word[0] == number and word[1] not in flags)]
    grown = [(uid, flags) for uid, (flags, _) in kept.items() if {flag for flag in flags if flag.startswith(b"fill")} - has - unsure]
    t.ok(not lost and not grown and len(has) > 2, f"{kind}: the {len(stored)} STOREs answered OK are kept, for another session too", (lost, grown, has))
    client.command("STORE 1:* -FLAGS.SILENT (" + " ".join(f"fill{number}" for number in range(20)) + ")")
    # What needs no room (a link, the rest of a page) may be done.
    for command, result in answers.items():
        good = is_refusal(result) or (result.startswith(b"OK") and command != "APPEND")
        t.ok(good, f"{kind}: {command} is refused for now, or done", result)
    copied = len(everything(tern)["Other"])
    t.ok(client.command("FETCH 1 BODY.PEEK[]")[0].startswith(b"OK"), f"{kind}: reading goes on")
    expunged = client.command("STORE 1 +FLAGS.SILENT (\\Deleted)")[0], client.command("EXPUNGE")[0]
    t.ok(all(result.startswith(b"OK") or is_refusal(result) for result in expunged), f"{kind}: EXPUNGE is done or refused", expunged)
    during = everything(tern)
    odd = [uid for uid, (_, text) in during["INBOX"].items() if before["INBOX"].get(uid, (None, None))[1] != text]
    gone = set(before["INBOX"]) - set(during["INBOX"])
    t.ok(not odd and len(gone) <= 1, f"{kind}: messages are as they were", (odd, gone))
    (disk / "ballast").unlink()
    for command in (b"STORE 1:* -FLAGS (\\Deleted " + b" ".join(b"fill%d" % number for number in range(20)) + b")", b"STORE 1:* +FLAGS (room)",
                    b"COPY 1 Other", b"NOOP"):
        result = client.command(command)[0]
        t.ok(result.startswith(b"OK"), f"{kind}: with room {command[:20].decode()} works again, in the same session", result)
    result = append(client, b"with room", 100000)
    t.ok(result.startswith(b"OK"), f"{kind}: with room APPEND works again, in the same session", result)
    client.close()
    now = everything(tern)
    refused.update(command for command, result in answers.items() if is_refusal(result))
    t.ok(len(now["Other"]) == copied + 1 and copied - len(before["Other"]) == (len(before["INBOX"]) if answers["COPY"].startswith(b"OK") else 0),
         f"{kind}: COPY did all or nothing", (copied, len(now["Other"])))
    t.ok(all(b"room" in flags for uid, (flags, _) in now["INBOX"].items() if uid in during["INBOX"]), f"{kind}: and is kept")
    left = [path.name for path in disk.rglob("tmp/*")]
    t.is_(left, [], f"{kind}: no pieces are left in tmp")


def quota(tern):
    client = log_in(tern)
    result = append(client, b"over", 7000000)
    t.ok(result.startswith(b"NO [OVERQUOTA]"), "over quota: APPEND is refused", result)
    client.close()


def beside(tern, disk):
    """Another program renames, removes and delivers; a session must notice, lose nothing, and give no UID twice."""
    client, watcher = log_in(tern), log_in(tern)
    for number in range(60):
        append(client, b"m%d" % number)
    client.command("NOOP")
    client.command("UNSELECT")
    mail = next(disk.rglob("ada/Maildir"))
    owner = mail.stat()
    chance, seen = random.Random(7), {}
    uids = lambda found: {uid: re.search(rb"Subject: (\S+)", text)[1] for uid, (_, text) in found.items()}
    for turn in range(30):
        files = sorted((mail / "cur").iterdir()) + sorted((mail / "new").iterdir())
        for path in chance.sample(files, 3):
            stem = path.name.partition(":2,")[0]
            chance.choice((lambda: path.rename(mail / "cur" / f"{stem}:2,{''.join(sorted(chance.sample('FRST', 2)))}"), path.unlink))()
        for number in range(2):
            part = mail / "tmp" / f"1700000000.t{turn}_{number}.other"
            part.write_bytes((MESSAGE % (b"o%d.%d" % (turn, number), b"z")).replace(b"\r\n", b"\n"))
            os.chown(part, owner.st_uid, owner.st_gid)
            part.rename(mail / "new" / part.name)
        if turn % 3 == 0:
            watcher.command("STORE 1:3 +FLAGS (seen)")
            watcher.command("NOOP")
        now = uids(told(client, "INBOX"))
        for uid, subject in now.items():
            if seen.setdefault(uid, subject) != subject:
                t.ok(False, "another program: no UID is given twice", (uid, seen[uid], subject))
    there = sorted(re.search(rb"Subject: (\S+)", path.read_bytes())[1] for part in ("cur", "new") for path in (mail / part).iterdir())
    now = told(client, "INBOX")
    t.is_(sorted(uids(now).values()), there, "another program: a session has just what is there")
    flags = {"F": b"\\Flagged", "R": b"\\Answered", "S": b"\\Seen", "T": b"\\Deleted"}
    wrong = []
    for path in (mail / "cur").iterdir():
        subject, letters = re.search(rb"Subject: (\S+)", path.read_bytes())[1], path.name.partition(":2,")[2]
        uid = next(uid for uid, other in uids(now).items() if other == subject)
        if {flags[letter] for letter in letters if letter in flags} != {flag for flag in now[uid][0] if flag in flags.values()}:
            wrong.append((path.name, now[uid][0]))
    t.is_(wrong, [], "another program: flags are as the names say")
    for one in (client, watcher):
        one.close()


def main():
    top = tempfile.mkdtemp(prefix="tern-imap-disk-")
    os.chmod(top, 0o755)
    disk = pathlib.Path(top) / "mail"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m,mode=755", "tern-test", disk], capture_output=True).returncode != 0:
        t.skip_all("no mount of tmpfs here")
    try:
        with t.Instance(settings=["mail_quota_storage=6000000"]) as tern:
            tern.add_user("ada")
            tern.start()
            log_in(tern).close()
            tern.stop()
            subprocess.run(["cp", "-a", f"{tern.mail}/.", disk], check=True)
            subprocess.run(f"rm -rf {tern.mail}/* && mount --bind {disk} {tern.mail}", shell=True, check=True)
            try:
                tern.start()
                client = log_in(tern)
                client.command("CREATE Other")
                for number in range(10):
                    append(client, b"n%d" % number, 5000)
                client.close()
                quota(tern)
                refused = set()
                full(tern, disk, 0, refused)
                full(tern, disk, 40000, refused)
                t.ok({"APPEND", "CREATE"} <= refused, "full: what makes files was refused", refused)
                beside(tern, disk)
                said = [line for line in tern.log().splitlines() if "panic:" in line or "fatal:" in line or "Sanitizer" in line]
                t.is_(said, [], "no daemon had a fault")
                tern.stop()
            finally:
                subprocess.run(["umount", "-l", tern.mail], capture_output=True)
    finally:
        subprocess.run(["umount", "-l", disk], capture_output=True)
        subprocess.run(["rm", "-rf", "--one-file-system", top])


main()
t.done()
