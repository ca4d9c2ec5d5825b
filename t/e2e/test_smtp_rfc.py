#!/usr/bin/env python3
"""Corners of SMTP's RFCs: what a client may say to smtpd in an order, length or form of its own, and what a server may
answer to smtp. Dialogues over a socket, each a check. TAP."""

import base64
import random
import re
import socket
import ssl

import tern_test as t
from smtp_peers import DEFERRED, FAILED, RELAYED, Probe, Server, hop

t.need("tern", "master", "smtpd", "qmgr", "cleanup", "lookup", "local", "auth", "keys")

HELLO, MAIL, RCPT = "EHLO client.example", "MAIL FROM:<a@remote.example>", "RCPT TO:<anna@example.test>"
BEGIN = [(HELLO, "250"), (MAIL, "250"), (RCPT, "250")]
LMTP_BEGIN = [("LHLO client.example", "250"), (MAIL, "250"), (RCPT, "250")]
CLOSED = "(closed)"


class Client:
    """say() sends octets as they are, or a text and CR LF; replies are whole, the last line counts."""

    def __init__(self, port, source="127.0.0.1"):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def begin_tls(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.file.close()
        self.socket = context.wrap_socket(self.socket)
        self.file = self.socket.makefile("rb")

    def reply(self):
        lines = []
        while True:
            try:
                line = self.file.readline()
            except ConnectionResetError:
                line = b""
            except OSError as error: # a reply that does not come
                return f"({error})"
            if not line:
                return CLOSED
            lines.append(line.decode("utf-8", "replace").rstrip("\r\n"))
            if lines[-1][3:4] != "-":
                return "\n".join(lines)

    def say(self, what, replies=1):
        try:
            self.socket.sendall(what if isinstance(what, bytes) else what.encode() + b"\r\n")
        except OSError:
            pass  # closed already: the reply says so
        return [self.reply() for _ in range(replies)]

    def close(self):
        self.file.close()
        self.socket.close()


def chunk(octets, last=False, size=None):
    return b"BDAT %d%s\r\n" % (len(octets) if size is None else size, b" LAST" if last else b"") + octets


def talk(name, port, steps, tls=False, source="127.0.0.1"):
    """steps: what is said, and how its reply begins; a list where there are several replies. None is the end."""
    client = Client(port, source)
    said, wrong = [], None
    if not tls:
        steps = [(None, "220"), *steps]
    else:
        client.reply()
        client.say(HELLO)
        client.say("STARTTLS")
        client.begin_tls()
    for what, wanted in steps:
        several = wanted if isinstance(wanted, list) else [wanted]
        got = [client.reply()] if what is None else client.say(what, len(several))
        said.append(f"{what!r:.100} -> {got}")
        if not all(g.rsplit("\n", 1)[-1].startswith(w) for g, w in zip(got, several)):
            wrong = f"wanted {wanted}"
            break
    client.close()
    return t.ok(wrong is None, name, "\n".join([*said, wrong or ""]))


# ---- smtpd: chunks (RFC 3030)

def chunks(port, limited):
    talk("BDAT before MAIL, then a message all the same", port,
         [(HELLO, "250"), (chunk(b"x\r\n", True), "503"), (MAIL, "250"), (RCPT, "250"), (chunk(b"x\r\n", True), "250 2.0.0 Ok: queued")])
    talk("after a chunk without recipients DATA is out of order", port,
         [(HELLO, "250"), (MAIL, "250"), (chunk(b"x\r\n"), "503"), (RCPT, "250"), ("DATA", "503 5.5.1 Error: a chunk was refused"),
          ("RSET", "250"), (MAIL, "250"), (RCPT, "250"), ("DATA", "354")])
    talk("after a chunk for recipients that were all refused, too", port,
         [(HELLO, "250"), (MAIL, "250"), ("RCPT TO:<nobody@example.test>", "550"), (chunk(b"x\r\n", True), "554 5.5.1"), (RCPT, "250"),
          ("DATA", "503"), (chunk(b"y", True), "503")])
    talk("chunks of nothing", port, [*BEGIN, (chunk(b""), "250"), (chunk(b""), "250"), (chunk(b"", True), "250 2.0.0 Ok: queued"), (MAIL, "250")])
    talk("RSET between chunks", port, [*BEGIN, (chunk(b"x\r\n"), "250"), ("RSET", "250"), (chunk(b"y\r\n", True), "503 5.5.1 Error: need MAIL")])
    talk("EHLO between chunks", port, [*BEGIN, (chunk(b"x\r\n"), "250"), (HELLO, "250"), (chunk(b"y\r\n", True), "503"), (MAIL, "250")])
    talk("what may come between chunks, and what not", port,
         [*BEGIN, (chunk(b"x\r\n"), "250"), ("NOOP", "250"), ("VRFY anna@example.test", "252"), (RCPT, "503"), (MAIL, "503"), ("DATA", "503"),
          ("AUTH PLAIN", "503"), (chunk(b"", True), "250")])
    for size in ("-1", "+1", "0x1", "1.", "18446744073709551616", "9" * 30, "1 LATE", "1 LAST LAST", "1LAST"):
        talk(f"a size that is none ends the session: {size}", port, [*BEGIN, (f"BDAT {size}", "501 5.5.4"), (None, CLOSED)])
    for size in (2 ** 63, 2 ** 64 - 1):
        talk(f"a size that can never be: {size}", port, [*BEGIN, (f"BDAT {size} LAST", "552 5.3.4"), (None, CLOSED)])
    talk("chunks are refused as soon as they are too many, and the last one ends the message", limited,
         [*BEGIN, (chunk(b"x" * 1500), "250"), (chunk(b"x" * 1500), "552 5.3.4"), (chunk(b"x"), "552 5.3.4"), (chunk(b"", True), "552 5.3.4"),
          (MAIL, "250")])
    talk("a whole message pipelined, chunks and the next one's begin", port,
         [(HELLO, "250"), (b"MAIL FROM:<>\r\n" + RCPT.encode() + b"\r\n" + chunk(b"Subject: a\r\n") + chunk(b"\r\nx\r\n", True) +
                           b"MAIL FROM:<>\r\nRCPT TO:<nobody@example.test>\r\n" + chunk(b"QUIT\r\n", True) + b"RSET\r\nQUIT\r\n",
                           ["250", "250", "250", "250 2.0.0 Ok: queued", "250", "550", "554", "250", "221"])])


def discarded(port):
    talk("without CHUNKING there is no BDAT, and its octets are no commands", port,
         [*BEGIN, (chunk(b"RSET\r\nNOOP\r\n", True), "521 5.5.1"), (None, CLOSED)])
    talk("nor BINARYMIME; and without 8BITMIME no SMTPUTF8", port,
         [(HELLO, "250"), ("MAIL FROM:<> BODY=BINARYMIME", "555"), ("MAIL FROM:<> SMTPUTF8", "555"), ("MAIL FROM:<> BODY=8BITMIME", "555"), ("MAIL FROM:<>", "250")])


# ---- smtpd as LMTP server (RFC 2033)

def lmtp(port, limited):
    talk("LMTP: DATA without a valid recipient is 503", port,
         [("LHLO x", "250"), (MAIL, "250"), ("RCPT TO:<nobody@example.test>", "550"), ("DATA", "503 5.5.1"), ("RSET", "250")])
    talk("LMTP: the last chunk has no reply where there is no recipient", port,
         [("LHLO x", "250"), (MAIL, "250"), ("RCPT TO:<nobody@example.test>", "550"), (chunk(b"x\r\n"), "554"),
          (chunk(b"x\r\n", True) + b"NOOP\r\n", ["250 2.0.0 Ok"]), (chunk(b"x\r\n", True) + b"HELP MAIL\r\n", ["214"])])
    talk("LMTP: nor where there is no message", port, [("LHLO x", "250"), (chunk(b"x\r\n", True) + b"NOOP\r\n", ["250 2.0.0 Ok"])])
    talk("LMTP: a refused last chunk has one for each recipient", port,
         [("LHLO x", "250"), (MAIL, "250"), (chunk(b"x\r\n"), "503"), (RCPT, "250"), (RCPT, "250"), ("RCPT TO:<berta@example.test>", "250"),
          (chunk(b"x\r\n", True) + b"NOOP\r\n", ["503 5.5.1 <anna@", "503 5.5.1 <anna@", "503 5.5.1 <berta@", "250 2.0.0 Ok"])])
    talk("LMTP: the same recipient twice has two replies", port,
         [*LMTP_BEGIN, (RCPT, "250"), (chunk(b"Subject: twice\r\n"), "250"),
          (chunk(b"\r\nx\r\n", True) + b"NOOP\r\n", ["250 2.0.0 <anna@", "250 2.0.0 <anna@", "250 2.0.0 Ok"])])
    talk("LMTP: unknown recipients do not end the session", limited,
         [*LMTP_BEGIN, *[("RCPT TO:<nobody@example.test>", "550")] * 40, (RCPT, "250"), ("DATA", "354"), (b".\r\n", ["250"] * 2), ("NOOP", "250")])
    talk("LMTP: refusals of one message are one error, and none is waited for", limited,
         [*LMTP_BEGIN, *[(RCPT, "250")] * 39, ("DATA", "354"), (b"x" * 3000 + b"\r\n.\r\n", ["552 5.3.4 <anna@"] * 40), ("NOOP", "250"), (MAIL, "250")])


# ---- smtpd: order, greetings, sizes, addresses (RFC 5321, 1870, 3461)

def greetings(port, refusing):
    talk("a refused EHLO changes nothing", refusing,
         [(HELLO, "250"), (MAIL, "250"), ("EHLO bad_-.", "501"), (RCPT, "250"), ("EHLO bad_-.", "501"), ("DATA", "354"),
          (b"Subject: kept\r\n\r\nx\r\n.\r\n", "250"), ("MAIL FROM:<> SIZE=1", "250")])
    talk("nor does a first one greet", refusing, [("EHLO bad_-.", "501"), ("AUTH PLAIN", "503 5.5.1 Error: send EHLO"), ("HELO bad_-.", "501"), (HELLO, "250")])
    talk("nor does one without a name", port, [*BEGIN, ("EHLO", "501 5.5.4"), ("HELO ", "501 5.5.4"), ("DATA", "354")])
    talk("EHLO in a message forgets it", port, [*BEGIN, (HELLO, "250"), (RCPT, "503"), ("DATA", "503"), (MAIL, "250")])
    talk("after HELO there are no parameters", port, [("HELO x", "250"), ("MAIL FROM:<> SIZE=1", "555"), (MAIL, "250"), (RCPT + " NOTIFY=NEVER", "555"), (RCPT, "250")])
    talk("what may come before EHLO", port, [("NOOP", "250"), ("RSET", "250"), ("HELP", "214"), ("VRFY anna@example.test", "252"), ("EXPN x", "502"), ("QUIT", "221")])
    talk("a message ends at its dot", port, [*BEGIN, ("DATA", "354"), (b".\r\n", "250"), (RCPT, "503"), ("DATA", "503"), (MAIL, "250")])
    talk("content behind a DATA that is refused is not read as commands", port,
         [(HELLO, "250"), (b"MAIL FROM:<a@remote.example>\r\nRCPT TO:<nobody@example.test>\r\nDATA\r\nRSET\r\nMAIL FROM:<smuggled@bad.example>\r\n" +
                           RCPT.encode() + b"\r\n", ["250", "550", "554 5.5.0 Error: SMTP protocol synchronization", CLOSED])])
    talk("nor behind one without a message", port, [(HELLO, "250"), (b"DATA\r\nNOOP\r\n", ["554 5.5.0", CLOSED])])
    talk("lines of 2048 octets, and longer ones", port,
         [(HELLO, "250"), ("NOOP " + "x" * 2041, "250"), ("NOOP " + "x" * 2042, "500 5.5.2 Error: line too long"), ("NOOP " + "x" * 9000, "500"), ("NOOP", "250")])


def parameters(port):
    def mail(rest, wanted):
        return [("MAIL FROM:<a@remote.example>" + rest, wanted), ("RSET", "250")]

    steps = [(HELLO, "250")]
    for size, wanted in (("0", "250"), ("10240000", "250"), ("10240001", "552"), ("18446744073709551615", "552"), ("18446744073709551616", "552 5.3.4"),
                         ("9" * 20, "552 5.3.4"), ("0" * 19 + "5", "250"), ("9" * 21, "501"), ("-1", "501"), ("", "501"), ("1 SIZE=1", "501")):
        steps += mail(f" SIZE={size}", wanted)
    talk("SIZE has up to 20 digits", port, steps)
    steps = [(HELLO, "250")]
    for envid, wanted in (("x" * 100, "250"), ("x" * 101, "501"), ("a+2Bb", "250"), ("a+00", "501"), ("a+2", "501"), ("a=b", "501"), ("", "501")):
        steps += mail(f" ENVID={envid}", wanted)
    for ret, wanted in (("FULL", "250"), ("hdrs", "250"), ("BODY", "501"), ("FULL RET=FULL", "501")):
        steps += mail(f" RET={ret}", wanted)
    talk("ENVID and RET", port, steps)
    steps = [(HELLO, "250"), (MAIL, "250")]
    for rest, wanted in (("NOTIFY=NEVER", "250"), ("NOTIFY=success,Delay,FAILURE", "250"), ("NOTIFY=NEVER,DELAY", "501"), ("NOTIFY=SUCCESS,", "501"), ("NOTIFY", "501"),
                         ("ORCPT=rfc822;a+2B@b", "250"), ("ORCPT=rfc822;" + "a" * 493, "250"), ("ORCPT=rfc822;" + "a" * 494, "501"), ("ORCPT=rfc822", "501"),
                         ("ORCPT=;a", "501"), ("ORCPT=rfc822;a+0Ab", "501"), ("ORCPT=x400;a+20b", "250"), ("ORCPT=utf-8;a\\x{E4}b@x.test", "250"),
                         ("ORCPT=utf-8;aäb@x.test", "501"), ("SIZE=1", "555"), ("NOTIFY=NEVER NOTIFY=NEVER", "501")):
        steps.append((f"{RCPT} {rest}", wanted))
    talk("NOTIFY and ORCPT", port, steps)


def addresses(port):
    steps = [(HELLO, "250"), (MAIL, "250")]
    for path, wanted in (("<@one.example,@two.example:anna@example.test>", "250"), ('<"anna"@example.test>', "250"), ('<"an\\na"@example.test>', "250"),
                         ("<anna@EXAMPLE.Test>", "250"), ("<Postmaster>", "250"), ("<postmaster@[127.0.0.1]>", "250"), ("<anna@[IPv6:zz]>", "501"),
                         ("<anna@[300.1.1.1]>", "501"), ("<anna@example.test", "501"), ("<anna@example.test>x", "501"), ("<<anna@example.test>>", "501"),
                         ("<anna @example.test>", "501"), ('<""@example.test>', "501"), ("<@example.test>", "501"), ("<anna@>", "501"), ("<>", "501"), ("", "501"),
                         ("<anna@example..test>", "501"), ("<" + "a" * 64 + "@example.test>", "550 5.1.1"), ("<" + "a" * 1000 + "@example.test>", "501")):
        steps.append(("RCPT TO:" + path, wanted))
    talk("paths of all kinds", port, steps)
    steps = [(HELLO, "250"), (MAIL, "250")]
    for path in ("user@elsewhere.example", "user%elsewhere.example@example.test", '"user@elsewhere.example"@example.test', "elsewhere.example!user@example.test",
                 "@example.test:user@elsewhere.example", "user%elsewhere.example", "postmaster%elsewhere.example@[127.0.0.1]", "user@[192.0.2.1]"):
        steps.append((f"RCPT TO:<{path}>", "454 4.7.1"))
    talk("a stranger relays by no spelling", port, steps, source="127.0.0.2")


def utf8(port):
    talk("UTF-8 in a reply is for who asked for it", port,
         [(HELLO, "250"), ("MAIL FROM:<jörg@remote.example>", "550 5.6.7 non-ASCII address needs SMTPUTF8: <j??rg@remote.example>"),
          ("MAIL FROM:<jörg@remote.example> SMTPUTF8", "250"), ("RCPT TO:<nöbody@example.test>", "550 5.1.1 <nöbody@example.test>"), ("RSET", "250"),
          (MAIL, "250"), ("RCPT TO:<nöbody@example.test>", "553 5.6.7 non-ASCII address needs SMTPUTF8: <n??body@example.test>")])
    talk("VRFY too", port,
         [(HELLO, "250"), ("VRFY jörg@away.example SMTPUTF8", "252 2.0.0 jörg@away.example"), ("VRFY jörg@away.example", "252 2.6.8"),
          ("VRFY nöbody@example.test", "550 5.1.1 <n??body@example.test>"), ("VRFY nöbody@example.test SMTPUTF8", "550 5.1.1 <nöbody@example.test>")])
    talk("a message from an EHLO in UTF-8", port, [("EHLO klänt.example", "250"), (MAIL, "250"), (RCPT, "250"), ("DATA", "354"), (b"Subject: umlaut\r\n\r\nx\r\n.\r\n", "250")])


# ---- smtpd: AUTH (RFC 4954)

def logins(port):
    def coded(text):
        return base64.b64encode(text.encode()).decode()

    secret = coded("\0anna@example.test\0secret")
    talk("AUTH in a message, twice, and after HELO", port,
         [("AUTH PLAIN " + secret, "503 5.5.1 Error: send EHLO"), ("HELO x", "250"), ("AUTH PLAIN " + secret, "503 5.5.1 Error: send EHLO"), (HELLO, "250"), (MAIL, "250"),
          ("AUTH PLAIN " + secret, "503 5.5.1 Error: MAIL"), ("RSET", "250"), ("AUTH PLAIN " + secret, "235"), ("AUTH PLAIN " + secret, "503 5.5.1 Error: already"),
          ("MAIL FROM:<anna@example.test> AUTH=<>", "250"), ("RSET", "250"), ("MAIL FROM:<anna@example.test> AUTH=a+2Bb", "250"), ("RSET", "250"),
          ("MAIL FROM:<anna@example.test> AUTH=a+0Ab", "501")], tls=True)
    talk("a tab parts mechanism and response, as it parts other words", port, [(HELLO, "250"), ("AUTH\tPLAIN\t" + secret, "235")], tls=True)
    talk("responses that are none, and one that is taken back", port,
         [(HELLO, "250"), ("AUTH", "501"), ("AUTH PLAIN *", "501 5.5.2"), ("AUTH PLAIN =", "501"), ("AUTH PLAIN a b", "501 5.5.4"), ("AUTH NONE", "504 5.5.4"),
          ("AUTH PLAIN", "334"), ("*", "501 5.7.0"), ("AUTH LOGIN", "334"), (coded("anna@example.test"), "334"), ("*", "501 5.7.0"), ("AUTH PLAIN", "334"),
          ("NOOP", "501"), ("NOOP", "250"), ("AUTH LOGIN " + coded("anna@example.test"), "334"), (coded("secret"), "235")], tls=True)
    talk("responses of any length", port,
         [(HELLO, "250"), ("AUTH PLAIN " + "A" * 12270, "501"), ("AUTH PLAIN " + "A" * 20000, "500"), ("AUTH PLAIN", "334"), ("A" * 20000, "500 5.5.6"), ("NOOP", "250")], tls=True)


# ---- smtpd: bare line ends where they are forgiven

def line_ends(port):
    ends = {"LF . LF": b"x\n.\n", "LF . CR LF": b"x\n.\r\n", "CR LF . LF": b"x\r\n.\n", "CR . CR LF": b"x\r.\r\n", "CR . CR": b"x\r.\r", "CR LF . CR": b"x\r\n.\r",
            "LF . CR": b"x\n.\r", "CR . LF": b"x\r.\n", "CR LF . CR CR LF": b"x\r\n.\r\r\n", "CR LF CR . CR LF": b"x\r\n\r.\r\n", "LF LF . CR LF": b"x\n\n.\r\n",
            "CR LF . NUL CR LF": b"x\r\n.\0\r\n", "CR LF . blank CR LF": b"x\r\n. \r\n", "NEL . NEL": b"x\x85.\x85"}
    for name, octets in ends.items():
        talk(f"{name} does not end the data, forgiven or not", port,
             [*BEGIN, ("DATA", "354"), (b"Subject: end\r\n\r\n" + octets + b"NOOP\r\n.\r\nRSET\r\n", ["250 2.0.0 Ok: queued", "250 2.0.0 Ok"])])


# ---- smtpd: any order at all

def any_order(port, lmtp):
    """Commands by chance, one by one and then in groups (RFC 2920): the same replies."""
    hello = "LHLO x" if lmtp else "EHLO x"
    pool = {hello: 3, MAIL: 8, "MAIL FROM:<bad@@>": 1, "MAIL FROM:<> BODY=BINARYMIME": 1, RCPT: 10, "RCPT TO:<nobody@example.test>": 3, "RCPT TO:<bad@@>": 1, "DATA": 10,
            "RSET": 3, "NOOP": 1, "VRFY anna@example.test": 1, "EXPN x": 1, "HELP": 1, "FOO": 1, "": 1, "BDAT 0": 1, "BDAT 0 LAST": 1, "BDAT 7": 3, "BDAT 12 LAST": 5, "DATA x": 1}
    last_of_group = re.compile("[EL]HLO|DATA|VRFY|EXPN|NOOP")

    def wire(command):
        return command.encode() + b"\r\n" + (b"x" * int(command.split()[1]) if command.startswith("BDAT") else b"")

    def play(commands, grouped):
        client, log, accepted, at = Client(port), [], 0, 0
        client.reply()
        while at < len(commands):
            end = at + 1
            while grouped and end < len(commands) and not last_of_group.match(commands[end - 1]):
                end += 1
            client.say(b"".join(map(wire, commands[at:end])), 0)
            for command in commands[at:end]:
                last = command.endswith("LAST")
                replies = [client.reply() for _ in range(accepted if lmtp and last else 1)]
                log.append((command, [re.sub(r"queued as \w+", "", one) for one in replies]))
                code = replies[-1][:3] if replies else ""
                accepted += command.startswith("RCPT") and code == "250"
                if code == "354":
                    log.append((".", [re.sub(r"queued as \w+", "", one) for one in client.say(b"Subject: x\r\n\r\nx\r\n.\r\n", accepted if lmtp else 1)]))
                if code == "354" or code == "250" and (last or command == "RSET" or command == hello):
                    accepted = 0
            at = end
        client.close()
        return log

    differs = None
    for seed in range(12):
        chance = random.Random(seed)
        commands = [hello, *chance.choices(list(pool), list(pool.values()), k=40)]
        alone, grouped = play(commands, False), play(commands, True)
        if alone != grouped:
            differs = differs or (seed, next((pair for pair in zip(alone, grouped) if pair[0] != pair[1]), "length"))
    t.ok(differs is None, f"commands in any order{', LMTP' if lmtp else ''}: the same replies alone and in groups", differs)


def server():
    with t.Instance(tls=True, settings=["mynetworks=127.0.0.1/32", "smtpd_client_event_limit_exceptions=127.0.0.0/8", "smtpd_junk_command_limit=10000"]) as tern:
        for user in ("anna", "berta"):
            tern.add_user(user)
        patient = ["smtpd_soft_error_limit=1000", "smtpd_hard_error_limit=1000"]
        services = {"smtp": patient, "lmtp": ["smtpd_protocol=lmtp", *patient], "limited": ["message_size_limit=2000", *patient],
                    "limited_lmtp": ["message_size_limit=2000", "smtpd_protocol=lmtp"], "forgiving": ["smtpd_forbid_bare_newline=normalize", *patient],
                    "discarding": ["smtpd_discard_ehlo_keywords=chunking,8bitmime"],
                    "refusing": ["smtpd_delay_reject=no", "smtpd_helo_restrictions=reject_invalid_helo_hostname", *patient]}
        ports = {}
        for number, (name, options) in enumerate(services.items()):
            ports[name] = tern.port_base + 66 + number
            tern.set("\n".join([f"127.0.0.1:{ports[name]} inet n - - - - smtpd", *[f"  -o {option}" for option in options]]), "master.cf")
        tern.start()
        chunks(ports["smtp"], ports["limited"])
        discarded(ports["discarding"])
        lmtp(ports["lmtp"], ports["limited_lmtp"])
        greetings(ports["smtp"], ports["refusing"])
        parameters(ports["smtp"])
        addresses(ports["smtp"])
        utf8(ports["smtp"])
        logins(tern.submission_port)
        line_ends(ports["forgiving"])
        any_order(ports["smtp"], False)
        any_order(ports["lmtp"], True)
        found = t.wait_for(lambda: [one for one in tern.stored("anna") if b"Subject: umlaut" in one])
        t.ok(found and b"from kl??nt.example (" in found[0], "a trace field has no UTF-8 where SMTPUTF8 was not asked for", found)
        found = t.wait_for(lambda: [one for one in tern.stored("anna") if b"Subject: kept" in one])
        t.ok(found and b"from client.example (" in found[0] and b"with ESMTP " in found[0], "and names who greeted, not who was refused", found)


# ---- smtp: what servers answer

def outcome(script, recipients=1, **options):
    with Server(script, ["PIPELINING", "8BITMIME"], **options) as server, Probe(lmtp=options.get("lmtp", False)) as probe:
        outcomes, _ = probe.deliver(f"inet:127.0.0.1:{server.port}" if options.get("lmtp") else hop(server), [f"r{i}@x.test" for i in range(recipients)])
        return outcomes, server


def client():
    for name, reply in (("of 5,000 octets", b"250 2.0.0 " + b"x" * 5000 + b"\r\n"), ("of 300,000", b"250-2.0.0 y\r\n250 2.0.0 " + b"x" * 300000 + b"\r\n"),
                        ("with NUL", b"250 2.0.0 o\0k\r\n"), ("of three digits", b"250\r\n"), ("of another kind of 2xx", b"251 2.0.0 forwarded\r\n"),
                        ("of lines without words", b"250-\r\n250-\r\n250\r\n")):
        outcomes, server = outcome({"DOT": reply})
        t.is_((outcomes[0]["action"], outcomes[0]["status"], len(server.messages)), (RELAYED, "2.0.0", 1), f"a reply {name} to the content is a yes all the same")
    outcomes, _ = outcome({"RCPT": b"550 5.1.1 " + b"x" * 9000 + b"\r\n"})
    t.ok(outcomes[0]["action"] == FAILED and outcomes[0]["status"] == "5.1.1" and len(outcomes[0]["text"]) <= 1000, "a no of 9,000 octets is one", outcomes)
    outcomes, _ = outcome({"RCPT": b"550-" + b"x" * 9000 + b"\r\n550\r\n"})
    t.ok((outcomes[0]["action"], outcomes[0]["status"]) == (FAILED, "5.0.0"), "in any of its lines", outcomes)
    for reply, action, status, name in (("552 too many recipients", RELAYED, "2.0.0", "552 after others is too many"), ("552 5.5.3 enough", RELAYED, "2.0.0", "so is 5.5.3"),
                                        ("552 5.2.2 mailbox full", FAILED, "5.2.2", "a full mailbox is none of that"), ("552 5.3.4 too big", FAILED, "5.3.4", "nor is a size"),
                                        ("452 4.5.3 enough", RELAYED, "2.0.0", "452 is what it should have been"),
                                        ("452 4.2.2 full", DEFERRED, "4.2.2", "which a full mailbox can have, too"), ("550 5.5.3 no", FAILED, "5.5.3", "550 means what it says")):
        outcomes, server = outcome({"RCPT r1@x.test": [reply]}, 3)
        t.is_([(one["action"], one["status"]) for one in outcomes], [(RELAYED, "2.0.0"), (action, status), (RELAYED, "2.0.0")], name)
    for reply in ("452 4.5.3 enough", "552 5.5.3 enough"):
        with Server({"RCPT": [*["250 2.1.5 Ok"] * 2, *[reply] * 3, *["250 2.1.5 Ok"] * 2, reply]}, ["PIPELINING"]) as server, Probe() as probe:
            outcomes, _ = probe.deliver(hop(server), [f"r{i}@x.test" for i in range(5)])
            t.is_([one["action"] for one in outcomes], [RELAYED] * 5, f"{reply}: who was too many for one message goes with the next")
            t.is_((len(server.messages), len(server.connections)), (3, 1), "on the same connection")
    with Server({"RCPT": ["250 2.1.5 Ok", *["452 4.5.3 enough"] * 9]}, ["PIPELINING"]) as server, Probe() as probe:
        outcomes, _ = probe.deliver(hop(server), [f"r{i}@x.test" for i in range(3)])
        t.is_([(one["action"], one["status"]) for one in outcomes], [(RELAYED, "2.0.0"), (DEFERRED, "4.5.3"), (DEFERRED, "4.5.3")],
              "if there is room in that: a first recipient that is too many waits")
    outcomes, _ = outcome({"RCPT": "552 no room"}, 2)
    t.is_([(one["action"], one["status"]) for one in outcomes], [(FAILED, "5.0.0")] * 2, "552 of the first recipient is not of their number")
    with Server({}, ["DSN"]) as server, Probe() as probe:
        for original in ("ö" * 60, "ö" * 120, "+" * 164, "+" * 165):
            probe.deliver(hop(server), [f"a@x.test,1,rfc822;{original}"])
        commands = [command for command in server.commands if command.startswith("RCPT")]
        t.is_([len(command.partition(" ORCPT=")[2]) for command in commands], [len("utf-8;") + 60 * len("\\x{F6}"), 0, len("rfc822;") + 164 * len("+2B"), 0],
              "an ORCPT that gets too long for the next server stays behind")
    outcomes, server = outcome({"RCPT": "550 5.1.1 no", "DATA": "503 5.5.1 no valid recipients"}, 2, lmtp=True)
    t.is_([one["status"] for one in outcomes], ["5.1.1"] * 2, "LMTP: 503 to DATA that was sent ahead")


server()
client()
t.done()
