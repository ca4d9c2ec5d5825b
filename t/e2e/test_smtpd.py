#!/usr/bin/env python3
"""smtpd by its dialogue: every file of dialogues/smtpd, whole and byte by byte, then
what a script of lines cannot say (content, limits by number of sessions, drain).

One instance; each set of options is a service of its own on a port of its own."""

import os
import pathlib
import re
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tern_test as t

DIALOGUES = pathlib.Path(__file__).resolve().parent / "dialogues" / "smtpd"
LONG = "x" * 800
TIMEOUT = 15


class Dialogue:
    def __init__(self, path):
        self.name = path.stem
        self.title = None
        self.options = []
        self.address = "127.0.0.1"
        self.once = False
        self.steps = []
        self.logs = []
        for line in path.read_text().splitlines():
            self.read(line.replace("$LONG", LONG))

    def read(self, line):
        word, _, rest = line.partition(" ")
        if line.startswith("#"):
            self.title = self.title or rest
        elif word == "option:":
            self.options.append(rest)
        elif word == "from:":
            self.address = rest
        elif word == "once:":
            self.once = True
        elif word == "log:":
            self.logs.append(rest)
        elif word in ("C:", "C>", "S:", "S>", "wait:"):
            self.steps.append((word, rest))
        elif line:
            raise ValueError(f"{self.name}: {line}")


def pattern(text):
    return re.compile(".*".join(re.escape(part) for part in text.split("...")))


ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}


def unescape(text):
    """\\r \\n \\t \\0 \\xNN as bytes."""
    out = re.sub(r"\\(x[0-9a-fA-F]{2}|.)", lambda m: chr(int(m[1][1:], 16)) if m[1][0] == "x" and len(m[1]) == 3
                 else ESCAPES[m[1]], text)
    return out.encode("latin-1")


class Client:
    def __init__(self, port, address="127.0.0.1", bytewise=False, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), timeout=TIMEOUT, source_address=(address, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")
        self.bytewise = bytewise

    def send(self, data):
        try:
            if not self.bytewise:
                self.socket.sendall(data)
                return
            for i in range(len(data)):
                self.socket.sendall(data[i:i + 1])
                time.sleep(0.0003)
        except OSError:
            pass  # the server has closed: the next S: line finds out

    def line(self):
        """A line without its end; None at the end of the connection."""
        try:
            line = self.file.readline()
        except ConnectionResetError:
            return None
        return line.decode("utf-8", "replace").rstrip("\r\n") if line else None

    def reply(self):
        """(code, lines) of a whole reply."""
        lines = []
        while True:
            line = self.line()
            if line is None:
                return "", lines
            lines.append(line)
            if line[3:4] != "-":
                return line[:3], lines

    def say(self, command):
        self.send(command.encode() + b"\r\n")
        return self.reply()

    def close(self):
        self.file.close()
        self.socket.close()


def step(client, word, rest):
    """Does one step; None, or what was wrong."""
    if word == "wait:":
        time.sleep(float(rest))
    elif word == "C>":
        client.send(unescape(rest))
    elif word == "C:" and rest == "<close>":
        client.close()
    elif word == "C:":
        client.send(rest.encode() + b"\r\n")
    elif word == "S>":
        code, lines = client.reply()
        return None if code == rest else f"wanted a reply of {rest}, got {lines}"
    elif rest == "<close>":
        line = client.line()
        return None if line is None else f"wanted the connection closed, got: {line}"
    else:
        line = client.line()
        if line is None or not pattern(rest).fullmatch(line):
            return f"wanted: {rest}\n   got: {line}"
    return None


def play(tern, dialogue, port, bytewise):
    before = {text: len(pattern(text).findall(tern.log())) for text in dialogue.logs}
    client = Client(port, dialogue.address, bytewise)
    wrong = None
    for number, (word, rest) in enumerate(dialogue.steps, 1):
        wrong = step(client, word, rest)
        if wrong:
            wrong = f"step {number} ({word} {rest[:100]})\n{wrong}"
            break
    client.close()
    for text in dialogue.logs if not wrong else []:
        if not t.wait_for(lambda: len(pattern(text).findall(tern.log())) > before[text], 5):
            # a warning at the start of the process is there once
            if before[text] == 0 or not text.startswith(("neither", "tern does")):
                wrong = f"no such log line: {text}"
    mode = " (byte by byte)" if bytewise else ""
    t.ok(wrong is None, f"{dialogue.name}: {dialogue.title}{mode}", wrong or "")


def add_service(tern, port, options, processes):
    lines = [f"127.0.0.1:{port} inet n - - - {processes} smtpd"] + [f"  -o {option}" for option in options]
    tern.set("\n".join(lines), "master.cf")


class Ports:
    """A port for each set of options."""

    def __init__(self, tern):
        self.tern = tern
        self.ports = {}
        self.next = tern.port_base + 66  # ... to 109 and from 145 to 186 no other instance has any (free_port_base)

    def of(self, *options, processes="-"):
        key = options, processes
        if key not in self.ports:
            while t.accepts(self.next) or 110 <= self.next - self.tern.port_base < 145:
                self.next += 1
            self.ports[key] = self.next
            add_service(self.tern, self.next, options, processes)
            self.next += 1
        return self.ports[key]


def send_message(port, content, recipient="anna@example.test", bytewise=False, chunk=0, body="", pieces=0):
    """The final reply."""
    client = Client(port)
    client.reply()
    client.say("EHLO client.example")
    client.say(f"MAIL FROM:<a@remote.example>{body}")
    client.say(f"RCPT TO:<{recipient}>")
    if chunk:
        for at in range(0, len(content), chunk):
            piece = content[at:at + chunk]
            last = " LAST" if at + chunk >= len(content) else ""
            client.send(f"BDAT {len(piece)}{last}\r\n".encode() + piece)
            reply = client.reply()
    else:
        client.say("DATA")
        client.bytewise = bytewise
        data = re.sub(rb"(?m)^\.", b"..", content) + b".\r\n"
        for at in range(0, len(data), pieces or len(data)):
            client.send(data[at:at + (pieces or len(data))])
        client.bytewise = False
        reply = client.reply()
    client.say("QUIT")
    client.close()
    return reply


def delivered(tern, user, subject, seconds=10):
    """The content of the message with that subject, without what was added before it."""
    def look():
        for path in tern.mailbox(user):
            data = path.read_bytes()
            if b"Subject: " + subject in data:
                return data
        return None
    return t.wait_for(look, seconds)


def content_tests(tern, port, normal):
    lines = b"".join(b"line %d .\r\n" % i for i in range(3000))
    body = lines + b".\r\n..\r\n.a\r\n" + b"y" * 200000 + b"\r\n\r\nend\r\n"
    for name, options in (("at once", {}), ("in pieces of 7", {"pieces": 7}), ("BDAT in one", {"chunk": 10 ** 7}),
                          ("BDAT in chunks of 999", {"chunk": 999})):
        subject = name.replace(" ", "-").encode()
        code, _ = send_message(port, b"Subject: " + subject + b"\r\nBcc: hidden@x\r\n\r\n" + body, **options)
        t.is_(code, "250", f"content {name}: accepted")
        data = delivered(tern, "anna", subject)
        wanted = body.replace(b"\r\n", b"\n")
        good = data is not None and data.endswith(b"\n\n" + wanted) and b"hidden@x" not in data
        t.ok(good, f"content {name}: delivered as it was")
    if not normal:
        return
    data = delivered(tern, "anna", b"at-once") or b""
    head = data.split(b"\n\n")[0]
    trace = (rb"Received: from client\.example \(unknown \[127\.0\.0\.1\]\)\s+by mail\.example\.test\s+\(tern\)\s+"
             rb"with ESMTP id \w+\s+for <anna@example\.test>;\n\t\w{3}, [ \d]\d \w{3} \d{4} [\d:]{8} [+-]\d{4}\n")
    t.ok(re.search(trace, head), "the Received: field", head.decode())
    complete = all(field in head for field in (b"\nMessage-ID: <", b"\nDate: ", b"\nFrom: a@remote.example"))
    t.ok(complete, "missing fields are added for our own clients", head.decode())
    code, _ = send_message(port, b"no header at all\r\nsecond\r\n")
    t.is_(code, "250", "a message without a header")
    code, _ = send_message(port, b"Subject: eight\r\n\r\n\xc3\xa4\r\n")
    t.is_(code, "250", "8-bit content")
    code, _ = send_message(port, b"Subject: raw\r\n\r\na\nb\rc\0d", chunk=5, body=" BODY=BINARYMIME")
    t.is_(code, "250", "BINARYMIME content with bare line ends and NUL")


def concurrency_test(tern, port):
    clients = [Client(port, "127.0.0.9") for _ in range(3)]
    codes = [client.reply()[0] for client in clients]
    t.is_(codes, ["220", "220", "421"], "smtpd_client_connection_count_limit")
    t.ok(tern.wait_log("warning: Connection concurrency limit exceeded: 3 from unknown[127.0.0.9] for service"),
         "and its log line")
    clients[0].say("QUIT")
    clients[0].close()
    clients[2].close()
    ok = t.wait_for(lambda: Client(port, "127.0.0.9").reply()[0] == "220", 5)
    t.ok(ok, "a place is free again when a session ends")
    clients[1].close()


def rate_test(tern, port):
    codes = []
    for _ in range(4):
        client = Client(port, "127.0.0.10")
        codes.append(client.reply()[0])
        client.close()
    t.is_(codes, ["220", "220", "421", "421"], "smtpd_client_connection_rate_limit")


def stress_test(tern, port):
    """Ten places: from the sixth session on there is stress."""
    clients = [Client(port) for _ in range(9)]
    for client in clients:
        client.reply()
    code, lines = clients[0].say("FOO")
    more = clients[0].line()
    ended = code == "500" and more and more.startswith("421 4.7.0")
    t.ok(ended, "under stress the first error ends a session", f"{lines} {more}")
    codes = [clients[2].say(command)[0] for command in ("EHLO client.example", "NOOP", "NOOP")]
    more = clients[2].line()
    t.ok(codes == ["250"] * 3 and more and more.startswith("421 4.7.0"), "under stress a greeting and a NOOP are free, no more", f"{codes} {more}")
    start = time.monotonic()
    late = clients[1].say("NOOP")
    while clients[1].line() is not None:
        pass
    t.ok(time.monotonic() - start < 6, "under stress the timeout is short", late)
    for client in clients:
        client.close()


def busy_test(port, more_processes):
    """Fifty places of one process, of which one is kept to say that there is none."""
    clients = [Client(port) for _ in range(50)]
    codes = [client.reply() for client in clients]
    greeted = [code for code, _ in codes].count("220")
    t.is_((greeted, codes[-1][1]), (49, ["421 4.3.2 All server ports are busy"]), "a full server says so")
    for client in clients:
        client.close()
    clients = [Client(more_processes) for _ in range(120)]
    greeted = [client.reply()[0] for client in clients].count("220")
    t.is_(greeted, 120, "one that may have more processes has them")
    for client in clients:
        client.close()


def idle_test(tern, port):
    clients = [Client(port) for _ in range(300)]
    good = sum(client.reply()[0] == "220" for client in clients)
    time.sleep(3)
    still = sum(client.say("NOOP")[0] == "250" for client in clients)
    t.is_((good, still), (300, 300), "300 sessions of one process at a time")
    for client in clients:
        client.close()


def pipelined_recipients_test(tern, port):
    """Recipients that come all at once are foreseen (RFC 2920): each gets the answer that it would get by itself."""
    def commands(tag):
        yield "MAIL FROM:<a@remote.example>"
        for number in range(260):
            yield {7: "rcpt to: <anna@example.test>", 13: f"RCPT TO:<nobody{tag}{number}@example.test>",
                   21: f"RCPT TO:<bad {tag}>", 23: "RCPT TO:<postmaster>",
                   27: f'RCPT TO:<"{tag} {number}"@elsewhere.example>'}.get(
                       number % 40, f"RCPT TO:<{tag}{number}@elsewhere.example> NOTIFY=NEVER")
        yield "RSET"

    def bare(text, tag):
        return str(text).replace(tag, "TAG")

    answers = {}
    for tag, at_once in (("slow", False), ("quick", True)):
        client = Client(port)
        client.reply()
        client.say("EHLO client.example")
        lines = list(commands(tag))
        if at_once:
            client.send("".join(line + "\r\n" for line in lines).encode())
            answers[tag] = [client.reply() for _ in lines]
        else:
            answers[tag] = [client.say(line) for line in lines]
        answers[tag] = [(code, bare(text, tag)) for code, text in answers[tag]]
        client.say("QUIT")
        client.close()
    t.is_(answers["quick"], answers["slow"], "260 recipients at once and one by one: the same answers")
    t.ok({"250", "501", "550"} <= {code for code, _ in answers["slow"]}, "of all kinds", {code for code, _ in answers["slow"]})


def elsewhere_test(tern, port):
    """REDIRECT and BCC of access tables: who gets the message."""
    def send(sender, recipients):
        client = Client(port)
        client.reply()
        client.say("EHLO client.example")
        client.say(f"MAIL FROM:<{sender}>")
        codes = [client.say(f"RCPT TO:<{recipient}>")[0] for recipient in recipients]
        client.say("DATA")
        client.send(f"Subject: {sender.split('@')[0]}\r\n\r\nx\r\n.\r\n".encode())
        code = client.reply()[0]
        client.say("QUIT")
        client.close()
        return codes, code

    t.is_(send("redirected@where.example", ["anna@example.test", "postmaster@example.test"]), (["250", "250"], "250"), "REDIRECT: accepted")
    t.ok(delivered(tern, "berta", b"redirected"), "and there", tern.log()[-2000:])
    t.is_(send("copied@where.example", ["anna@example.test", "anna@example.test"]), (["250", "250"], "250"), "BCC: accepted")
    t.ok(delivered(tern, "anna", b"copied") and delivered(tern, "berta", b"copied"), "and at both places")
    t.is_(sum(b"Subject: copied" in path.read_bytes() for path in tern.mailbox("berta")), 1, "once, however often the table says so")
    t.ok(not any(b"Subject: redirected" in path.read_bytes() for user in ("anna", "postmaster") for path in tern.mailbox(user)),
         "REDIRECT: nowhere else")
    t.is_(send("nowhere@where.example", ["anna@example.test"])[0], ["451"], "a REDIRECT without an address is a mistake of ours")
    t.ok(tern.wait_log("NOQUEUE: redirect: RCPT from unknown[127.0.0.1]: <redirected@where.example>: Sender address triggers REDIRECT "
                       "berta@example.test; from=<redirected@where.example> to=<anna@example.test> proto=ESMTP helo=<client.example>") and
         tern.wait_log("<copied@where.example>: Sender address triggers BCC berta@example.test;"), "the log has both")


def reload_test(tern, port):
    client = Client(port)
    client.reply()
    client.say("EHLO client.example")
    tern.run("reload", check=True)
    t.ok(t.wait_for(lambda: t.accepts(port), 10), "after a reload the port is served")
    time.sleep(1)
    t.is_(client.say("MAIL FROM:<a@remote.example>")[0], "250", "a session goes on through a reload")
    client.say("RCPT TO:<anna@example.test>")
    client.say("DATA")
    client.send(b"Subject: across\r\n\r\nreload\r\n.\r\n")
    t.is_(client.reply()[0], "250", "and brings its message in")
    client.say("QUIT")
    client.close()
    t.ok(delivered(tern, "anna", b"across"), "which is delivered")


def main():
    if not t.program("smtpd") or not t.program("tern"):
        t.skip_all("smtpd or tern is not built")
    wanted = sys.argv[1:]
    dialogues = [Dialogue(path) for path in sorted(DIALOGUES.glob("*.txt")) if not wanted or path.stem in wanted]
    with t.Instance(settings=["smtpd_peername_lookup=no", "mynetworks=127.0.0.1/32", "smtpd_error_sleep_time=0",
                              "alias_maps=inline:{ { postmaster = anna@example.test } }", "recipient_delimiter=+",
                              "transport_maps=inline:{ { anna+gone@example.test = error:5.2.1 mailbox gone },"
                              " { never.example = error:no such place }, { later.example = retry:4.2.1 come back } }",
                              "virtual_alias_maps=inline:{ { alias@later.example = anna@example.test } }",
                              "relocated_maps=inline:{ { moved@example.test = new@else.example } }"]) as tern:
        table = tern.etc / "access"
        table.write_text("bad@access.example  REJECT no bad ones\naccess.example  DEFER\n"
                         "code.example  550 5.9.9 own words\n.code.example  550 5.9.9 own words\n"
                         "<>  REJECT\nhold.example  HOLD look at it\n"
                         "redirected@where.example  REDIRECT berta@example.test\ncopied@where.example  BCC berta@example.test\n"
                         "nowhere@where.example  REDIRECT berta\n")
        # lookup serves only tables that main.cf names
        tern.set(f"smtpd_etrn_restrictions = check_sender_access texthash:{table}")
        tern.set("smtpd_restriction_classes = inline_rules\n"
                 "inline_rules = check_client_access cidr:{{192.0.2.0/24 OK}, {127.0.0.0/8 DUNNO}},\n"
                 "    check_sender_access pcre:{ {if /@access\\.example$$/}, {/^bad(.)/ REJECT no $$1, thank you},\n"
                 "        {endif} }")
        ports = Ports(tern)
        for dialogue in dialogues:
            options = [option.replace("$sender_table", f"texthash:{table}") for option in dialogue.options]
            # master.cf(5): braces hold an option with blanks together
            dialogue.options = ["{ " + option.replace("=", " = ", 1) + " }" if " " in option else option
                                for option in options]
            dialogue.port = ports.of(*dialogue.options) if dialogue.options else tern.smtp_port
        count = ports.of("smtpd_client_connection_count_limit=2")
        rate = ports.of("smtpd_client_connection_rate_limit=2")
        stress = ports.of("service_session_limit=10", "smtpd_stress_timeout=2", "smtpd_stress_threshold_percent=50")
        busy = ports.of("service_session_limit=50", "smtpd_stress_threshold_percent=100", processes=1)
        more = ports.of("service_session_limit=50", "smtpd_stress_threshold_percent=100",
                        "smtpd_client_connection_count_limit=0")
        elsewhere = ports.of(f"{{ smtpd_sender_restrictions = check_sender_access texthash:{table} }}")
        for user in ("anna", "berta", "postmaster"):
            tern.add_user(user)
        tern.start()
        for dialogue in dialogues:
            for bytewise in (False, True) if not dialogue.once else (False,):
                play(tern, dialogue, dialogue.port, bytewise)
        if not wanted:
            content_tests(tern, tern.smtp_port, True)
            concurrency_test(tern, count)
            rate_test(tern, rate)
            stress_test(tern, stress)
            busy_test(busy, more)
            idle_test(tern, tern.smtp_port)
            pipelined_recipients_test(tern, tern.smtp_port)
            elsewhere_test(tern, elsewhere)
            reload_test(tern, tern.smtp_port)
        words = re.compile(r"panic:|fatal:|AddressSanitizer|runtime error|killed by signal")
        bad = [line for line in tern.log().splitlines() if words.search(line)]
        t.is_(bad, [], "no process failed")
    t.done()


if __name__ == "__main__":
    main()
