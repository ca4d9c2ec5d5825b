#!/usr/bin/env python3
"""Mail in, mail out: every way in, every way out, and what is refused. What comes
out is what went in, byte for byte, but for the trace fields put before it."""

import email
import email.policy
import random
import smtplib
import subprocess

import tern_test as t

t.need("tern", *t.DAEMONS, "sendmail")

SETTINGS = ["local_header_rewrite_clients=", "mynetworks=127.0.0.1/32", "myorigin=$mydomain",
            "minimal_backoff_time=1s", "maximal_backoff_time=2s", "queue_run_delay=1s", "delay_warning_time=1s",
            "smtp_host_lookup=native", "disable_dns_lookups=yes", "smtp_connect_timeout=5s", "transport_retry_time=1s",
            "message_size_limit=10000000"]
HEAD = b"From: a@client.test\nTo: anna@example.test\nSubject: %s\nMessage-ID: <%s@client.test>\n"


def head(name):
    return HEAD % (name.encode(), name.encode())


def shapes():
    """(name, content with LF): what mail may look like."""
    rng = random.Random(7)
    words = lambda n: b" ".join(bytes(rng.choice(b"abcdefghijklmnop") for _ in range(rng.randrange(1, 12))) for _ in range(n))
    parts = (b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="x=y"\n\npreamble\n--x=y\n'
             b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\ngr\xc3\xbc\xc3\x9fe\n--x=y\n"
             b"Content-Type: message/rfc822\n\nSubject: inner\n\n--x=y is no boundary here \n--x=y--\nepilogue\n")
    yield "plain", head("plain") + b"\nhello\n"
    yield "empty body", head("empty") + b"\n"
    yield "header alone", head("alone")
    yield "empty lines", head("lines") + b"\n\n\n\n"
    yield "dots", head("dots") + b"\n.\n..\n...x\n.x\n. \n"
    yield "8bit", head("8bit") + b"\n" + bytes(range(128, 256)) + b"\n"
    yield "control characters", head("control") + b"\n" + bytes(c for c in range(1, 32) if c not in (10, 13)) + b"\x7f\n"
    yield "utf-8 header", head("utf8") + "X-Name: Jürgen\n\nbody\n".encode()
    yield "latin-1 header", head("latin1") + b"X-Name: J\xfcrgen\n\nbody\n"
    yield "lines of 998", head("998") + b"\n" + b"x" * 998 + b"\n" + b"y" * 997 + b"\n"
    yield "a line of 5,000", head("5000") + b"\n" + b"x" * 5000 + b"\n"
    yield "a line of 200,000", head("200000") + b"\n" + b"ab" * 100000 + b"\n"
    yield "a long header line", head("longhead") + b"X-Long: " + b"h" * 20000 + b"\n\nbody\n"
    yield "folded header", head("folded") + b"X-Folded: a\n b\n\tc\n  \n d\n\nbody\n"
    yield "no header", b"This is no header at all\nnor this\n"
    yield "blank first line", b"\nbody: looks like a header\n"
    yield "header names", head("names") + b"X_a!b#c: 1\nx:\nY: \n\nbody\n"
    yield "From line", head("from") + b"\nFrom anna Thu Jan  1 00:00:00 1970\n>From x\n"
    yield "multipart", head("multipart") + parts
    yield "broken multipart", head("broken") + parts[:150] + b"\n"
    yield "nested parts", head("nested") + b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (i, i) for i in range(60)) + b"\ndeep\n"
    yield "tabs and trailing blanks", head("blanks") + b"\n\t x \t \n   \n"
    yield "1 MB", head("big") + b"\n" + b"".join(words(9) + b"\n" for _ in range(20000))
    for i in range(6):
        yield f"random {i}", head(f"random{i}") + b"\n" + b"".join(
            bytes(rng.choice(b".\t aZ\xff=-") for _ in range(int(2 ** (rng.random() * 11)))) + b"\n" for _ in range(40))


def same(stored, sent):
    """What is stored is what was sent; content without header gets the line that ends one."""
    got = t.without_trace(stored)
    return got in (sent, b"\n" + sent) or (sent == head("alone") and got == sent + b"\n")


def where(stored, sent):
    got = t.without_trace(stored)
    at = next((i for i, (a, b) in enumerate(zip(got, sent)) if a != b), min(len(got), len(sent)))
    return f"{len(got)} bytes, sent {len(sent)}; at {at} got {got[max(0, at - 30):at + 40]!r} for {sent[max(0, at - 30):at + 40]!r}"


def take(tern, user, count=1, seconds=15):
    """What has come for a user, who has none afterwards."""
    found = tern.wait_stored(user, count, seconds)
    for path in tern.mailbox(user):
        path.unlink()
    return found


def test_shapes(tern):
    with tern.smtp() as session:
        for name, content in shapes():
            session.sendmail("a@client.test", "anna@example.test", t.wire(content), mail_options=["BODY=8BITMIME"])
            found = take(tern, "anna")
            t.ok(len(found) == 1 and same(found[0], content), f"DATA: {name}", where(found[0], content) if found else "none")


def bdat(session, chunks, recipient="anna@example.test"):
    session.docmd("MAIL FROM:<a@client.test> BODY=8BITMIME")
    session.docmd(f"RCPT TO:<{recipient}>")
    codes = []
    for i, chunk in enumerate(chunks):
        last = " LAST" if i == len(chunks) - 1 else ""
        session.send(b"BDAT %d%s\r\n" % (len(chunk), last.encode()) + chunk)
        codes.append(session.getreply()[0])
    return codes


def test_bdat(tern):
    rng = random.Random(9)
    with tern.smtp() as session:
        t.ok(session.has_extn("chunking"), "CHUNKING is offered")
        for name, content in [pair for pair in shapes() if len(pair[1]) < 50000]:
            wire = t.wire(content)
            cuts = sorted(rng.randrange(len(wire) + 1) for _ in range(rng.randrange(4)))
            chunks = [wire[a:b] for a, b in zip([0] + cuts, cuts + [len(wire)])]
            codes = bdat(session, chunks)
            found = take(tern, "anna") if codes[-1] == 250 else []
            t.ok(len(found) == 1 and same(found[0], content), f"BDAT: {name}", (codes, where(found[0], content) if found else "none"))
        codes = bdat(session, [b"Subject: end\r\n\r\nno final line end"])
        t.is_([t.without_trace(m) for m in take(tern, "anna")], [b"Subject: end\n\nno final line end\n"], "BDAT: no final line end")


def test_trace(tern):
    tern.send("Sender@client.test", "anna@example.test", head("trace") + b"\nx\n")
    lines = take(tern, "anna")[0].decode().split("\n")
    t.is_(lines[0], "Return-Path: <Sender@client.test>", "Return-Path comes first")
    t.ok("Delivered-To: anna@example.test" in lines[:3], "then Delivered-To", lines[:5])
    received = " ".join("\n".join(lines).replace("\n\t", " ").split("\n")[3].split())
    t.ok(received.startswith("Received: from client.test (localhost [127.0.0.1]) by mail.example.test (") and
         " with ESMTP id " in received and " for <anna@example.test>; " in received, "and Received", received)


def refused(tern, sender, recipient, source=None):
    try:
        with tern.smtp(source=source) as session:
            session.mail(sender)
            return session.rcpt(recipient)
    except smtplib.SMTPException as problem:
        return (0, repr(problem))


def test_recipients(tern):
    tern.send("a@client.test", ["anna@example.test", "bert@example.test"], head("two") + b"\nx\n")
    t.is_((len(take(tern, "anna")), len(take(tern, "bert"))), (1, 1), "two recipients get one copy each")
    tern.send("a@client.test", ["all@example.test", "anna@example.test"], head("all") + b"\nx\n")
    t.ok(tern.wait_empty(), "an alias is delivered")
    t.is_((len(take(tern, "anna")), len(take(tern, "bert"))), (1, 1), "to each member, and to no one twice")
    code, text = refused(tern, "a@client.test", "nobody@example.test")
    t.ok(code == 550 and text.startswith(b"5.1.1"), "an unknown user is refused at RCPT", (code, text))
    code, text = refused(tern, "a@client.test", "x@elsewhere.test", source="127.0.0.2")
    t.ok(code in (454, 554) and b"Relay access denied" in text, "a stranger may not relay", (code, text))
    code, _ = refused(tern, "a@client.test", "anna@example.test", source="127.0.0.2")
    t.is_(code, 250, "but may write to users")
    code, text = refused(tern, "a@client.test", "<two words@example.test>")
    t.ok(code == 501, "nonsense is no address", (code, text))
    many = [f"anna+{i}@example.test" for i in range(200)]
    tern.set("recipient_delimiter = +")
    tern.run("reload", check=True)
    tern.send("a@client.test", many, head("many") + b"\nx\n")
    t.is_(len(take(tern, "anna", 200, 30)), 200, "200 recipients of one message")


def test_new_users(tern):
    """Whoever was added a moment ago is no unknown user, however lately the table was read."""
    for number in range(4):
        tern.add_user(f"new{number}")
        tern.send("a@client.test", [f"new{number}@example.test"], head(f"new{number}") + b"\nwelcome\n")
    t.ok(all(tern.wait_stored(f"new{number}") for number in range(4)), "four new users have their mail at once")


def test_sendmail(tern):
    def sendmail(content, *arguments):
        return subprocess.run([str(t.program("sendmail")), "-C", str(tern.etc), *arguments], input=content, capture_output=True, timeout=30)
    content = b"From: a@example.test\nTo: anna@example.test,\n bert@example.test\nBcc: carl@example.test\nSubject: s\n\n.\nafter the dot\n"
    done = sendmail(content, "-i", "-t", "-f", "me@example.test")
    t.ok(done.returncode == 0, "sendmail -t -i", done.stderr)
    found = [take(tern, user) for user in ("anna", "bert", "carl")]
    t.is_([len(f) for f in found], [1, 1, 1], "all in To and Bcc get it")
    t.ok(all(b"Bcc" not in f[0] and b"carl" not in t.without_trace(f[0]) for f in found), "nobody sees Bcc", found[0])
    t.ok(b"\n.\nafter the dot\n" in found[0][0], "-i: a dot is a dot", found[0])
    t.ok(found[0][0].startswith(b"Return-Path: <me@example.test>\n"), "-f is the sender", found[0][0][:80])
    done = sendmail(b"Subject: end\n\nbefore\n.\nbehind\n", "anna@example.test")
    found = take(tern, "anna")
    t.ok(done.returncode == 0 and found and b"before" in found[0] and b"behind" not in found[0], "without -i a dot ends", found)
    t.ok(found and b"\nFrom: " in found[0] and b"\nDate: " in found[0] and b"\nMessage-I" in found[0], "missing header fields are added", found)
    done = sendmail(b"Subject: 8\n\n\xff\xfe no line end", "-i", "anna@example.test")
    found = take(tern, "anna")
    t.ok(found and found[0].endswith(b"\n\xff\xfe no line end\n"), "8 bits, and no final line end", found)
    t.ok(sendmail(b"Subject: nobody\n\nx\n", "-i", "-t").returncode != 0, "-t without recipients fails")
    for domain, code in (("bücher.example", 0), ("bü_cher.example", 65)):
        done = sendmail(b"Subject: idn\n\nx\n", "-i", f"x@{domain}")
        t.is_(done.returncode, code, f"a domain outside ASCII that {'exists' if code == 0 else 'cannot exist'}")


def test_sendmail_while_down(tern):
    tern.stop()
    done = subprocess.run([str(t.program("sendmail")), "-C", str(tern.etc), "-i", "anna@example.test"],
                          input=b"Subject: down\n\nwhile it was down\n", capture_output=True, timeout=30)
    t.ok(done.returncode == 0, "sendmail while the server is down", done.stderr)
    t.is_(len(list((tern.spool / "maildrop").iterdir())), 1, "leaves a file in the drop folder")
    tern.start()
    found = take(tern, "anna")
    t.ok(len(found) == 1 and found[0].endswith(b"\n\nwhile it was down\n"), "which is delivered at the start", found)
    t.ok(t.wait_for(lambda: not list((tern.spool / "maildrop").iterdir())), "and goes")


def test_lmtp(tern):
    with smtplib.LMTP("127.0.0.1", tern.lmtp_port, local_hostname="client.test") as session:
        session.ehlo()
        session.mail("a@client.test")
        codes = [session.rcpt(f"{user}@example.test")[0] for user in ("anna", "nobody", "bert")]
        t.is_(codes, [250, 550, 250], "LMTP: recipients are checked")
        codes = [session.data(t.wire(head("lmtp") + b"\nx\n"))[0], session.getreply()[0]]
        t.is_(codes, [250, 250], "LMTP: an answer for each recipient")
    t.is_((len(take(tern, "anna")), len(take(tern, "bert"))), (1, 1), "and delivery")


def test_relay(tern, sink):
    for name, content in [pair for pair in shapes() if pair[0] in ("plain", "dots", "8bit", "multipart", "empty lines", "lines of 998")]:
        sink.messages.clear()
        tern.send("a@client.test", ["r1@sink.test", "r2@sink.test"], content)
        t.wait_for(lambda: sink.messages)
        sender, recipients, got = sink.messages[0] if sink.messages else ("", [], b"")
        t.ok(sender == "a@client.test" and sorted(recipients) == ["r1@sink.test", "r2@sink.test"] and same(got, content),
             f"relayed by transport_maps: {name}", (sender, recipients, where(got, content)))
    sink.messages.clear()
    tern.send("a@client.test", "x@elsewhere.test", head("relayhost") + b"\nx\n")
    t.ok(t.wait_for(lambda: sink.messages) and sink.messages[0][1] == ["x@elsewhere.test"], "and by relayhost")
    t.ok(tern.wait_empty(), "nothing stays queued")


def notices(tern, user, kind, seconds=20):
    def found():
        return [m for m in tern.stored(user) if b"report-type=delivery-status" in m and kind in m]
    return t.wait_for(found, seconds)


def check_report(raw, action, status, recipient, name):
    message = email.message_from_bytes(raw, policy=email.policy.default)
    t.is_(message.get_content_type(), "multipart/report", f"{name}: it is a multipart/report")
    t.is_(message.get_param("report-type"), "delivery-status", f"{name}: of a delivery status")
    parts = message.get_payload()
    t.is_([p.get_content_type() for p in parts][:2], ["text/plain", "message/delivery-status"], f"{name}: text, then the status")
    t.ok(parts[2].get_content_type() in ("message/rfc822", "text/rfc822-headers"), f"{name}: then the message")
    groups = parts[1].get_payload()
    t.ok(groups[0]["Reporting-MTA"] and "mail.example.test" in groups[0]["Reporting-MTA"], f"{name}: Reporting-MTA", groups[0])
    fields = groups[1]
    t.is_(fields["Action"].strip(), action, f"{name}: Action")
    t.ok(fields["Status"].startswith(status), f"{name}: Status", fields["Status"])
    t.is_(fields["Final-Recipient"].replace(" ", ""), f"rfc822;{recipient}", f"{name}: Final-Recipient")
    return fields, parts


def test_bounce(tern, sink):
    tern.send("anna@example.test", ["no@sink.test", "yes@sink.test"], head("bounce") + b"\nthe original text\n")
    found = notices(tern, "anna", b"5.1.1")
    t.ok(found, "a refusal of the next hop comes back to the sender")
    if found:
        fields, parts = check_report(found[0], "failed", "5.1.1", "no@sink.test", "bounce")
        t.ok(fields["Diagnostic-Code"] and "no such one" in fields["Diagnostic-Code"], "bounce: the next hop's words", fields["Diagnostic-Code"])
        t.ok(fields["Remote-MTA"], "bounce: Remote-MTA")
        t.ok(b"the original text" in parts[2].as_bytes(), "bounce: the message comes with it")
        t.ok(found[0].startswith(b"Return-Path: <>"), "bounce: it has the null sender")
    t.ok(any(m[1] == ["yes@sink.test"] for m in sink.messages), "the other recipient gets it")
    take(tern, "anna")


def test_delay_warning(tern, sink):
    tern.send("anna@example.test", "later@sink.test", head("delay") + b"\nx\n")
    found = notices(tern, "anna", b"delayed")
    t.ok(found, "a delay is told")
    if found:
        check_report(found[0], "delayed", "4.7.9", "later@sink.test", "delay")
    sink.forgiving = True
    t.ok(tern.run("status").returncode == 0 and tern.wait_empty(20), "and it is delivered when the next hop lets it")
    t.is_(len(notices(tern, "anna", b"delayed")), 1, "the delay is told once")
    take(tern, "anna")


def test_double_bounce(tern):
    tern.send("no@sink.test", "no@sink.test", head("double") + b"\nx\n")
    found = t.wait_for(lambda: [m for m in tern.stored("carl") if b"double-bounce" in m or b"ostmaster" in m], 20)
    t.ok(found, "a bounce that bounces goes to the postmaster")
    t.ok(tern.wait_empty(), "and there it ends")


def serve(answer_user):
    """All of it, run by root or as an ordinary user."""
    def answer(stage, text):
        if stage == "rcpt" and text.startswith("no@"):
            return "550 5.1.1 no such one here"
        if stage == "rcpt" and text.startswith("later@") and not sink.forgiving:
            return "451 4.7.9 come back later"
        return None
    sink = t.Sink(answer)
    sink.forgiving = False
    with t.Instance(settings=SETTINGS, user=answer_user) as tern:
        tern.set(f"transport_maps = inline:{{ sink.test=smtp:[127.0.0.1]:{sink.port} }}")
        tern.set(f"relayhost = [127.0.0.1]:{sink.port}")
        tern.set(f"virtual_alias_maps = texthash:{tern.file('virtual', VIRTUAL)}")
        for user in ("anna", "bert", "carl"):
            tern.add_user(user)
        tern.start()
        if answer_user is None:
            test_shapes(tern)
            test_bdat(tern)
            test_trace(tern)
            test_recipients(tern)
            test_new_users(tern)
            test_sendmail(tern)
            test_sendmail_while_down(tern)
            test_lmtp(tern)
        else:
            tern.send("a@client.test", ["anna@example.test", "r@sink.test"], head("user") + b"\nx\n")
            t.ok(take(tern, "anna"), f"as user {answer_user}: delivered")
            t.ok(t.wait_for(lambda: sink.messages), f"as user {answer_user}: relayed")
            sink.messages.clear()
        test_relay(tern, sink)
        test_bounce(tern, sink)
        if answer_user is None:
            test_delay_warning(tern, sink)
            test_double_bounce(tern)
    sink.close()


VIRTUAL = "all@example.test anna@example.test, bert@example.test\npostmaster@example.test carl@example.test\n"

serve(None)
if t.is_root():
    serve("nobody")
t.done()
