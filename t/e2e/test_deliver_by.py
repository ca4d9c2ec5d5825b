#!/usr/bin/env python3
"""DELIVERBY (RFC 2852), MT-PRIORITY (RFC 6710) and LIMITS (RFC 9422): what is offered, refused, relayed, returned
and told. TAP."""

import re

import tern_test as t

t.need("ternqueue", "terncat", "tern", "master", "smtpd", "qmgr", "cleanup", "lookup", "local", "smtp", "bounce")


class Relay(t.Sink):
    """A next hop with chosen extensions that keeps its MAIL and RCPT lines."""

    def __init__(self, extensions, answer=None):
        self.extensions = extensions
        self.lines = []
        super().__init__(answer)

    def _say(self, connection, stage, text, good):
        if stage == "helo":
            good = "".join(f"250-{line}\r\n" for line in ["relay.test", *self.extensions]) + "250 8BITMIME"
        return super()._say(connection, stage, text, good)

    def _dialogue(self, connection, lines):
        def watched():
            for line in lines:
                if line[:4].upper() in (b"MAIL", b"RCPT"):
                    self.lines.append(line.decode().strip())
                yield line
        super()._dialogue(connection, watched())

    def mail_lines(self):
        return [line for line in self.lines if line.upper().startswith("MAIL")]


def send(tern, parameters, recipients, login=None, subject="x", sender=None):
    with tern.smtp() as smtp:
        if login:
            smtp.docmd("XCLIENT", f"LOGIN={login}")
            smtp.ehlo()
        code, reply = smtp.docmd("MAIL", f"FROM:<{sender or 'sender@' + tern.domain}> {parameters}")
        if code != 250:
            return code, reply.decode()
        for recipient in recipients:
            code, reply = smtp.docmd("RCPT", f"TO:<{recipient}>")
            if code != 250:
                return code, reply.decode()
        code, reply = smtp.data(f"Subject: {subject}\r\n\r\n{subject}\r\n".encode())
        return code, reply.decode()


able = Relay(["DELIVERBY", "MT-PRIORITY", "DSN", "LIMITS RCPTMAX=2 RCPTDOMAINMAX=1"])
plain = Relay([])
busy = Relay(["DELIVERBY"], answer=lambda stage, text: "451 4.3.0 not now" if stage == "mail" else None)

with t.Instance(settings=["smtpd_authorized_xclient_hosts=127.0.0.1", "smtpd_deliver_by_minimum=2s",
                          "smtpd_session_message_limit=3", "smtpd_recipient_domain_limit=2",
                          "smtp_tls_security_level=none", "minimal_backoff_time=600s"]) as tern:
    tern.add_user("sender")
    tern.set(f"transport_maps = inline:{{able.test=smtp:[127.0.0.1]:{able.port},"
             f" also.test=smtp:[127.0.0.1]:{able.port}, plain.test=smtp:[127.0.0.1]:{plain.port},"
             f" busy.test=smtp:[127.0.0.1]:{busy.port}}}")
    tern.start()
    with tern.smtp() as smtp:
        t.is_(smtp.esmtp_features.get("deliverby"), "2", "DELIVERBY is offered with its minimum")
        t.ok(smtp.has_extn("mt-priority"), "MT-PRIORITY is offered")
        t.is_(smtp.esmtp_features.get("limits"), "RCPTMAX=1000 MAILMAX=3 RCPTDOMAINMAX=2", "LIMITS names what is configured")
        t.is_(smtp.docmd("MAIL", "FROM:<s@x.test> BY=1;R")[0], 501, "less than the minimum is refused")
        t.is_(smtp.docmd("MAIL", "FROM:<s@x.test> BY=0;R")[0], 501, "R with no time is refused")
        t.is_(smtp.docmd("MAIL", "FROM:<s@x.test> BY=60;X")[0], 501, "a bad mode is refused")
        t.is_(smtp.docmd("MAIL", "FROM:<s@x.test> MT-PRIORITY=10")[0], 501, "a bad priority is refused")

    # ---- relayed
    t.is_(send(tern, "BY=1000;RT MT-PRIORITY=-3", ["a@able.test"])[0], 250, "taken for a server that has them all")
    t.ok(t.wait_for(lambda: able.messages), "relayed")
    line = able.mail_lines()[0]
    left = re.search(r" BY=(\d+);RT( |$)", line)
    t.ok(left and 990 <= int(left[1]) <= 1000, "with what is left of the time", line)
    t.ok(" MT-PRIORITY=-3" in line, "and the priority", line)
    t.ok(b"priority -3" in able.messages[0][2], "which Received names", able.messages[0][2])
    told = tern.wait_stored("sender", 1)
    t.ok(told and b"Action: relayed" in told[0], "T: the sender is told that it was relayed", told)

    t.is_(send(tern, "BY=1000;N MT-PRIORITY=-3", ["a@plain.test"])[0], 250, "N for a server without")
    t.ok(t.wait_for(lambda: plain.messages), "relayed")
    t.ok(" BY=" not in plain.mail_lines()[0] and "PRIORITY" not in plain.mail_lines()[0], "without it", plain.lines)
    send(tern, "BY=1000;R", ["b@plain.test"])
    told = tern.wait_stored("sender", 2)
    t.ok(len(told) == 2 and any(b"Status: 5.3.3" in one for one in told), "R for a server without: returned", told)
    t.is_(len(plain.messages), 1, "and not sent")

    # ---- the time is over
    send(tern, "BY=3;R", ["a@busy.test"], subject="return")
    told = tern.wait_stored("sender", 3, seconds=20)
    t.ok(len(told) == 3 and any(b"Status: 5.4.7" in one and b"Action: failed" in one for one in told),
         "R: returned with 5.4.7 when its time is over", told)
    t.ok(tern.wait_log("status=expired, returned to sender"), "the log says expired")
    queue_id = send(tern, "BY=2;N", ["b@busy.test"], subject="notify")[1].split()[-1]
    told = tern.wait_stored("sender", 4, seconds=20)
    t.ok(len(told) == 4 and any(b"Action: delayed" in one for one in told), "N: told that it is late", told)
    t.ok(t.wait_for(lambda: tern.queued("cur") == [queue_id]), "and tried on", tern.queued())
    t.ok("late_notice_time: " in tern.command("terncat", "-q", queue_id).stdout, "the queue file knows of the notice")
    tries = len(busy.mail_lines())
    tern.command("ternqueue", "-f", check=True)
    t.ok(t.wait_for(lambda: len(busy.mail_lines()) > tries), "a later attempt")
    t.ok(t.wait_for(lambda: tern.queued("cur") == [queue_id]) and len(tern.stored("sender")) == 4, "tells it no second time")

    # ---- priorities
    code, reply = send(tern, "MT-PRIORITY=5", ["sender@" + tern.domain])
    t.ok(code == 250 and reply.startswith("2.3.6 0 "), "a stranger's priority is brought down, and that is said", reply)
    code, reply = send(tern, "MT-PRIORITY=5", ["a@able.test"], login="ann")
    t.ok(code == 250 and reply.startswith("2.0.0 Ok: queued"), "not that of one who has logged in", reply)
    t.ok(t.wait_for(lambda: len(able.messages) == 2) and " MT-PRIORITY=5" in able.mail_lines()[1], "it is relayed", able.lines)

    # ---- limits, ours and theirs
    code, reply = send(tern, "", ["a@able.test", "b@plain.test", "c@busy.test"])
    t.ok(code == 452 and "domains" in reply, "a third domain is refused", (code, reply))
    with tern.smtp() as smtp:
        for _ in range(3):
            smtp.docmd("MAIL", "FROM:<s@x.test>")
            smtp.docmd("RSET")
        t.is_(smtp.docmd("MAIL", "FROM:<s@x.test>")[0], 421, "a fourth message ends the session")
    before = len(able.lines)
    send(tern, "", ["a@able.test", "b@able.test", "c@able.test", "d@able.test"])
    t.ok(t.wait_for(lambda: len(able.messages) == 4), "RCPTMAX of the next hop: two at a time", able.lines[before:])
    t.is_(sorted(len(message[1]) for message in able.messages[2:]), [2, 2], "so two messages")
    send(tern, "", ["a@able.test", "b@also.test"])
    t.ok(t.wait_for(lambda: len(able.messages) == 6), "RCPTDOMAINMAX: a domain at a time", able.lines[before:])
    t.is_(sorted(message[1] for message in able.messages[4:]), [["a@able.test"], ["b@also.test"]], "so two more")
t.done()
