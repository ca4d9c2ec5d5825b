#!/usr/bin/env python3
"""Two tern: one with the submission services of tern init --tls, the other uses it as its smart host and logs in there,
by SCRAM with channel binding and by what else there is; and a person's program on port 587. TAP."""

import re
import smtplib
import ssl

import tern_test as t

t.need("tern", *t.DAEMONS)
if not t.program("auth") or not t.program("keys"):
    t.skip_all("not built: auth or keys")


def person(tern, name, password, port=None):
    """smtplib as mail programs do: STARTTLS, EHLO, AUTH."""
    context = ssl.create_default_context(cafile=str(tern.certificate))
    context.check_hostname = False
    smtp = smtplib.SMTP("127.0.0.1", port or tern.submission_port, local_hostname="laptop.home.test", timeout=30)
    smtp.starttls(context=context)
    smtp.ehlo()
    smtp.login(name, password)
    smtp.ehlo()
    return smtp


with t.Instance(domain="server.test", tls=True) as server:
    for user in ("ann", "bob", "postmaster"):  # in a form that every mechanism can use
        server.run("user", "--scheme", "PLAIN", "add", f"{user}@server.test", input="s3cret\n", check=True)
    server.set("smtpd_sender_login_maps = inline:{ann@server.test=ann@server.test, bob@server.test=bob@server.test}")
    server.set("smtpd_sasl_authenticated_header = yes")
    server.start()

    # ---- a person's program
    with person(server, "ann@server.test", "s3cret") as smtp:
        t.ok(smtp.has_extn("futurerelease") and smtp.has_extn("mt-priority"), "after logging in FUTURERELEASE is offered",
             smtp.esmtp_features)
        refused = smtp.sendmail("ann@server.test", ["bob@server.test"], "Subject: hello\r\n\r\nhello\r\n")
        t.is_(refused, {}, "ann writes to bob")
        code, text = smtp.docmd("MAIL", "FROM:<bob@server.test>")
        code, text = smtp.docmd("RCPT", "TO:<bob@server.test>") if code == 250 else (code, text)
        t.ok(code == 553 and b"not owned by user ann@server.test" in text, "but not as bob", (code, text))
    raw = server.wait_stored("bob", 1)[0].decode()
    received = re.search(r"^Received:.*?(?=^\S)", raw, re.M | re.S)[0]
    t.ok("laptop" not in raw and "127.0.0.1" not in received and "with ESMTPSA" in received, "the client is hidden", received)
    t.ok(all(f"\n{name}: " in raw for name in ("Date", "Message-ID", "From")), "missing fields are there", raw)
    try:
        person(server, "ann@server.test", "wrong").quit()
        t.ok(False, "a wrong password is refused")
    except smtplib.SMTPAuthenticationError as error:
        t.is_(error.smtp_code, 535, "a wrong password is refused")
    shown = server.run("submission").stdout
    t.ok(shown.startswith("ann@server.test: 1 messages, 1 recipients, "), "it is counted", shown)

    # ---- the other tern
    with t.Instance(domain="client.test") as client:
        table = client.file("sasl_passwd", f"[127.0.0.1]:{server.submission_port} ann@server.test:s3cret\n")
        for line in (f"relayhost = [127.0.0.1]:{server.submission_port}", "smtp_sasl_auth_enable = yes",
                     f"smtp_sasl_password_maps = texthash:{table}", "smtp_tls_security_level = encrypt",
                     "sender_canonical_maps =", "minimal_backoff_time = 600s"):
            client.set(line)
        client.start()

        def relay(subject, mechanism):
            """Sends by the smart host; the line of its log that says how the client logged in."""
            client.send("ann@server.test", ["bob@server.test"], f"Subject: {subject}\n\nx\n".encode())
            return t.ok(server.wait_log(f"sasl_method={mechanism}, sasl_username=ann@server.test", 20), mechanism)

        relay("plus", "SCRAM-SHA-256-PLUS")
        for mechanism in ("scram-sha-1-plus", "scram-sha-256", "scram-sha-1"):
            client.set(f"smtp_sasl_mechanism_filter = {mechanism}")
            client.run("reload", check=True)
            relay(mechanism, mechanism.upper())
        client.set("smtp_sasl_mechanism_filter = plain")
        client.run("reload", check=True)
        client.send("ann@server.test", ["bob@server.test"], b"Subject: none\n\nx\n")
        t.ok(client.wait_log("offered no compatible authentication mechanisms for this type of connection security"),
             "by default no password is shown, TLS or not")
        client.set("smtp_sasl_tls_security_options = noanonymous")
        client.run("reload", check=True)
        relay("plain", "PLAIN")
        t.ok(t.wait_for(lambda: len(server.stored("bob")) >= 6, 20), "all of it arrived", len(server.stored("bob")))
        t.is_(server.log().count("sasl_method=SCRAM-SHA-256-PLUS"), 1, "each logged in as was asked")

        # ---- what the queue is asked for goes on
        client.set("smtpd_authorized_xclient_hosts = 127.0.0.1")
        client.run("reload", check=True)
        with client.smtp() as smtp:
            smtp.docmd("MAIL", "FROM:<ann@server.test> BY=500;N MT-PRIORITY=-4")
            smtp.docmd("RCPT", "TO:<bob@server.test>")
            smtp.data(b"Subject: wishes\r\n\r\nx\r\n")
        t.ok(t.wait_for(lambda: any(b"Subject: wishes" in one for one in server.stored("bob")), 20), "DELIVERBY and MT-PRIORITY")
        raw = [one for one in server.stored("bob") if b"Subject: wishes" in one][0]
        t.is_(raw.count(b"priority -4"), 2, "both servers name the priority")
t.done()
