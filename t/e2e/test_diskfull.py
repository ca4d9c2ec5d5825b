#!/usr/bin/env python3
"""A full disk, and one without inodes: 4xx and deferral, never a refusal for good,
never a bounce; and mail flows again by itself once there is room."""

import os
import pathlib
import smtplib
import subprocess
import tempfile

import tern_test as t

t.need("tern", *t.DAEMONS, "sendmail")
if not t.is_root():
    t.skip_all("wants root, to mount a small file system")

SETTINGS = ["minimal_backoff_time=1s", "maximal_backoff_time=2s", "queue_run_delay=1s", "transport_retry_time=1s",
            "message_size_limit=1000000", "smtp_host_lookup=native", "disable_dns_lookups=yes", "myorigin=$mydomain"]
SIZE_MIB = 12
INODES = 400


class Disk:
    """A small tmpfs on a directory."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.ballast = self.path / "ballast"

    def mount(self):
        return subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m,nr_inodes={INODES},mode=755", "tern-test", self.path],
                              capture_output=True).returncode == 0

    def fill(self, leave=0):
        with open(self.ballast, "ab") as file:
            for size in (1 << 20, 1 << 12):
                while os.statvfs(self.path).f_bavail * 4096 >= leave + size:
                    file.write(bytes(size))
                    file.flush()

    def fill_inodes(self, leave=0):
        self.ballast.mkdir()
        number = 0
        while os.statvfs(self.path).f_favail > leave:
            number += 1
            (self.ballast / str(number)).write_bytes(b"")

    def clear(self):
        subprocess.run(["rm", "-rf", self.ballast], check=True)

    def umount(self):
        subprocess.run(["umount", "-l", self.path], capture_output=True)


def attempt(tern, recipient="anna@example.test", size=100):
    """The reply code that a message got in the end: of MAIL, RCPT, DATA or the dot."""
    content = b"From: a@example.test\r\nSubject: full\r\n\r\n" + (b"y" * 70 + b"\r\n") * (size // 72 + 1)
    try:
        with tern.smtp() as session:
            code, _ = session.mail("bert@example.test")
            if code == 250:
                code, _ = session.rcpt(recipient)
            if code == 250:
                code, _ = session.data(content)
            return code
    except smtplib.SMTPDataError as problem:
        return problem.smtp_code
    except smtplib.SMTPServerDisconnected:
        return 421
    except (OSError, smtplib.SMTPException) as problem:
        return repr(problem)


def is_temporary(code):
    return isinstance(code, int) and 400 <= code < 500


def trouble(tern, disk, name, begin, sizes):
    accepted = len(tern.mailbox("anna"))
    begin()
    codes = []
    # cleanup looks at the disk once a second, so some may still get in.
    t.wait_for(lambda: codes.append(attempt(tern, size=sizes[0])) or codes[-1] != 250, 5)
    codes += [attempt(tern, size=size) for size in sizes[1:]]
    refused = [code for code in codes if code != 250]
    t.ok(refused and all(is_temporary(code) for code in refused), f"{name}: mail is refused for now, not for good", codes)
    sendmail = tern.command("sendmail", "-C", tern.etc, "-i", "anna@example.test", input="Subject: s\n\n" + "x" * 200000 + "\n")
    t.ok(sendmail.returncode in (0, 75), f"{name}: sendmail says try again", sendmail.returncode)
    t.ok(tern.run("status").returncode == 0, f"{name}: the server runs")
    disk.clear()
    t.ok(t.wait_for(lambda: attempt(tern) == 250, 5), f"{name}: with room it accepts again by itself")
    count = accepted + codes.count(250) + 1 + (sendmail.returncode == 0)
    t.ok(len(tern.wait_stored("anna", count, 20)) >= count, f"{name}: what was accepted arrives", (count, len(tern.mailbox("anna"))))
    t.ok(tern.wait_empty(), f"{name}: and nothing stays", tern.queued("tmp", "new", "cur", "hold"))


def mailbox_trouble(tern, disk, name, begin):
    before = len(tern.mailbox("anna"))
    begin()
    code = attempt(tern, size=100000)
    t.is_(code, 250, f"{name}: mail is accepted")
    t.ok(tern.wait_log("status=deferred", 10), f"{name}: and deferred")
    disk.clear()
    t.ok(len(tern.wait_stored("anna", before + 1, 15)) == before + 1, f"{name}: with room it is delivered")
    t.is_([path.name for path in (tern.mail / "example.test" / "anna" / "Maildir" / "tmp").iterdir()], [], f"{name}: no pieces are left")


def main():
    top = tempfile.mkdtemp(prefix="tern-disk-")
    queue_disk, mail_disk = Disk(os.path.join(top, "queue")), Disk(os.path.join(top, "mail"))
    os.chmod(top, 0o755)
    for disk in (queue_disk, mail_disk):
        disk.path.mkdir()
        if not disk.mount():
            t.skip_all("no mount of tmpfs here")
    try:
        with t.Instance(settings=SETTINGS + [f"queue_directory={queue_disk.path}"]) as tern:
            tern.spool = queue_disk.path
            tern.add_user("anna")
            tern.add_user("bert")
            tern.start()
            t.is_(attempt(tern), 250, "mail flows")
            t.ok(tern.wait_stored("anna", 1), "and arrives")
            trouble(tern, queue_disk, "full queue disk", queue_disk.fill, [100, 100000, 100, 900000])
            trouble(tern, queue_disk, "nearly full queue disk", lambda: queue_disk.fill(1200000), [100, 900000, 900000])
            trouble(tern, queue_disk, "no inodes", queue_disk.fill_inodes, [100, 100, 100000])
            subprocess.run(["rm", "-rf", mail_disk.path / "example.test"])
            tern.stop()
            subprocess.run(["cp", "-a", f"{tern.mail}/.", mail_disk.path], check=True)
            tern.set(f"virtual_mailbox_base = {mail_disk.path}")
            tern.mail = mail_disk.path
            tern.start()
            mailbox_trouble(tern, mail_disk, "full mail disk", mail_disk.fill)
            t.is_(tern.mailbox("bert"), [], "in all this nothing bounced")
            t.is_(tern.queued("corrupt"), [], "and no queue file was damaged")
    finally:
        for disk in (queue_disk, mail_disk):
            disk.umount()
        subprocess.run(["rm", "-rf", "--one-file-system", top])


main()
t.done()
