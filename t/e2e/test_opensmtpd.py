#!/usr/bin/env python3
"""OpenSMTPD's client (its smtp command) against tern: STARTTLS, implicit TLS, AUTH, LMTP. Its package cannot be installed
beside Postfix's, so it is taken apart in a folder of its own. TAP."""

import os
import pathlib
import shutil
import subprocess
import tempfile

import tern_test as t

t.need("tern", *t.DAEMONS)


def unpack(folder):
    """The program, or None where no package can be had."""
    os.chmod(folder, 0o755)
    for command in (["apt-get", "-q", "download", "opensmtpd"], ["sh", "-c", "dpkg-deb -x opensmtpd_*.deb ."]):
        if subprocess.run(command, cwd=folder, capture_output=True).returncode != 0:
            return None
    made = folder / "usr/bin/smtp"
    return made if made.exists() else None


top = pathlib.Path(tempfile.mkdtemp(prefix="tern-opensmtpd-"))
program = unpack(top)
if not program:
    shutil.rmtree(top, ignore_errors=True)
    t.skip_all("the package opensmtpd cannot be downloaded")


def send(server, subject, *options, sender="ann@server.test", recipient="bob@server.test"):
    letter = f"From: {sender}\nTo: {recipient}\nSubject: {subject}\n\n.A line with a dot\n"
    return subprocess.run([program, "-C", "-H", "client.test", "-F", sender, "-s", server, *options, recipient],
                          input=letter, capture_output=True, text=True, timeout=60)


def arrived(server, subject):
    return t.wait_for(lambda: any(f"\nSubject: {subject}\n" in raw.decode() and "\n.A line with a dot\n" in raw.decode()
                                  for raw in server.stored("bob")))


try:
    with t.Instance(domain="server.test", tls=True) as server:
        for user in ("ann", "bob"):
            server.run("user", "add", f"{user}@server.test", input="s3cret\n", check=True)
        server.start()
        submission, wrapped = server.submission_port, server.smtps_port
        for name, url in (("STARTTLS", f"smtp+tls://127.0.0.1:{server.smtp_port}"), ("no TLS", f"smtp+notls://127.0.0.1:{server.smtp_port}"),
                          ("STARTTLS and AUTH", f"smtp+tls://ann@server.test:s3cret@127.0.0.1:{submission}"),
                          ("implicit TLS and AUTH", f"smtps://ann@server.test:s3cret@127.0.0.1:{wrapped}")):
            subject = name.replace(" ", "-")
            done = send(url, subject)
            t.ok(done.returncode == 0 and arrived(server, subject), f"{name}: the message arrives",
                 f"{done.returncode} {done.stdout} {done.stderr}")
        done = send(f"smtps://ann@server.test:wrong@127.0.0.1:{wrapped}", "wrong")
        t.ok(done.returncode != 0 and not any(b"Subject: wrong" in raw for raw in server.stored("bob")),
             "a wrong password: nothing is sent", f"{done.returncode} {done.stdout} {done.stderr}")
        done = send(f"smtp+notls://127.0.0.1:{submission}", "bare")
        t.ok("530 5.7.0" in done.stdout + done.stderr and not any(b"Subject: bare" in raw for raw in server.stored("bob")),
             "submission without TLS: nothing is sent", f"{done.returncode} {done.stdout} {done.stderr}")
finally:
    shutil.rmtree(top, ignore_errors=True)
t.done()
