#!/usr/bin/env python3
"""soft_bounce: whoever refuses a recipient, the line in the log says SOFTBOUNCE, the
mail stays in the queue and nobody is told. TAP."""

import re

import tern_test as t

t.need("tern", "master", "smtpd", "cleanup", "qmgr", "smtp", "local", "lookup", "bounce", "log", "ternqueue")

sink = t.Sink(lambda stage, text: "550 5.7.1 not here" if stage == "rcpt" else None)
SETTINGS = ["soft_bounce=yes", "myhostname=mail.soft.test", "mydestination=$myhostname", "local_recipient_maps=", "alias_maps=",
            "smtpd_reject_unlisted_recipient=no",  # or error.test is refused at RCPT
           
            "relay_domains=refused.test, error.test", "smtp_host_lookup=native", "disable_dns_lookups=yes",
            f"transport_maps=inline:{{ {{ refused.test = smtp:[127.0.0.1]:{sink.port} }}, "
            "{ error.test = error:5.3.9 closed today } }"]
TABLE = [
    # who refuses, recipient, what the log says
    ("another server", "a@refused.test", r"dsn=4\.7\.1, status=SOFTBOUNCE \(host .*550 5\.7\.1 not here"),
    ("local", "nobody-of-that-name@mail.soft.test", r"dsn=4\.1\.1, status=SOFTBOUNCE \(unknown user"),
    ("qmgr", "a@error.test", r"dsn=4\.3\.9, status=SOFTBOUNCE \(closed today\)"),
]

with t.Instance(settings=SETTINGS) as tern:
    tern.add_user("ada")
    tern.start()
    for who, recipient, line in TABLE:
        tern.send("ada@example.test", [recipient], b"Subject: x\n\nx\n")
        pattern = re.compile(rf"to=<{re.escape(recipient)}>, .*{line}")
        t.ok(t.wait_for(lambda: pattern.search(tern.log())), f"{who} refuses: SOFTBOUNCE", tern.log())
    t.ok(t.wait_for(lambda: len(tern.queued("cur")) == len(TABLE)), "all of it waits", tern.queued())
    t.ok("status=bounced" not in tern.log() and "status=deferred" not in tern.log(), "no line says anything else")
    t.is_(tern.stored("ada"), [], "the sender is told nothing")
    listing = tern.queue_tool("ternqueue", "-p").stdout
    t.ok("not here" in listing and "closed today" in listing and "unknown user" in listing, "the queue says why", listing)
t.done()
