#!/usr/bin/env python3
"""sendmail -bv and -v: what would become, and what became, of each recipient is mailed to
the sender, once. A probe delivers nothing anywhere, and a report that is owed outlives
the processes that owe it."""

import email
import email.policy
import os
import re
import signal

import tern_test as t

t.need("tern", *t.DAEMONS, "sendmail")

SETTINGS = ["mynetworks=127.0.0.1/32", "myorigin=$mydomain", "minimal_backoff_time=2s", "maximal_backoff_time=3s",
            "smtp_host_lookup=native", "disable_dns_lookups=yes", "smtp_connect_timeout=5s", "transport_retry_time=1s",
            "mydestination=local.test"]
SENDER = "anna@example.test"
PROMISE = f"Mail Delivery Status Report will be mailed to <{SENDER}>.\n"


class Hop(t.Sink):
    """A next hop that remembers the commands it heard."""

    def __init__(self):
        self.heard = []
        self.forgiving = False
        super().__init__(self.reply)

    def reply(self, stage, text):
        self.heard.append((stage, text))
        if stage == "rcpt" and text.startswith("no@"):
            return "550 5.1.1 no such one here"
        if stage == "rcpt" and text.startswith("later@") and not self.forgiving:
            return "451 4.7.9 come back later"
        return None

    def stages(self):
        return {stage for stage, _ in self.heard}


def sendmail(tern, *arguments, input="Subject: real\n\nreal body\n"):
    return tern.command("sendmail", "-C", tern.etc, *arguments, input=input)


def reports(tern):
    return [message for message in tern.stored("anna") if b"Subject: Mail Delivery Status Report" in message]


def clear(tern):
    for user in ("anna", "bert"):
        for path in tern.mailbox(user):
            path.unlink()


def take_report(tern, name):
    """The one report, as {recipient: the status part's fields}, its text and all of it."""
    t.ok(t.wait_for(lambda: reports(tern), 20), f"{name}: a report comes")
    t.ok(tern.wait_empty(20), f"{name}: and nothing stays queued")
    found = reports(tern)
    t.is_(len(found), 1, f"{name}: it is one")
    clear(tern)
    if not found:
        return {}, "", b""
    message = email.message_from_bytes(found[0], policy=email.policy.default)
    text, status, returned = message.get_payload()
    t.is_((message.get_content_type(), message.get_param("report-type"), status.get_content_type()),
          ("multipart/report", "delivery-status", "message/delivery-status"), f"{name}: as RFC 3464 has it")
    t.is_(returned.get_content_type(), "text/rfc822-headers", f"{name}: the header comes with it")
    groups = status.get_payload()[1:]
    return ({group["Final-Recipient"].split(";")[1].strip(): group for group in groups},
            text.get_payload(), found[0])


def actions(fields):
    return {recipient: (group["Action"].strip(), group["Status"].strip()) for recipient, group in fields.items()}


def status_words(tern, since):
    return dict(re.findall(r" to=<([^>]*)>,.* status=(\w+) ", tern.log()[since:]))


def test_probe(tern, hop):
    since = len(tern.log())
    done = sendmail(tern, "-bv", "-f", SENDER, "bert@example.test", "nobody@example.test", "yes@sink.test",
                    "no@sink.test", "later@sink.test", "x@gone.test", "x@broken.test", input=None)
    t.is_((done.returncode, done.stdout), (0, PROMISE), "-bv says that a report will come")
    fields, text, raw = take_report(tern, "-bv")
    wanted = {"bert@example.test": ("deliverable", "2.0.0"), "nobody@example.test": ("undeliverable", "5.1.1"),
              "yes@sink.test": ("deliverable", "2.1.5"), "no@sink.test": ("undeliverable", "5.1.1"),
              "later@sink.test": ("undeliverable", "4.7.9"), "x@gone.test": ("deliverable", "2.0.0"),
              "x@broken.test": ("undeliverable", "5.7.1")}
    t.is_(actions(fields), wanted, "-bv: what would become of each")
    t.is_(status_words(tern, since).items() >= {(who, action) for who, (action, _) in wanted.items()}, True,
          "-bv: and the log says the same words")
    t.ok("Enclosed is the mail delivery report that you requested." in text, "-bv: the text says what this is", text)
    t.ok("<yes@sink.test>: deliverable: 250 2.1.5 ok" in text.replace("\n    ", " "), "-bv: with each recipient", text)
    t.ok(raw.startswith(b"Return-Path: <>"), "-bv: the report has the null sender")
    t.ok(b"Subject: probe" in raw, "-bv: the header is that of a probe")
    t.is_(hop.messages, [], "-bv: the next hop got no message")
    t.is_(hop.stages(), {"connect", "helo", "mail", "rcpt"}, "-bv: and heard nothing beyond RCPT")
    t.is_(tern.stored("bert"), [], "-bv: the mailbox got none")
    t.is_(tern.log()[since:].count("non-delivery notification"), 0, "-bv: nothing is bounced")
    hop.heard.clear()


def test_probe_aliases(tern, hop):
    """What an alias or a .forward file would do is said, and not done."""
    ran = tern.top / "ran"
    tern.file("team", f'team anna@example.test, "|/bin/touch {ran}"\n')
    forward = tern.top / "forward"
    forward.mkdir()
    (forward / "nobody.forward").write_text("yes@sink.test\n")
    os.chmod(forward, 0o755)
    tern.set(f"alias_maps = texthash:{tern.etc}/team")
    tern.set("local_recipient_maps =")
    tern.set(f"forward_path = {forward}/$user.forward")
    tern.set("virtual_alias_maps = inline:{ all@example.test=bert@example.test }")
    tern.run("reload", check=True)
    who = ["team@local.test", "nosuch@local.test", "all@example.test"] + (["nobody@local.test"] if t.is_root() else [])
    sendmail(tern, "-bv", "-f", SENDER, *who)
    fields, _, _ = take_report(tern, "-bv, aliases")
    said = {recipient: (group["Action"].strip(), group["Diagnostic-Code"]) for recipient, group in fields.items()}
    wanted = {"team@local.test": ("deliverable", "x-tern; aliased to anna@example.test, a command"),
              "nosuch@local.test": ("undeliverable", 'x-tern; unknown user: "nosuch"'),
              "bert@example.test": ("deliverable", "x-tern; delivers to mailbox")}
    if t.is_root():
        wanted["nobody@local.test"] = ("deliverable", "x-tern; expanded by a .forward file")
    t.is_(said, wanted, "-bv: aliases and .forward files")
    t.ok("all@example.test" in fields.get("bert@example.test", {"Original-Recipient": ""})["Original-Recipient"],
         "-bv: a virtual alias is expanded, and its member probed")
    t.ok(not ran.exists() and not hop.messages and not tern.stored("bert"), "-bv: nothing ran, nothing was sent")
    hop.heard.clear()


def test_verbose(tern, hop):
    since = len(tern.log())
    done = sendmail(tern, "-v", "-v", "-i", "-f", SENDER, "-N", "success,failure", "bert@example.test", "yes@sink.test",
                    "no@sink.test", "later@sink.test")
    t.is_((done.returncode, done.stdout), (0, PROMISE), "-v says that a report will come")
    t.ok(t.wait_for(lambda: reports(tern), 20), "-v: a report comes at the first attempt")
    queue_id = tern.queued("new", "cur")[0]
    shown = tern.queue_tool("terncat", "-eq", queue_id).stdout
    t.ok("report: after delivery\n" in shown and "report_time: " in shown, "-v: terncat shows what was asked, and that it is done",
         shown)
    hop.forgiving = True
    fields, text, raw = take_report(tern, "-v")
    t.is_(actions(fields), {"bert@example.test": ("delivered", "2.0.0"), "yes@sink.test": ("relayed", "2.0.0"),
                            "no@sink.test": ("failed", "5.1.1"), "later@sink.test": ("delayed", "4.7.9")},
          "-v: what became of each at the first attempt")
    t.ok("<later@sink.test>: delayed: " in text and b"Subject: real" in raw, "-v: in words", text)
    t.is_(sorted(recipient for _, recipients, _ in hop.messages for recipient in recipients),
          ["later@sink.test", "yes@sink.test"], "-v: the mail is delivered all the same")
    told = f"{queue_id}: sender delivery status notification"
    t.wait_for(lambda: tern.log()[since:].count(told) >= 2)  # lines of several services
    log = tern.log()[since:]  # a line about the report before may come in it
    t.is_(log.count(f"{queue_id}: sender non-delivery notification"), 1, "-v: what fails is bounced all the same")
    t.is_(len(re.findall(rf" postfix/bounce\[\d+\]: {queue_id}: sender [a-z -]+ notification: \w+$", log, re.M)), 3, "-v: bounce is who logs its notices")
    t.ok(all(re.search(rb"^From: Mail Delivery System <MAILER-DAEMON@mail\.example\.test>$", x, re.M) for x in tern.stored("anna")
             if b"report-type=delivery-status" in x), "-v: notices are from the mail system by name", tern.stored("anna")[:1])
    t.is_(log.count(told), 2,
          "-v: a success that the report told is not told again, the later one is")
    t.ok("status=sent" in log and "status=bounced" in log and "deliverable" not in log, "-v: the log has its usual words")
    hop.heard.clear()
    hop.messages.clear()


def test_nobody_to_tell(tern, hop):
    done = sendmail(tern, "-bv", "-f", "<>", "no@sink.test")
    t.is_((done.returncode, done.stdout), (0, ""), "-bv with the null sender promises nothing")
    t.ok(tern.wait_log("status=undeliverable", count=1) and tern.wait_empty(20), "it is in the log alone")
    t.is_(sum(len(tern.mailbox(user)) for user in ("anna", "bert")), 0, "and nobody is told")


def test_down(tern):
    tern.stop()
    t.is_(sendmail(tern, "-bv", "-f", SENDER, "bert@example.test").returncode, 0, "-bv while the server is down")
    tern.start()
    fields, _, _ = take_report(tern, "-bv while down")
    t.is_(actions(fields), {"bert@example.test": ("deliverable", "2.0.0")}, "the drop folder keeps a probe a probe")
    t.is_(tern.stored("bert"), [], "and nothing is delivered")


def test_killed(tern):
    """The report is owed, bounce stands still, qmgr dies: the next one has it written."""
    tern.send(SENDER, "no@sink.test", b"Subject: wake bounce\n\nx\n")
    t.ok(t.wait_for(lambda: tern.pid_of("bounce")) and tern.wait_empty(20), "bounce runs")
    clear(tern)
    bounce = tern.pid_of("bounce")
    t.freeze(bounce)
    since = len(tern.log())
    sendmail(tern, "-bv", "-f", SENDER, "bert@example.test", "nobody@example.test")
    t.ok(t.wait_for(lambda: tern.log()[since:].count("deliverable") >= 2), "both are answered")
    os.kill(tern.pid_of("qmgr"), signal.SIGKILL)
    os.kill(bounce, signal.SIGKILL)
    t.ok(t.wait_for(lambda: reports(tern), 60), "a report comes although qmgr was killed while it was owed")
    t.ok(tern.wait_empty(30), "and the probe goes")
    found = reports(tern)
    words = [line for line in found[0].decode().splitlines() if line.startswith("Action:")] if found else []
    t.is_(sorted(words), ["Action: deliverable", "Action: undeliverable"], "it has what was said before the kill")
    t.is_(tern.log()[since:].count("status=deliverable"), 1, "nobody was asked twice")
    t.is_(tern.stored("bert"), [], "and nothing was delivered")


def main():
    hop = Hop()
    with t.Instance(settings=SETTINGS) as tern:
        tern.set(f"transport_maps = inline:{{ sink.test=smtp:[127.0.0.1]:{hop.port}, gone.test=discard:away,"
                 " { broken.test = error:5.7.1 closed } }")
        for user in ("anna", "bert"):
            tern.add_user(user)
        tern.start()
        test_probe(tern, hop)
        test_probe_aliases(tern, hop)
        test_verbose(tern, hop)
        test_nobody_to_tell(tern, hop)
        test_down(tern)
        test_killed(tern)
    hop.close()


main()
t.done()
