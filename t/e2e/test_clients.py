#!/usr/bin/env python3
"""Other people's clients: what they say to tern, and what arrives. A part whose
program is missing is skipped."""

import email.message
import shutil
import smtplib
import subprocess

import tern_test as t

t.need("tern", *t.DAEMONS)

LETTER = "From: Anna <a@client.test>\nTo: anna@example.test\nSubject: {0}\nMessage-ID: <{0}@client.test>\n\nthis is {0}\n.dot\n"


def arrives(tern, name, text, count=1):
    found = tern.wait_stored("anna", count)
    t.ok(len(found) == count and all(text in message for message in found), f"{name}: it arrives", found[:2] or tern.queued())
    for path in tern.mailbox("anna"):
        path.unlink()


def run(name, *arguments, input=None):
    done = subprocess.run([str(word) for word in arguments], input=input, capture_output=True, timeout=50)
    return t.ok(done.returncode == 0, f"{name}: it is content", (done.returncode, done.stdout[-500:], done.stderr[-500:]))


def missing(name, program):
    """True, with the test's skip noted, if there is no such program."""
    if shutil.which(program):
        return False
    t.ok(True, f"{name} # SKIP no {program}")
    return True


def swaks(tern):
    if missing("swaks", "swaks"):
        return
    common = ["swaks", "--server", "127.0.0.1", "--port", tern.smtp_port, "--from", "a@client.test", "--to", "anna@example.test",
              "--body", "this is swaks", "--helo", "client.test"]
    run("swaks", *common)
    arrives(tern, "swaks", b"this is swaks")
    run("swaks with pipelining", *common, "--pipeline")
    arrives(tern, "swaks with pipelining", b"this is swaks")
    run("swaks over LMTP", *common, "--protocol", "LMTP", "--port", tern.lmtp_port)
    arrives(tern, "swaks over LMTP", b"this is swaks")
    done = subprocess.run([str(word) for word in common[:8]] + ["nobody@example.test", "--helo", "client.test"], capture_output=True, timeout=50)
    t.is_(done.returncode, 24, "swaks: an unknown user is refused at RCPT")


def curl(tern):
    if missing("curl", "curl"):
        return
    letter = LETTER.format("curl").replace("\n", "\r\n").encode()
    run("curl", "curl", "-sS", f"smtp://127.0.0.1:{tern.smtp_port}/client.test", "--mail-from", "a@client.test", "--mail-rcpt", "anna@example.test",
        "--upload-file", "-", input=letter)
    arrives(tern, "curl", b"this is curl\n.dot\n")
    done = subprocess.run(["curl", "-sS", f"smtp://127.0.0.1:{tern.smtp_port}/client.test", "--request", "NOOP"], capture_output=True, timeout=50)
    t.is_(done.returncode, 0, "curl: NOOP")


def msmtp(tern):
    if missing("msmtp", "msmtp"):
        return
    run("msmtp", "msmtp", "--file=/dev/null", "--host=127.0.0.1", f"--port={tern.smtp_port}", "--from=a@client.test", "--domain=client.test",
        "--tls=off", "--auth=off", "-t", input=LETTER.format("msmtp").encode())
    arrives(tern, "msmtp", b"this is msmtp\n.dot\n")


def mutt(tern):
    """mutt hands its mail to the sendmail command: options, dots and an attachment as a real program writes them."""
    if missing("mutt", "mutt"):
        return
    sendmail = f"{t.program('sendmail')} -C {tern.etc} -oem -oi"
    home = str(tern.top)
    settings = ["-n", "-F", "/dev/null", "-e", f"set sendmail='{sendmail}'", "-e", f"set folder='{home}'", "-e", "set record=''",
                "-e", "set from=a@client.test", "-e", "set use_from=yes", "-e", "set use_envelope_from=yes"]
    run("mutt", "env", f"HOME={home}", "mutt", *settings, "-s", "grüße", "-a", __file__, "--", "anna@example.test",
        input=b"this is mutt\n.\nafter a dot\n")
    arrives(tern, "mutt by sendmail", b"this is mutt\n.\nafter a dot\n")


def smtplib_(tern):
    with smtplib.SMTP("127.0.0.1", tern.smtp_port, local_hostname="client.test") as session:
        for number in range(20):
            message = email.message.EmailMessage()
            message["From"], message["To"], message["Subject"] = "a@client.test", "anna@example.test", f"number {number}"
            message.set_content("grüße from smtplib\n", cte="8bit" if number % 2 else "quoted-printable")
            if number % 3 == 0:
                message.add_attachment(bytes(range(256)) * 20, maintype="application", subtype="octet-stream", filename="all.bin")
            session.send_message(message)
            session.noop()
        t.is_(session.verify("anna@example.test")[0] // 100, 2, "smtplib: VRFY")
    arrives(tern, "smtplib", b"a@client.test", 20)
    with smtplib.SMTP("127.0.0.1", tern.smtp_port, local_hostname="client.test") as session:
        session.ehlo()
        message = email.message.EmailMessage()
        message["From"], message["To"], message["Subject"] = "a@client.test", "anna@example.test", "grüße"
        message.set_content("utf-8\n")
        session.send_message(message, mail_options=["SMTPUTF8", "BODY=8BITMIME"])
    arrives(tern, "smtplib with SMTPUTF8", b"utf-8")


def smtp_source(tern):
    program = shutil.which("smtp-source", path="/usr/sbin:/usr/bin:/bin:/usr/local/sbin")
    if not program:
        t.ok(True, "smtp-source # SKIP no smtp-source")
        return
    run("smtp-source", program, "-s", 10, "-m", 200, "-l", 5000, "-f", "a@client.test", "-t", "anna@example.test", f"inet:127.0.0.1:{tern.smtp_port}")
    arrives(tern, "smtp-source", b"XXXXX", 200)
    run("smtp-source, a connection each", program, "-d", "-s", 5, "-m", 50, "-f", "a@client.test", "-t", "anna@example.test",
        f"inet:127.0.0.1:{tern.smtp_port}")
    arrives(tern, "smtp-source again", b"La de da", 50)


with t.Instance(settings=["disable_dns_lookups=yes", "in_flow_delay=0"]) as tern:
    tern.add_user("anna")
    tern.start()
    swaks(tern)
    curl(tern)
    msmtp(tern)
    mutt(tern)
    smtplib_(tern)
    smtp_source(tern)
t.done()
