#!/usr/bin/env python3
"""The sendmail command: what callers' options do, those of old too, and what becomes of the header that they write. TAP."""

import os
import pwd
import re

import tern_test as t

t.need("tern", "master", "pickup", "cleanup", "qmgr", "lookup", "local", "log", "sendmail")

OWN = pwd.getpwuid(os.getuid())


class Sender:
    """Hands in messages, and shows the header as it arrived without what every message gets."""

    def __init__(self, tern):
        self.tern = tern

    def run(self, *options, text="Subject: s\n\nx\n"):
        return self.tern.command("sendmail", "-C", self.tern.etc, *options, input=text)

    def clear(self):
        for user in ("ada", "berta"):
            for path in self.tern.mailbox(user):
                path.unlink()

    def arrives(self, *options, text="Subject: s\n\nx\n", user="ada"):
        self.clear()
        done = self.run(*options, text=text)
        if done.returncode != 0:
            return f"{done.returncode} {done.stderr}"
        found = self.tern.wait_stored(user)
        return t.without_trace(found[0]).decode() if found else "nothing came"


def fields(message, *names):
    """{name: value} of these, None where there is none, with the message's body."""
    head, _, _ = message.partition("\n\n")
    found = {}
    for name in names:
        value = re.search(rf"^{name}:[ \t]*((?:.*\n(?:[ \t].*\n)*))", head + "\n", re.M)
        found[name] = value[1].rstrip("\n") if value else None
    return found


def headers(sender, host):
    ada = "ada@example.test"
    got = sender.arrives("-f", "me@x.test", ada, text="From: me@x.test\nBcc: hidden@x.test,\n more@x.test\nReturn-Path: <a@b>\n"
                                                      "Content-Length: 3\nTo: a\nbcc : x\nSubject: s\n\nx\nBcc: text\n")
    t.ok("hidden@" not in got and "more@" not in got and "Return-Path" not in got and "bcc" not in got.split("\n\n")[0],
         "Bcc, Return-Path and Content-Length are taken out without -t too", got)
    t.ok(got.endswith("\n\nx\nBcc: text\n"), "and not out of the text", got)
    got = sender.arrives(ada, text="From: root (Cron Daemon)\nTo: Ada <ada>, b@x.test,\n\tlist: c, d;\nCc: \"e f\"\nReply-To: <>\n"
                                   "X-To: root\nSubject: to root\n\nx\n")
    t.is_(fields(got, "From", "To", "Cc", "Reply-To", "X-To", "Subject"),
          {"From": f"root@{host} (Cron Daemon)", "To": f"Ada <ada@{host}>, b@x.test,\n\tlist: c@{host}, d@{host};",
           "Cc": f'"e f"@{host}', "Reply-To": "<>", "X-To": "root", "Subject": "to root"},
          "addresses without a domain get the origin, in fields of addresses alone")
    t.ok(sender.tern.wait_log("relay=virtual") and "status=sent (delivered to maildir)" in sender.tern.log(), "exporters count what is delivered to an account")
    got = sender.arrives("-f", "<>", ada)
    t.is_(fields(got, "From")["From"], f"MAILER-DAEMON@{host}", "the null sender's mail has an author")
    got = sender.arrives("-f", "b@x.test", "-F", "Berta \"B\" B.", ada)
    t.is_(fields(got, "From")["From"], '"Berta \\"B\\" B." <b@x.test>', "a full name is quoted")
    os.environ["NAME"] = "Dora D"
    got = sender.arrives("-f", "d@x.test", ada)
    t.is_(fields(got, "From")["From"], "Dora D <d@x.test>", "NAME is the full name, whoever the sender")
    del os.environ["NAME"]
    got = sender.arrives("-t", text="Resent-To: ada@example.test\nResent-Bcc: berta@example.test\nTo: c@x.test\nFrom: a@x.test\nSubject: s\n"
                                    "Date: Mon, 1 Jan 2024 00:00:00 +0000\nMessage-ID: <1@x>\n\nx\n")
    t.is_({name: value is not None for name, value in fields(got, "Resent-Date", "Resent-Message-ID", "Resent-From", "Resent-Bcc").items()},
          {"Resent-Date": True, "Resent-Message-ID": True, "Resent-From": True, "Resent-Bcc": False},
          "mail that is sent again has a Resent- field of each kind")
    t.is_(fields(got, "Date", "Message-ID", "From"), {"Date": "Mon, 1 Jan 2024 00:00:00 +0000", "Message-ID": "<1@x>", "From": "a@x.test"},
          "and its own are as they were")
    t.ok(sender.tern.wait_stored("berta"), "Resent-Bcc gets it")
    got = sender.arrives(ada, text="From a@b Mon Jan 1\n>From c@d Tue Jan 2\nSubject: mbox\n\nx\n")
    t.ok(fields(got, "Subject")["Subject"] == "mbox" and "From a@b" not in got and "From c@d" not in got, "mbox lines before it are no header", got)


def options(sender):
    ada = "ada@example.test"
    for words in (["-oi", "-oem", "-odb"], ["-o", "i"], ["-em", "-x", "-a", "-c"], ["-e", "m", "-p", "x"], ["-b", "m"], ["-Am"], ["-h", "3", "-L", "l"],
                  ["-X", "/x/log"], ["-N", " success , delay"], ["-V", "an id"], ["-U", "-G", "-n"]):
        t.ok(sender.arrives(*words, ada).endswith("\n\nx\n"), f"{' '.join(words)}: the message comes", sender.tern.queued())
    t.is_(sender.tern.log().count("to=<i@"), 0, "-o i: the i is no recipient")
    got = sender.arrives("-f", "Ada L. <ada@x.test>", ada)
    t.is_(fields(got, "From")["From"].endswith("<ada@x.test>") or fields(got, "From")["From"] == "ada@x.test", True, "-f takes a name with the address")
    for words, status, says in ((["-f", "a@x.test, b@x.test", ada], 64, "not an address"), (["-XV", ada], 69, "VERP"), (["-XV+=", ada], 69, "VERP"),
                                (["-bp", "x"], 64, "display queue mode requires no recipient"), (["-q", "x"], 64, "requires no recipient"),
                                (["-bi", "x"], 64, "requires no recipient"), (["-bd", "x"], 64, "requires no recipient"),
                                (["-t"], 64, "No recipient addresses found in message header"), (["-y", ada], 64, "unknown option")):
        done = sender.run(*words)
        t.ok(done.returncode == status and says in done.stderr, f"{' '.join(words)}: {status}", (done.returncode, done.stderr))
    for words, says in ((["-N", "often"], "-N takes"), (["-R", "some"], "-R takes")):
        sender.clear()
        done = sender.run(*words, ada)
        t.ok(done.returncode == 0 and says in done.stderr and sender.tern.wait_stored("ada"), f"{' '.join(words)}: a warning, and the message comes",
             (done.returncode, done.stderr))
    done = sender.run("-bd", "-q30m")
    t.ok("already running" in done.stderr, "-bd -q30m: starts the mail system", done.stderr)
    t.is_(sender.run("-q30m").returncode, 0, "-q30m")


def sloppy(sender):
    """-t: fields that are no address lists by the letter."""
    for field, users in (("ada@example.test <ada@example.test>", ["ada"]), ("Ada [home] <ada@example.test>", ["ada"]),
                         ("<ada@example.test> <berta@example.test>", ["ada", "berta"]), ("ada@example.test berta@example.test", ["ada", "berta"]),
                         ("Ada L ada@example.test", ["ada"]), ("ada@example.test; berta@example.test,", ["ada", "berta"])):
        sender.clear()
        done = sender.run("-t", text=f"To: {field}\nSubject: s\n\nx\n")
        t.ok(done.returncode == 0 and all(sender.tern.wait_stored(user) for user in users), f"-t: {field}", (done.returncode, done.stderr))
    for field in ("Ada Lovelace", "<ada@example.test", "ada@example.test <>", '"open <ada@example.test>', "ada@@example.test"):
        sender.clear()
        done = sender.run("-t", text=f"To: berta@example.test, {field}\nSubject: s\n\nx\n")
        t.ok(done.returncode == 65 and "not an address" in done.stderr, f"-t: {field} is refused", (done.returncode, done.stderr))
    t.is_(sender.tern.stored("berta"), [], "and nobody gets what is refused")


def dialogue(sender):
    """sendmail -bs."""
    lines = ["HELO", "HELO c.test", "NOOP", "FOO", "EHLO c.test", "MAIL FROM:<a@x.test> SIZE=99999999999", "MAIL FROM:<a b>", "MAIL FROM:<a@x.test>",
             "RCPT TO:<ada@example.test>", "DATA", "Subject: bs", "", "..dot", ".", "QUIT"]
    sender.clear()
    done = sender.run("-bs", text="".join(line + "\r\n" for line in lines))
    said = [line for line in done.stdout.splitlines() if line[3:4] == " "]
    wanted = ["220 mail.example.test ESMTP tern", "501 5.5.4 Syntax: EHLO or HELO hostname", "250 mail.example.test", "250 2.0.0 Ok",
              "500 5.5.2 Error: command not recognized", "250 SMTPUTF8", "552 5.3.4 Message size exceeds fixed limit", "501 5.1.7 bad address syntax",
              "250 2.1.0 Ok", "250 2.1.5 Ok", "354 End data with <CR><LF>.<CR><LF>"]
    t.is_(said[:len(wanted)], wanted, "-bs: the replies")
    found = re.fullmatch(r"250 2\.0\.0 Ok: queued as (\w+)", said[len(wanted)])
    t.ok(found and sender.tern.wait_log(f"{found[1]}: uid="), "-bs: the queue ID", said)
    t.ok(sender.tern.wait_stored("ada") and b"\n\n.dot\n" in sender.tern.stored("ada")[0], "-bs: the message comes")


with t.Instance() as tern:
    tern.add_user("ada")
    tern.add_user("berta")
    tern.start()
    headers(Sender(tern), "mail.example.test")
    options(Sender(tern))
    sloppy(Sender(tern))
    dialogue(Sender(tern))
t.done()
