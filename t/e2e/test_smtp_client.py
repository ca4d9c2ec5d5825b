#!/usr/bin/env python3
"""The SMTP and LMTP client against servers that do as scripted: refuse at every
stage, hang, hang up, stutter, talk nonsense. TAP.

smtp_probe runs the client's code; the servers and the name server are threads
here, on loopback."""

import re
import smtplib
import socket
import time

import tern_test as t
from smtp_peers import (ALL, DEFERRED, DROP, FAILED, HANG, RELAYED, RELAYED_DSN, RESET, TOP, NameServer, Probe,
                        Server, check, hop)


# ---- the good case

def plain():
    with Server(extensions=ALL) as server, Probe() as probe:
        outcomes, dead = probe.deliver(hop(server), ["a@x.test", "b@x.test"], ret=2, envid="e+1",
                                       content=b"Subject: x\n\n.dot\n..\n.\nlast without end")
        check("a plain delivery", outcomes[0], RELAYED_DSN, "2.0.0", r"^250 2\.0\.0 Ok: queued as 1-0$")
        t.is_(len(outcomes), 2, "an outcome for each")
        t.is_(dead, "", "the host is not dead")
        t.is_(outcomes[0]["relay"], f"127.0.0.1[127.0.0.1]:{server.port}", "relay")
        t.is_(server.messages[0], b"Subject: x\r\n\r\n..dot\r\n...\r\n..\r\nlast without end\r\n", "content on the wire")
        t.is_(server.commands[0], "EHLO probe.example", "EHLO with myhostname")
        t.is_(server.commands[1], "MAIL FROM:<s@sender.test> SIZE=43 RET=HDRS ENVID=e+2B1", "MAIL with parameters")
        t.ok(any(b"MAIL" in x and b"RCPT TO:<b@x.test>" in x and b"DATA" in x for x in server.batches),
             "MAIL, RCPT and DATA go out together")
        log = probe.log()
        t.ok(re.search(r"4probe: to=<a@x\.test>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:\d+, delay=[\d.]+, delays=[\d.]+/[\d.]+/[\d.]+/[\d.]+, "
                       r"dsn=2\.0\.0, status=sent \(250 2\.0\.0 Ok: queued as 1-0\)", log) is not None, "log line", log)
    with Server(extensions=[]) as server, Probe() as probe:
        outcomes, _ = probe.deliver(hop(server), ["a@x.test"], sender="", body=1)
        check("a server without extensions", outcomes[0], RELAYED, "2.0.0", "^250")
        t.is_(server.commands[1:], ["MAIL FROM:<>", "RCPT TO:<a@x.test>", "DATA"], "gets plain commands")
    with Server({"EHLO": "502 what", "HELO": "250 old.test"}) as server, Probe() as probe:
        outcomes, _ = probe.deliver(hop(server), ["a@x.test"])
        check("a server without EHLO", outcomes[0], RELAYED, "2.0.0", "^250")
        t.is_(server.commands[1], "HELO probe.example", "is greeted by HELO")
    with Server(extensions=ALL, stutter=True) as server, Probe() as probe:
        outcomes, _ = probe.deliver(hop(server), ["a@x.test", "b@x.test"])
        check("replies that come octet by octet", outcomes[1], RELAYED_DSN, "2.0.0", "^250")
    with Server({"GREETING": "220-fake.test\n220-two\n220 three", "DOT": "250-2.0.0 one\n250-2.0.0 two\n250 2.0.0 three"}) as server, \
            Probe() as probe:
        outcomes, _ = probe.deliver(hop(server), ["a@x.test"])
        check("many lines are one", outcomes[0], RELAYED, "2.0.0", "^250 2.0.0 one two three$")
    with Server({"DOT": b"250 2.0.0 \x1b[31mred\x07\xff\n"}) as server, Probe() as probe:
        outcomes, _ = probe.deliver(hop(server), ["a@x.test"])
        check("controls in replies are harmless, a bare LF ends one", outcomes[0], RELAYED, "2.0.0", r"^250 2\.0\.0 \?\[31mred\?\?$")
    with Server(extensions=ALL) as server, Probe() as probe:
        outcomes, _ = probe.deliver(hop(server), ["b\" c@x.test", "d@x.test,2,rfc822;d+e@y.test"])
        check("addresses are quoted", outcomes[0], RELAYED_DSN, "2.0.0", "^250")
        t.ok('RCPT TO:<"b\\" c"@x.test>' in server.commands, "in RCPT", server.commands)
        t.is_(server.commands[3], "RCPT TO:<d@x.test> NOTIFY=SUCCESS ORCPT=rfc822;d+2Be@y.test", "NOTIFY and ORCPT")


def many_recipients():
    with Server(extensions=ALL) as server, Probe() as probe:
        outcomes, _ = probe.deliver(hop(server), [f"r{i}@x.test" for i in range(600)])
        t.is_({x["action"] for x in outcomes}, {RELAYED_DSN}, "600 recipients")
        t.is_(len(outcomes), 600, "all have an outcome")
    with Server(extensions=["PIPELINING", "LIMITS RCPTMAX=100"]) as server, Probe() as probe:
        outcomes, _ = probe.deliver(hop(server), [f"r{i}@x.test" for i in range(250)])
        t.is_({x["action"] for x in outcomes}, {RELAYED}, "LIMITS RCPTMAX: all get through")
        t.is_(len(server.messages), 3, "in three transactions")
        t.is_(len(server.connections), 1, "on one connection")
    with Server(extensions=["PIPELINING", "LIMITS RCPTMAX=10 MAILMAX=2"]) as server, Probe() as probe:
        outcomes, _ = probe.deliver(hop(server), [f"r{i}@x.test" for i in range(45)])
        t.is_({x["action"] for x in outcomes}, {RELAYED}, "LIMITS MAILMAX: all get through")
        t.is_((len(server.messages), len(server.connections)), (5, 3), "on as many connections as it takes")
    with Server({"DOT": ["250 2.0.0 Ok", DROP], "RCPT": "250 2.1.5 Ok"}, ["PIPELINING", "LIMITS RCPTMAX=1"]) as server, Probe() as probe:
        outcomes, _ = probe.deliver(hop(server), ["a@x.test", "b@x.test", "c@x.test"])
        t.is_([x["action"] for x in outcomes], [RELAYED, DEFERRED, DEFERRED], "lost in the second of three transactions")
    with Server({"MAIL": ["250 2.1.0 Ok", DROP, "250 2.1.0 Ok", DROP, "250 2.1.0 Ok"]}, ["PIPELINING", "LIMITS RCPTMAX=1"]) as server, \
            Probe() as probe:
        outcomes, _ = probe.deliver(hop(server), ["a@x.test", "b@x.test", "c@x.test"])
        t.is_([x["action"] for x in outcomes], [RELAYED] * 3, "a server that closes after each message")
        t.is_(len(server.messages), 3, "gets each once")
    text = "550 5.1.1 " + "long text " * 80
    with Server({"RCPT": text}) as server, Probe() as probe:
        outcomes, _ = probe.deliver(hop(server), [f"r{i}@x.test" for i in range(500)])
        t.is_(({x["action"] for x in outcomes}, len(outcomes)), ({FAILED}, 500), "500 long refusals fit into the answer")


# ---- refusals at each stage

def refusals():
    table = [
        # stage, reply, action, status, text, dead
        ("GREETING", "421 4.3.2 busy", DEFERRED, "4.3.2", r"host \S+ refused to talk to me: 421 4\.3\.2 busy$", True),
        ("GREETING", "554 5.7.1 go away", DEFERRED, "4.7.1", r"host \S+ refused to talk to me: 554 5\.7\.1 go away$", True),
        ("EHLO", "421 4.3.2 later", DEFERRED, "4.3.2", "refused to talk to me: 421", True),
        ("MAIL", "451 4.3.0 later", DEFERRED, "4.3.0", r"said: 451 4\.3\.0 later \(in reply to MAIL FROM command\)$", False),
        ("MAIL", "550 5.7.1 no", FAILED, "5.7.1", r"said: 550 5\.7\.1 no \(in reply to MAIL FROM command\)$", False),
        ("MAIL", "550 no code", FAILED, "5.0.0", "550 no code", False),
        ("MAIL", "250-2.1.0 Ok\n550 mixed", DEFERRED, "4.5.0", "sent what is no SMTP reply while sending MAIL FROM", False),
        ("RCPT", "450 4.2.0 grey", DEFERRED, "4.2.0", r"said: 450 4\.2\.0 grey \(in reply to RCPT TO command\)$", False),
        ("RCPT", "550 5.1.1 unknown", FAILED, "5.1.1", r"\(in reply to RCPT TO command\)$", False),
        ("RCPT", "550 4.1.1 confused", FAILED, "5.0.0", "550 4.1.1 confused", False),
        ("RCPT", "354 what", DEFERRED, "4.5.0", "Protocol error: host .* said: 354 what", False),
        ("DATA", "451 4.3.0 later", DEFERRED, "4.3.0", r"\(in reply to DATA command\)$", False),
        ("DATA", "554 5.5.0 no", FAILED, "5.5.0", r"\(in reply to DATA command\)$", False),
        ("DATA", "250 fine?", DEFERRED, "4.5.0", "Protocol error", False),
        ("DOT", "452 4.3.1 full", DEFERRED, "4.3.1", r"\(in reply to end of DATA command\)$", False),
        ("DOT", "554 5.7.1 spam", FAILED, "5.7.1", r"\(in reply to end of DATA command\)$", False),
        ("DOT", "421 4.4.2 timeout", DEFERRED, "4.4.2", r"\(in reply to end of DATA command\)$", False),
        ("GREETING", b"\x00\x01\x02 binary\r\n", DEFERRED, "4.5.0", "no SMTP reply while receiving the initial server greeting", True),
        ("GREETING", b"HTTP/1.1 400 Bad Request\r\n", DEFERRED, "4.5.0", "no SMTP reply", True),
        ("RCPT", b"x" * 100000 + b"\r\n", DEFERRED, "4.5.0", "no SMTP reply while sending RCPT TO", False),
        ("EHLO", b"250-fake\r\n" * 5000, DEFERRED, "4.5.0", "no SMTP reply while performing the EHLO handshake", True),
        ("EHLO", b"250 fake\r\n250 PIPELINING\r\n", DEFERRED, "4.5.0", "no SMTP reply while performing", True),
        ("DATA", b"354 go\r\n250 2.0.0 queued already\r\n", DEFERRED, "4.5.0", "while sending message body", False),
    ]
    for pipelining in (True, False):
        extensions = ["PIPELINING", "8BITMIME"] if pipelining else ["8BITMIME"]
        for stage, reply, action, status, text, dead in table:
            with Server({stage: reply}, extensions) as server, Probe() as probe:
                outcomes, is_dead = probe.deliver(hop(server), ["a@x.test", "b@x.test"])
                name = f"{stage} {str(reply)[:30]!r}" + (" pipelined" if pipelining else "")
                check(name, outcomes[0], action, status, text)
                check(name + ", second", outcomes[1], action, status, text)
                t.is_(bool(is_dead), dead, name + ": dead host")
    with Server({"MAIL": b"250 one\r\n250 two\r\n"}, ["8BITMIME"]) as server, Probe() as probe:
        outcomes, _ = probe.deliver(hop(server), ["a@x.test"])
        check("two replies to one command", outcomes[0], DEFERRED, "4.5.0", "no SMTP reply while sending RCPT TO")
        t.is_(server.messages, [], "nothing is sent")
    with Server({"EHLO": "500 no", "HELO": "550 5.7.1 not you"}) as server, Probe() as probe:
        outcomes, dead = probe.deliver(hop(server), ["a@x.test"])
        check("HELO refused", outcomes[0], FAILED, "5.7.1", "refused to talk to me: 550")
    with Server({"GREETING": "554 5.7.1 go away"}) as server, Probe("smtp_skip_5xx_greeting=no") as probe:
        outcomes, dead = probe.deliver(hop(server), ["a@x.test"])
        check("smtp_skip_5xx_greeting = no", outcomes[0], FAILED, "5.7.1", "refused to talk to me")
        t.is_(dead, "", "is no dead host")
    with Server({"RCPT b@x.test": "550 5.1.1 no", "RCPT c@x.test": "452 4.5.3 enough"}) as server, Probe() as probe:
        outcomes, _ = probe.deliver(hop(server), ["a@x.test", "b@x.test", "c@x.test"])
        t.is_([x["action"] for x in outcomes], [RELAYED, FAILED, DEFERRED], "each recipient by its own reply")
        t.is_(outcomes[1]["diagnostic"], "550 5.1.1 no", "diagnostic")
        t.is_(outcomes[1]["remote"], "127.0.0.1", "remote MTA")
    with Server({"RCPT": "550 5.1.1 no", "DATA": "354 all the same"}) as server, Probe() as probe:
        outcomes, _ = probe.deliver(hop(server), ["a@x.test"])
        check("DATA taken without recipients", outcomes[0], FAILED, "5.1.1", "550")
        t.ok(t.wait_for(lambda: server.messages == [b""]), "gets nothing", server.messages)
    with Server({"RCPT b@x.test": "421 4.7.0 enough"}) as server, Probe() as probe:
        outcomes, _ = probe.deliver(hop(server), ["a@x.test", "b@x.test", "c@x.test"])
        t.is_([x["status"] for x in outcomes], ["4.7.0"] * 3, "421 speaks for all that are open")


# ---- silence and hanging up

def losses():
    states = {"GREETING": "receiving the initial server greeting", "EHLO": "performing the EHLO handshake",
              "MAIL": "sending MAIL FROM", "RCPT": "sending RCPT TO", "DATA": "sending DATA command",
              "DOT": "sending end of data -- message may be sent more than once"}
    short = [f"smtp_{x}_timeout=1" for x in ("helo", "mail", "rcpt", "data_init", "data_xfer", "data_done", "connect")]
    runs = []
    for stage, state in states.items():
        for what, words in ((DROP, "lost connection with {} while {}"), (RESET, "lost connection with {} while {}"),
                            (HANG, "conversation with {} timed out while {}")):
            server, probe = Server({stage: what}), Probe(*short)
            runs.append((stage, state, what, words, server, probe, probe.start(hop(server), ["a@x.test"])))
    for stage, state, what, words, server, probe, number in runs:
        outcomes, dead = probe.wait(number)
        wanted = words.format("127.0.0.1[127.0.0.1]", state)
        if stage == "GREETING" and "Connection reset by peer" in outcomes[0]["text"]:
            wanted = outcomes[0]["text"]  # it came before connect() was over
            outcomes[0]["status"] = "4.4.2"
        name = {DROP: "closes", HANG: "hangs", RESET: "resets"}[what]
        check(f"{name} at {stage}", outcomes[0], DEFERRED, "4.4.2", "^" + re.escape(wanted) + "$")
        t.is_(bool(dead), stage in ("GREETING", "EHLO"), f"{name} at {stage}: dead host")
        probe.__exit__()
        server.__exit__()
    big = b"Subject: x\n\n" + b"line of text that is long enough to fill buffers soon\n" * 180000
    with Server(read_body=False) as server, Probe(*short) as probe:
        outcomes, _ = probe.deliver(hop(server), ["a@x.test"], content=big)
        check("reads no content", outcomes[0], DEFERRED, "4.4.2", "timed out while sending message body$")
    with Server({"BODY": DROP}) as server, Probe(*short) as probe:
        outcomes, _ = probe.deliver(hop(server), ["a@x.test"], content=big)
        check("closes during the content", outcomes[0], DEFERRED, "4.4.2", "lost connection with .* while sending message body$")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with Probe() as probe:
            outcomes, dead = probe.deliver(f"[127.0.0.1]:{closed.getsockname()[1]}", ["a@x.test"])
            check("nobody listens", outcomes[0], DEFERRED, "4.4.1", r"^connect to 127\.0\.0\.1\[127\.0\.0\.1\]:\d+: Connection refused$")
            t.is_(outcomes[0]["relay"], "none", "relay=none")
            t.ok(dead.startswith("connect to"), "a dead host")
            t.ok("connect to 127.0.0.1[127.0.0.1]:" in probe.log(), "and a line of its own")
    with Server() as server, Probe() as probe:
        outcomes, _ = probe.deliver(hop(server), ["a@x.test"], length=5000)
        check("a queue file that is too short", outcomes[0], DEFERRED, "4.3.0", "queue file read error")
        t.is_(server.messages, [], "no message arrives")


# ---- needs of the message

def needs():
    with Server(extensions=["SIZE 1000", "8BITMIME"]) as server, Probe() as probe:
        outcomes, _ = probe.deliver(hop(server), ["a@x.test"], content=b"x" * 2000)
        check("too large for SIZE", outcomes[0], FAILED, "5.3.4", r"message size 2000 exceeds size limit 1000 of server")
        outcomes, _ = probe.deliver(hop(server), ["ä@x.test"], smtputf8=1)
        check("SMTPUTF8 not offered", outcomes[0], FAILED, "5.6.7", "SMTPUTF8 is required, but was not offered by host")
        outcomes, _ = probe.deliver(hop(server), ["a@x.test"], smtputf8=1, content=b"Subject: a\n\n\xc3\xa4\n")
        check("asked for without need, it is not required", outcomes[0], RELAYED, "2.0.0", "^250")
        outcomes, _ = probe.deliver(hop(server), ["a@x.test"], smtputf8=1, content="Subject: ä\n\nx\n".encode())
        check("a header is a need", outcomes[0], FAILED, "5.6.7", "SMTPUTF8 is required")
        outcomes, _ = probe.deliver(hop(server), ["ä@x.test", "a@x.test"])
        check("an address is one, asked for or not", outcomes[0], FAILED, "5.6.7", "SMTPUTF8 is required")
        check("for this recipient alone", outcomes[1], RELAYED, "2.0.0", "^250")
        outcomes, _ = probe.deliver(hop(server), ["a@x.test"], body=2)
        check("BINARYMIME not offered", outcomes[0], FAILED, "5.6.3", "BINARYMIME is required")
        outcomes, _ = probe.deliver(hop(server), ["a@x.test"], body=1)
        check("8BITMIME", outcomes[0], RELAYED, "2.0.0", "^250")
        t.ok("BODY=8BITMIME" in server.commands[-3], "is declared", server.commands)
    raw = bytes(range(256)) * 5000 + b"\r\n.\r\n"
    with Server(extensions=ALL) as server, Probe() as probe:
        outcomes, _ = probe.deliver(hop(server), ["ä@ö.test"], body=2, smtputf8=1, content=raw)
        check("BINARYMIME", outcomes[0], RELAYED_DSN, "2.0.0", "^250")
        t.ok(server.messages[0] == raw, "octet for octet")
        t.ok("BODY=BINARYMIME SMTPUTF8" in server.commands[1], "with its parameters", server.commands[1])
    with Server(extensions=ALL) as server, Probe("smtp_discard_ehlo_keywords=pipelining, DSN, size") as probe:
        outcomes, _ = probe.deliver(hop(server), ["a@x.test"], ret=1)
        t.is_(server.commands[1], "MAIL FROM:<s@sender.test>", "smtp_discard_ehlo_keywords")
    with Server(extensions=["PIPELINING", "XFORWARD NAME ADDR PROTO HELO IDENT SOURCE"]) as server, \
            Probe("smtp_send_xforward_command=yes") as probe:
        probe.deliver(hop(server), ["a@x.test"], client="2001:db8::1", helo="he lo")
        t.is_(server.commands[1], "XFORWARD NAME=client.example ADDR=IPv6:2001:db8::1 PROTO=ESMTP HELO=he+20lo IDENT=4probe SOURCE=REMOTE",
              "XFORWARD")
    lines = b"a" * 5000 + b"\n.\n" + b"b\r\nc\rd\n"
    with Server() as server, Probe() as probe:
        probe.deliver(hop(server), ["a@x.test"], content=lines)
        wire = server.messages[0]
        t.ok(max(len(x) for x in wire.split(b"\r\n")) == 998, "long lines are broken")
        t.ok(wire.endswith(b"\r\n..\r\nb\r\nc d\r\n"), "and no bare CR leaves", wire[-40:])


# ---- several hosts

def several_hosts():
    with Server() as good, Server({"RCPT": "451 4.2.0 not here"}, address="127.0.0.2", port=good.port) as busy, \
            Server({"GREETING": "421 4.3.2 no"}, address="127.0.0.3", port=good.port):
        port = good.port
        names = NameServer({
            ("multi.test", "MX"): [(10, "one.test"), (20, "two.test"), (30, "three.test")],
            ("one.test", "A"): ["127.0.0.9"], ("two.test", "A"): ["127.0.0.3"], ("three.test", "A"): ["127.0.0.1"],
            ("retry.test", "MX"): [(10, "busy.test"), (20, "three.test")], ("busy.test", "A"): ["127.0.0.2"],
            ("null.test", "MX"): [(0, "")],
            ("servfail.test", "MX"): "SERVFAIL",
            ("plain.test", "A"): ["127.0.0.1"],
            ("noaddress.test", "MX"): [(10, "nowhere.test")],
            ("half.test", "MX"): [(10, "broken.test")], ("broken.test", "A"): "SERVFAIL",
            ("loop.test", "MX"): [(10, "probe.example"), (20, "three.test")], ("probe.example", "A"): ["127.0.0.1"],
            ("behind.test", "MX"): [(10, "three.test"), (20, "self.test"), (30, "two.test")], ("self.test", "A"): ["192.0.2.254"],
        })
        with Probe(dns=names) as probe:
            outcomes, dead = probe.deliver(f"multi.test:{port}", ["a@multi.test"])
            check("the third MX takes it", outcomes[0], RELAYED, "2.0.0", "^250")
            t.is_(outcomes[0]["relay"], f"three.test[127.0.0.1]:{port}", "relay has the MX host's name")
            t.is_(dead, "", "and the destination lives")
            t.ok(f"connect to one.test[127.0.0.9]:{port}: Connection refused" in probe.log(), "the first is logged")
            t.ok("4probe: host two.test[127.0.0.3] refused to talk to me: 421" in probe.log(), "so is the second")
            outcomes, _ = probe.deliver(f"retry.test:{port}", ["a@multi.test"])
            check("a recipient deferred by one gets through by the next", outcomes[0], RELAYED, "2.0.0", "^250")
            t.ok("4probe: host busy.test[127.0.0.2] said: 451" in probe.log(), "and the refusal is logged")
            outcomes, _ = probe.deliver(f"plain.test:{port}", ["a@plain.test"])
            check("no MX: the address of the domain", outcomes[0], RELAYED, "2.0.0", "^250")
            t.is_(outcomes[0]["relay"], f"plain.test[127.0.0.1]:{port}", "by its own name")
            outcomes, dead = probe.deliver("null.test", ["a@null.test"])
            check("null MX", outcomes[0], FAILED, "5.1.10", r"^Domain null\.test does not accept mail \(nullMX\)$")
            t.ok(outcomes[0]["diagnostic"].startswith("556 5.1.10"), "with 556")
            outcomes, dead = probe.deliver("servfail.test", ["a@servfail.test"])
            check("the name server fails", outcomes[0], DEFERRED, "4.4.3",
                  r"^Host or domain name not found\. Name service error for name=servfail\.test type=MX: Host not found, try again$")
            t.ok(dead, "closes the window")
            outcomes, dead = probe.deliver("nothing.test", ["a@nothing.test"])
            check("no such domain", outcomes[0], FAILED, "5.4.4",
                  r"^Host or domain name not found\. Name service error for name=nothing\.test type=A: Host not found$")
            t.is_(dead, "", "is no dead host")
            outcomes, _ = probe.deliver("noaddress.test", ["a@noaddress.test"])
            check("an MX without address", outcomes[0], FAILED, "5.4.4", "name=nowhere.test type=A: Host not found")
            outcomes, _ = probe.deliver("half.test", ["a@half.test"])
            check("an MX whose address is not known now", outcomes[0], DEFERRED, "4.4.3", "name=broken.test type=A: .*try again")
            outcomes, _ = probe.deliver("loop.test", ["a@loop.test"])
            check("the best MX is this host", outcomes[0], FAILED, "5.4.6", r"^mail for loop\.test loops back to myself$")
            outcomes, _ = probe.deliver("[192.0.2.254]", ["a@loop.test"])
            check("an own address", outcomes[0], FAILED, "5.4.6", "loops back to myself$")
            outcomes, _ = probe.deliver("bad..name", ["a@bad"])
            check("a bad next hop", outcomes[0], FAILED, "5.1.2", "malformed")
        with Probe(f"smtp_fallback_relay=[127.0.0.1]:{port}", dns=names) as probe:
            outcomes, _ = probe.deliver(f"[127.0.0.9]:{port}", ["a@x.test"])
            check("smtp_fallback_relay", outcomes[0], RELAYED, "2.0.0", "^250")
        with Probe("smtp_fallback_relay=[nothing.test]", dns=names) as probe:
            outcomes, _ = probe.deliver(f"[127.0.0.9]:{port}", ["a@x.test"])
            check("a fallback relay that does not exist", outcomes[0], DEFERRED, "4.4.1", "Connection refused")
            outcomes, _ = probe.deliver("nothing.test", ["a@x.test"])
            check("returns no mail", outcomes[0], DEFERRED, "4.3.5", "server configuration error")
        with Probe("smtp_mx_address_limit=2", dns=names) as probe:
            outcomes, dead = probe.deliver(f"multi.test:{port}", ["a@x.test"])
            t.is_(outcomes[0]["action"], DEFERRED, "smtp_mx_address_limit")
            t.ok(dead, "and the destination is dead", dead)
        with Probe("smtp_mx_session_limit=1", dns=names) as probe:
            outcomes, _ = probe.deliver(f"retry.test:{port}", ["a@x.test"])
            check("smtp_mx_session_limit", outcomes[0], DEFERRED, "4.2.0", "451")
        with Probe(dns=names) as probe:
            outcomes, _ = probe.deliver(f"[127.0.0.9]:{port}, plain.test:{port}", ["a@x.test"])
            check("a list of next hops", outcomes[0], RELAYED, "2.0.0", "^250")
        with Probe("smtp_host_lookup=dns, native", dns=names) as probe:
            outcomes, _ = probe.deliver(f"[hosts.test]:{port}", ["a@x.test"])
            check("smtp_host_lookup = dns, native", outcomes[0], RELAYED, "2.0.0", "^250")
        with Probe("disable_dns_lookups=yes", dns=names) as probe:
            outcomes, _ = probe.deliver(f"localhost:{port}", ["a@x.test"])
            check("disable_dns_lookups", outcomes[0], RELAYED, "2.0.0", "^250")
            outcomes, _ = probe.deliver(f"plain.test:{port}", ["a@x.test"])
            check("asks no name server", outcomes[0], FAILED, "5.4.4", "^unable to look up host plain.test")
        names.socket.close()


# ---- connections used again

def reuse():
    with Server(extensions=ALL) as server, Probe() as probe:
        uses = [probe.deliver(hop(server), ["a@x.test"])[0][0]["use"] for _ in range(3)]
        t.is_(uses, ["1", "2", "3"], "messages follow on one connection")
        t.is_(len(server.connections), 1, "there is one")
        t.ok("conn_use=3" in probe.log(), "conn_use in the log")
        t.ok(t.wait_for(lambda: server.connections[0][-1] == "QUIT", 4), "QUIT when nothing follows")
    with Server({"RCPT": ["550 5.1.1 no"]}) as server, Probe() as probe:
        probe.deliver(hop(server), ["a@x.test"])
        outcomes, _ = probe.deliver(hop(server), ["b@x.test"])
        check("after a refused recipient", outcomes[0], RELAYED, "2.0.0", "^250")
        t.ok("RSET" in server.connections[0], "RSET comes first", server.connections)
    for name, last in (("closed", DROP), ("421", "421 4.4.2 idle too long"), ("reset", RESET), ("out of step", "503 5.5.1 nested MAIL")):
        with Server({"MAIL": ["250 2.1.0 Ok", last]}) as server, Probe() as probe:
            probe.deliver(hop(server), ["a@x.test"])
            outcomes, dead = probe.deliver(hop(server), ["b@x.test"])
            check(f"a kept connection that is {name}: a fresh one takes it", outcomes[0], RELAYED, "2.0.0", "^250")
            t.is_((outcomes[0]["use"], dead, len(server.connections)), ("1", "", 2), "without blame")
    with Server({"RCPT": ["250 2.1.5 Ok", "451 4.2.0 grey"]}) as server, Probe() as probe:
        probe.deliver(hop(server), ["a@x.test"])
        outcomes, _ = probe.deliver(hop(server), ["b@x.test"])
        check("a recipient deferred on a kept connection", outcomes[0], DEFERRED, "4.2.0", "451")
        t.is_(len(server.connections), 1, "is not tried with the same host again")
    server = Server({"MAIL": ["250 2.1.0 Ok", DROP]})
    with server, Probe() as probe:
        probe.deliver(hop(server), ["a@x.test"])
        server.listener.shutdown(socket.SHUT_RDWR)
        server.listener.close()
        outcomes, dead = probe.deliver(hop(server), ["b@x.test"])
        check("a kept connection that died with its server", outcomes[0], DEFERRED, "4.4.1", "Connection refused")
        t.ok(dead, "is a dead host")
    with Server({"DOT": ["421 4.3.2 bye"]}) as server, Probe() as probe:
        probe.deliver(hop(server), ["a@x.test"])
        probe.deliver(hop(server), ["a@x.test"])
        t.is_(len(server.connections), 2, "421 ends a connection")
    with Server() as server, Probe("smtp_connection_cache_on_demand=no") as probe:
        probe.deliver(hop(server), ["a@x.test"])
        probe.deliver(hop(server), ["a@x.test"])
        t.is_(len(server.connections), 2, "smtp_connection_cache_on_demand = no")
    with Server() as server, Probe("smtp_connection_reuse_count_limit=1") as probe:
        for _ in range(4):
            probe.deliver(hop(server), ["a@x.test"])
        t.is_(len(server.connections), 2, "smtp_connection_reuse_count_limit")
    with Server(extensions=ALL) as server, Probe() as probe:
        begin = time.monotonic()
        numbers = [probe.start(hop(server), [f"r{i}@x.test"]) for i in range(100)]
        actions = {probe.wait(number)[0][0]["action"] for number in numbers}
        t.is_(actions, {RELAYED_DSN}, f"100 deliveries at once ({time.monotonic() - begin:.2f} s)")
        t.is_(len(server.messages), 100, "each arrives once")


# ---- LMTP

def lmtp():
    with Server({"RCPT d@x.test": "550 5.1.1 no"}, ALL, lmtp=True) as server, Probe(lmtp=True) as probe:
        server.script["DOT"] = ["250 2.0.0 one", "452 4.2.2 full", "550 5.7.1 three"]
        outcomes, _ = probe.deliver(f"inet:127.0.0.1:{server.port}", ["a@x.test", "b@x.test", "d@x.test", "c@x.test"])
        t.is_([(x["action"], x["status"]) for x in outcomes],
              [(RELAYED_DSN, "2.0.0"), (DEFERRED, "4.2.2"), (FAILED, "5.1.1"), (FAILED, "5.7.1")], "LMTP: a reply for each")
        t.is_(server.commands[0], "LHLO probe.example", "LHLO")
        t.is_(len(server.messages), 1, "one message")
    with Server({"LHLO": "500 no LMTP here"}, lmtp=True) as server, Probe(lmtp=True) as probe:
        outcomes, _ = probe.deliver(f"inet:127.0.0.1:{server.port}", ["a@x.test"])
        check("LHLO refused", outcomes[0], FAILED, "5.0.0", "refused to talk to me: 500")
    with Server(lmtp=True) as server, Probe(lmtp=True) as probe:
        server.script["DOT"] = ["250 2.0.0 one", DROP]
        outcomes, _ = probe.deliver(f"inet:127.0.0.1:{server.port}", ["a@x.test", "b@x.test"])
        t.is_([x["action"] for x in outcomes], [RELAYED, DEFERRED], "LMTP: lost between two replies")


    path = str(TOP / "lmtp")
    with Server(lmtp=True, address=path) as server, Probe(lmtp=True) as probe:
        outcomes, _ = probe.deliver(f"unix:{path}", ["a@x.test"])
        check("LMTP over a UNIX socket", outcomes[0], RELAYED, "2.0.0", "^250")
        t.is_(outcomes[0]["relay"], f"probe.example[{path}]", "relay has the path")


def ipv6():
    try:
        server = Server(address="::1")
    except OSError:
        print("# no IPv6 here", flush=True)
        return
    with server, Probe("inet_protocols=all") as probe:
        outcomes, _ = probe.deliver(f"[IPv6:::1]:{server.port}", ["a@x.test"])
        check("IPv6", outcomes[0], RELAYED, "2.0.0", "^250")
        t.is_(outcomes[0]["relay"], f"::1[::1]:{server.port}", "relay")


# ---- the daemon itself, in its sandbox

def daemon():
    echo = t.BUILD / "t" / "e2e" / "echo_service"
    if not echo.exists() or not all(t.program(name) for name in ("tern", "master", "log", "smtp")):
        print("# tern, master, log, smtp or echo_service is not built: the daemon is not tried", flush=True)
        return
    stand_ins = {name: echo for name in ("smtpd", "cleanup", "qmgr", "local", "bounce", "pickup", "lookup")}
    with t.Instance(daemons=stand_ins, settings=["inet_interfaces=127.0.0.1"]) as tern:
        tern.start()
        with Server(extensions=ALL) as server, Probe(socket=tern.spool / "private" / "smtp") as probe:
            outcomes, dead = probe.deliver(hop(server), ["a@x.test"])
            check("the daemon delivers", outcomes[0], RELAYED_DSN, "2.0.0", "^250")
            numbers = [probe.start(hop(server), [f"r{i}@x.test"]) for i in range(50)]
            t.is_({probe.wait(x)[0][0]["action"] for x in numbers}, {RELAYED_DSN}, "many at once")
            t.is_(len(tern.pids() and [x for x, _ in tern.pids() if x == "smtp"]), 1, "one process does")
            outcomes, dead = probe.deliver("[127.0.0.1]:25", ["a@x.test"])
            check("its own address is a loop", outcomes[0], FAILED, "5.4.6", "loops back to myself")
            big = bytes(range(256)) * 8000
            outcomes, _ = probe.deliver(hop(server), ["a@x.test"], body=2, content=big)
            t.ok(server.messages[-1] == big, "raw content by sendfile")
            t.ok(tern.wait_log("postfix/smtp["), "it logs as postfix/smtp")
            t.ok(re.search(r"postfix/smtp\[\d+\]: 4probe: to=<a@x\.test>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:\d+, .*status=sent", tern.log())
                 is not None, "with the delivery line")
        with Server(extensions=ALL, lmtp=True) as server, Probe(socket=tern.spool / "private" / "lmtp") as probe:
            outcomes, _ = probe.deliver(f"inet:127.0.0.1:{server.port}", ["a@x.test", "b@x.test"])
            t.is_([x["action"] for x in outcomes], [RELAYED_DSN] * 2, "the service lmtp speaks LMTP")
            t.ok(server.commands[0].startswith("LHLO "), "by LHLO", server.commands)


# ---- from smtpd to the next server

def whole():
    daemons = ("tern", "master", "log", "smtp", "smtpd", "cleanup", "qmgr", "lookup", "bounce", "local", "pickup")
    if not all(t.program(name) for name in daemons):
        print("# not all daemons are built: the whole way is not tried", flush=True)
        return
    with Server({"RCPT no@else.test": "550 5.1.1 unknown"}, ALL) as server, \
            t.Instance(settings=[f"relayhost=[127.0.0.1]:{server.port}", "inet_interfaces=127.0.0.1"]) as tern:
        tern.start()
        with smtplib.SMTP("127.0.0.1", tern.smtp_port, timeout=20) as client:
            client.sendmail("s@sender.test", ["a@else.test", "b@else.test"], b"Subject: whole\r\n\r\n.dots\r\n..\r\nend\r\n")
            t.ok(t.wait_for(lambda: server.messages), "a message goes through")
            t.ok(server.messages and server.messages[0].endswith(b"\r\n\r\n..dots\r\n...\r\nend\r\n"), "with its dots",
                 server.messages)
            t.ok(tern.wait_log("status=sent (250 2.0.0 Ok: queued as 1-0)", count=2), "both recipients are logged")
            t.ok(tern.wait_log(": removed"), "and the message leaves the queue")
            client.sendmail("s@sender.test", ["no@else.test"], b"Subject: bounce\r\n\r\nx\r\n")
            t.ok(tern.wait_log("status=bounced (host 127.0.0.1[127.0.0.1] said: 550 5.1.1 unknown (in reply to RCPT TO command))"),
                 "a refused recipient bounces")
            t.ok(t.wait_for(lambda: len(server.messages) == 2), "and the notice goes out by the same way")
            t.ok(len(server.messages) == 2 and b"diagnostic-code: smtp; 550 5.1.1 unknown" in server.messages[1].lower(),
                 "with the diagnostic", server.messages[1:])


for part in (whole, daemon, plain, many_recipients, refusals, losses, needs, several_hosts, reuse, lmtp, ipv6):
    print(f"# {part.__name__}", flush=True)
    part()
t.done()
