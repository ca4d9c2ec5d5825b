#!/usr/bin/env python3
"""Submission policy: sender addresses bound to logins, what is hidden and added in the header, what an account may
send, and the brake for stolen ones. Who logs in is said by XCLIENT. TAP."""

import json
import re
import threading

import tern_test as t

t.need("tern", "master", "smtpd", "qmgr", "cleanup", "lookup", "local", "bounce", "ternqueue", "ternsuper")


def session(tern, login=None, address=None):
    smtp = tern.smtp()
    words = ([f"LOGIN={login}"] if login else []) + ([f"NAME=laptop.home.test ADDR={address}"] if address else [])
    if words:
        code, text = smtp.docmd("XCLIENT", " ".join(words))
        if code != 220:
            raise RuntimeError(text)
        smtp.ehlo("laptop.home.test")
    return smtp


def send(tern, login, recipients, sender=None, content=b"Subject: x\r\n\r\nx\r\n", address=None):
    """The code and text of the first refusal, or of the end."""
    sender = sender if sender is not None else login if "@" in login else f"{login}@{tern.domain}"
    with session(tern, login, address) as smtp:
        code, reply = smtp.docmd("MAIL", f"FROM:<{sender}>")
        for recipient in recipients:
            if code != 250:
                break
            code, reply = smtp.docmd("RCPT", f"TO:<{recipient}>")
        if code == 250:
            code, reply = smtp.data(content)
        return code, reply.decode()


def sender_code(tern, login, sender):
    with session(tern, login) as smtp:
        smtp.docmd("MAIL", f"FROM:<{sender}>")
        code, reply = smtp.docmd("RCPT", f"TO:<user@{tern.domain}>")
        return code, reply.decode()


# ---- whose address it is
OWNERS = """ann@example.test ann
shared@example.test ann, bob
@lists.example.test carl
box@example.test dora
local dora
"""
with t.Instance(settings=["smtpd_authorized_xclient_hosts=127.0.0.1", "recipient_delimiter=+"]) as tern:
    tern.add_user("user")
    tern.set(f"smtpd_sender_login_maps = texthash:{tern.file('owners', OWNERS)}")
    tern.set("smtpd_sender_restrictions = reject_sender_login_mismatch")
    tern.start()
    rows = [("ann", "ann@example.test", 250), ("ANN", "ann@example.test", 250), ("bob", "ann@example.test", 553),
            ("ann", "ann+news@example.test", 250), ("bob", "ann+news@example.test", 553),
            ("ann", "shared@example.test", 250), ("bob", "shared@example.test", 250), ("carl", "shared@example.test", 553),
            ("carl", "any@lists.example.test", 250), ("ann", "any@lists.example.test", 553),
            ("ann", "nobody@example.test", 553), ("ann", "stranger@away.example.com", 553), ("ann", "", 250),
            (None, "ann@example.test", 553), (None, "stranger@away.example.com", 250), (None, "", 250)]
    for login, sender, wanted in rows:
        t.is_(sender_code(tern, login, sender)[0], wanted, f"{login} as <{sender}>: {wanted}")
    t.is_(sender_code(tern, "bob", "ann@example.test")[1],
          "5.7.1 <ann@example.test>: Sender address rejected: not owned by user bob", "in Postfix's words")
    t.is_(sender_code(tern, None, "ann@example.test")[1],
          "5.7.1 <ann@example.test>: Sender address rejected: not logged in", "and for who has not logged in")
    t.ok(tern.wait_log("reject: RCPT from localhost[127.0.0.1]: 553 5.7.1 <ann@example.test>: Sender address rejected: "
                       "not owned by user bob; from=<ann@example.test>"), "and in the log")
    for words, codes in (("reject_known_sender_login_mismatch", [250, 553, 553]),
                         ("reject_authenticated_sender_login_mismatch", [553, 553, 250]),
                         ("reject_unauthenticated_sender_login_mismatch", [250, 250, 553])):
        tern.set(f"smtpd_sender_restrictions = {words}")
        tern.run("reload", check=True)
        got = [sender_code(tern, "ann", "nobody@example.test")[0], sender_code(tern, "bob", "ann@example.test")[0],
               sender_code(tern, None, "ann@example.test")[0]]
        t.is_(got, codes, words)
    for stage in ("client", "helo", "sender", "recipient", "data", "end_of_data"):
        tern.set(f"smtpd_{stage}_restrictions = permit_sasl_authenticated, reject")
    tern.run("reload", check=True)
    t.is_(send(tern, "ann", [f"user@{tern.domain}"])[0], 250, "permit_sasl_authenticated works in every list")
    t.is_(send(tern, None, [f"user@{tern.domain}"], "x@y.test")[0], 554, "and permits nobody else")

# ---- the header
with t.Instance(settings=["smtpd_authorized_xclient_hosts=127.0.0.1", "smtpd_hide_client_address=yes",
                          "smtpd_sasl_authenticated_header=yes",
                          "local_header_rewrite_clients=permit_sasl_authenticated"]) as tern:
    tern.add_user("user")
    tern.start()
    content = b"Subject: bare\r\nSender: secretary@example.test\r\n\r\nx\r\n"
    t.is_(send(tern, "ann", [f"user@{tern.domain}"], content=content, address="192.0.2.77")[0], 250, "submitted")
    raw = tern.wait_stored("user", 1)[0].decode()
    received = re.search(r"^Received:.*?(?=^\S)", raw, re.M | re.S)[0]
    t.ok("192.0.2.77" not in raw and "laptop" not in raw, "the client is not named", received)
    t.ok("(Authenticated sender: ann)" in received and "by mail." in received, "the login is, where that is wished", received)
    t.ok(all(re.search(rf"^{name}: ", raw, re.M) for name in ("Date", "Message-ID", "From")), "missing fields are added", raw)
    t.ok(re.search(r"^Sender: secretary@example.test$", raw, re.M), "Sender: stays as it is", raw)
    t.ok("client=laptop.home.test[192.0.2.77], sasl_method=XCLIENT, sasl_username=ann" in tern.log(), "the log names the client")
    send(tern, None, [f"user@{tern.domain}"], "x@y.test", content=b"Subject: relayed\r\n\r\nx\r\n", address="192.0.2.78")
    raw = [one.decode() for one in tern.wait_stored("user", 2) if b"Subject: relayed" in one][0]
    t.ok("192.0.2.78" in raw and "\nDate: " not in raw, "a stranger's mail has the client and nothing added", raw)

# ---- how much
LIMITS = """big unlimited
small messages=1
broken letters=1
many messages=100000 recipients=100000 bytes=1000000000
"""
with t.Instance(settings=["smtpd_authorized_xclient_hosts=127.0.0.1", "smtpd_login_message_limit=3",
                          "smtpd_login_recipient_limit=5", "smtpd_login_size_limit=100000",
                          "smtpd_client_event_limit_exceptions=127.0.0.0/8"]) as tern:
    for user in ("user", "u2", "u3", "u4", "u5", "u6"):
        tern.add_user(user)
    everybody = [f"{name}@{tern.domain}" for name in ("user", "u2", "u3", "u4", "u5", "u6")]
    tern.set(f"smtpd_login_limit_maps = texthash:{tern.file('limits', LIMITS)}")
    tern.start()
    for number in range(3):
        t.is_(send(tern, "ann", everybody[:1])[0], 250, f"message {number + 1} of three")
    code, text = send(tern, "ann", everybody[:1])
    t.is_((code, text), (450, "4.7.1 Error: your account may send 3 messages within 1 hour; try again later"),
          "the fourth is put off, and why is said")
    t.ok(tern.wait_log("warning: Message limit of account ann exceeded: 3 of 3 from [127.0.0.1]"), "logged")
    t.is_(send(tern, "Ann", everybody[:1])[0], 450, "it is the same account in other letters")
    t.is_(send(tern, None, everybody[:1], "x@y.test")[0], 250, "who has not logged in is not counted")
    t.is_(send(tern, "bob", everybody[:4])[0], 250, "four recipients of five")
    t.is_(send(tern, "bob", everybody[:2])[:2], (450, "4.7.1 Error: your account may write to 5 recipients within 1 hour; "
                                                      "try again later"), "two more are too many")
    t.is_(send(tern, "bob", everybody[:1])[0], 250, "one is not")
    t.is_(send(tern, "carl", everybody)[:2], (550, "5.7.1 Error: your account may write to 5 recipients within 1 hour; "
                                                   "this message has more"), "more than that at once never pass")
    t.is_(send(tern, "dora", everybody[:1], content=b"Subject: x\r\n\r\n" + b"x" * 70 + b"\r\n" * 50000)[0], 550, "bytes too")
    for number in range(6):
        code = send(tern, "big", everybody)[0]
    t.is_(code, 250, "an account of its own limits: none")
    t.is_([send(tern, "small", everybody[:1])[0] for _ in range(2)], [250, 450], "or fewer")
    t.is_(send(tern, "broken", everybody[:1])[0], 451, "what cannot be read defers")
    shown = tern.run("submission").stdout
    t.ok(re.search(r"^ann: 3 messages, 3 recipients, \d+ bytes in 3600 s, last 2", shown, re.M), "tern submission", shown)
    tern.run("stop", check=True)
    tern.start()
    t.is_(send(tern, "ann", everybody[:1])[0], 450, "a restart forgets nothing")
    tern.run("reload", check=True)
    t.is_(send(tern, "ann", everybody[:1])[0], 450, "nor does a reload")
    enough = threading.Event()
    reloads = threading.Thread(target=lambda: [tern.run("reload", check=True) for _ in iter(enough.is_set, True)])
    reloads.start()
    answers = [send(tern, "many", everybody[:1])[0] for _ in range(12)]
    enough.set()
    reloads.join()
    t.ok(set(answers) == {250}, "while one reload follows the other, mail is counted and taken", answers)

# ---- the brake
with t.Instance(settings=["smtpd_authorized_xclient_hosts=127.0.0.1", "smtpd_login_brake_recipients=4",
                          "smtpd_login_brake_rejects=6", "smtpd_login_brake_bounces=2",
                          "smtpd_client_event_limit_exceptions=127.0.0.0/8", "smtp_tls_security_level=none"]) as tern:
    for user in ("user", "postmaster", "ann", "eve"):
        tern.add_user(user)
    sink = t.Sink(lambda stage, text: "550 5.1.1 no such user" if stage == "rcpt" else None)
    busy = t.Sink(lambda stage, text: "451 4.3.0 later" if stage == "mail" else None)
    tern.set(f"transport_maps = inline:{{gone.test=smtp:[127.0.0.1]:{sink.port}, busy.test=smtp:[127.0.0.1]:{busy.port}}}")
    tern.start()
    here = f"user@{tern.domain}"
    send(tern, "ann@example.test", ["later@busy.test"])
    t.ok(t.wait_for(lambda: len(tern.queued("cur")) == 1), "one waits in the queue")
    for number in range(3):
        send(tern, "ann@example.test", [here])
    t.is_(len(tern.wait_stored("user", 3)), 3, "three get through")
    code, text = send(tern, "ann@example.test", [here])
    t.is_(code, 250, "the next is accepted all the same")
    t.ok(t.wait_for(lambda: len(tern.queued("hold")) == 1) and len(tern.stored("user")) == 3, "but put on hold", tern.queued())
    t.ok(tern.wait_log(": hold: account on hold: 5 recipients were sent to within 10 minutes"), "with the reason in the log")
    t.ok(tern.wait_log("warning: account ann@example.test: 5 recipients were sent to within 10 minutes: its mail is placed on hold"),
         "the brake is logged")
    told = tern.wait_stored("postmaster", 1)
    t.ok(told and b"tern submission lift ann@example.test" in told[0] and b"5 recipients were sent to" in told[0], "the admin is told", told)
    t.ok(tern.wait_stored("ann", 1), "and the account")
    send(tern, "ann@example.test", [here])
    t.ok(t.wait_for(lambda: len(tern.queued("hold")) == 2), "what comes then too")
    tern.command("ternqueue", "-f", check=True)
    t.ok(t.wait_for(lambda: len(tern.queued("hold")) == 3), "and what waited, when it is taken up", tern.queued())
    t.ok(tern.wait_log("placed on hold: its account is on hold"), "which is logged")
    t.is_(send(tern, "bob", [here])[0], 250, "others send on")
    t.is_(len(tern.wait_stored("user", 4)), 4, "and get through")
    shown = tern.run("submission").stdout
    t.ok(re.search(r"^    ON HOLD since .*: 5 recipients were sent to within 10 minutes$", shown, re.M), "it is shown", shown)
    tern.run("stop", check=True)
    tern.start()
    send(tern, "ann@example.test", [here])
    t.ok(t.wait_for(lambda: len(tern.queued("hold")) == 4), "a restart lifts nothing", tern.queued())
    t.is_(len(tern.stored("postmaster")), 1, "it was told once")
    still = tern.run("submission", "release", "ann@example.test")
    t.ok(still.returncode != 0 and "lift that first" in still.stderr, "nothing is released to come back at once", still.stderr)
    t.is_(tern.run("submission", "lift", "ann@example.test").stdout, "ann@example.test: this account may send again\n", "lifted")
    send(tern, "ann@example.test", [here])
    t.is_(len(tern.wait_stored("user", 5)), 5, "it sends again")
    t.is_(tern.run("submission", "release", "ann@example.test").stdout, "ann@example.test: 4 messages released from hold\n", "what was held is let go")
    t.is_(len(tern.wait_stored("user", 8)), 8, "and delivered")
    t.ok(tern.run("submission", "lift", "ann@example.test").returncode != 0, "nothing to lift: says so")

    # ---- refused recipients
    with session(tern, "rex") as smtp:
        smtp.docmd("MAIL", f"FROM:<rex@{tern.domain}>")
        codes = [smtp.docmd("RCPT", f"TO:<nobody{number}@{tern.domain}>")[0] for number in range(10)]
    t.ok(set(codes) == {550} and tern.wait_log("account rex: 10 recipients were refused within 10 minutes: its mail is"),
         "many refused recipients put on the brake", codes)

    # ---- bounces at other servers
    for number in range(3):
        send(tern, "eve", [f"x{number}@gone.test"])
    t.ok(tern.wait_log("account eve: 3 recipients bounced within 10 minutes: its mail is placed on hold"), "many bounces too")
    send(tern, "eve", [here])
    t.ok(t.wait_for(lambda: len(tern.queued("hold")) == 1), "held", tern.queued())
    t.is_(tern.run("submission", "delete", "eve").stdout, "eve: 1 message deleted\n", "deleted by the admin")
    t.is_(tern.run("submission", "hold", "carl", "on leave").stdout, "carl: mail of this account goes on hold\n", "held by hand")
    shown = tern.run("submission").stdout
    t.ok("carl: 0 messages, 0 recipients, 0 bytes in " in shown and re.search(r"^carl: .*, last never$", shown, re.M) and "1970" not in shown,
         "who has sent nothing never did", shown)
    rows = {row["login"]: row for row in json.loads(tern.run("submission", "--json").stdout)}
    t.is_({name: rows["carl"][name] for name in ("messages", "recipients", "bytes", "last", "reason")},
          {"messages": 0, "recipients": 0, "bytes": 0, "last": None, "reason": "on leave"}, "in JSON too")
    t.ok(rows["carl"]["held"] > 1e9 and rows["rex"]["last"] > 1e9 and rows["bob"]["held"] is None and rows["bob"]["reason"] is None,
         "dates and what is not", rows)
    t.is_(json.loads(tern.run("submission", "--json", "list").stdout), list(rows.values()), "list is the same")
    t.is_(tern.run("submission", "--json", "lift", "carl").returncode, 64, "--json is for the list")
    send(tern, "carl", [here])
    t.ok(tern.wait_log("hold: account on hold: on leave"), "with the admin's reason")
t.done()
