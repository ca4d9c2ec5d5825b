#!/usr/bin/env python3
"""Mail of every odd kind, over several connections, by DATA and BDAT: delivered to
the octet as it came, but for the trace fields and what the manual says is changed. TAP.

TERN_CORPUS is the number of messages (1500), TERN_CORPUS_SEED the seed."""

import base64
import os
import quopri
import random
import re
import threading
import time

import mail_peers as peers
import tern_test as t

COUNT = int(os.environ.get("TERN_CORPUS", "1500"))
SEED = os.environ.get("TERN_CORPUS_SEED", "tern")
CONNECTIONS = 6
USERS = ["u0", "u1", "u2", "u3", "j\u00fcrgen"]
LINE_LIMIT = 998           # smtp_line_length_limit: the relayed copy has no longer lines
HEADER_SIZE_LIMIT = 102400
NAME_LIMIT = 100
TRACE = [b"Return-Path", b"X-Original-To", b"Delivered-To", b"Received"]
DROPPED = {b"bcc", b"content-length", b"resent-bcc", b"return-path"}

if not t.program("master") or not t.program("local"):
    t.skip_all("tern is not built")


# ---- the messages: functions of a random generator to octets with CR LF

def words(rng, size):
    return b" ".join(b"".join(rng.choices([b"ab", b"e", b"ion", b"st", b"o", b"ur"], k=rng.randint(1, 4))) for _ in range(size))


def lines(rng, count=None):
    return b"".join(words(rng, rng.randint(0, 12)) + b"\r\n" for _ in range(count or rng.randint(1, 30)))


def head(rng, *fields):
    first = [b"From: Ada <ada@client.example>", b"To: You <you@example.test>", b"Subject: " + words(rng, 4),
             b"Message-ID: <%x@client.example>" % rng.getrandbits(80), b"Date: Mon, 2 Mar 2026 10:11:12 +0100"]
    return b"".join(x + b"\r\n" for x in [*first[:rng.randint(1, 5)], *fields])


def high(rng, size):
    return bytes(rng.choice(b"\xe4\xf6\xfc\xdf\xa0\xff\x80aei ") for _ in range(size))


def plain(rng):
    return head(rng) + b"\r\n" + lines(rng)


def charset(rng):
    name, codec = rng.choice([("utf-8", "utf-8"), ("iso-8859-1", "latin-1"), ("koi8-r", "koi8-r"), ("iso-2022-jp", "iso2022_jp"),
                              ("shift_jis", "shift_jis"), ("utf-7", "utf-7"), ("gb18030", "gb18030"), ("windows-1252", "cp1252")])
    text = {"koi8-r": "\u041f\u0440\u0438\u0432\u0435\u0442", "iso2022_jp": "\u65e5\u672c\u8a9e", "shift_jis": "\u65e5\u672c\u8a9e"}.get(codec, "Gr\u00fc\u00dfe")
    body = (text + "\r\n").encode(codec) * rng.randint(1, 50)
    return head(rng, b"MIME-Version: 1.0", b"Content-Type: text/plain; charset=" + name.encode(),
                b"Content-Transfer-Encoding: 8bit") + b"\r\n" + body


def encoded(rng):
    kind = rng.choice([b"base64", b"quoted-printable", b"x-uuencode", b"7bit", b"8bit", b"nonsense"])
    raw = rng.randbytes(rng.randint(0, 3000))
    body = {b"base64": lambda: base64.encodebytes(raw).replace(b"\n", b"\r\n"),
            b"quoted-printable": lambda: quopri.encodestring(raw.replace(b"\r", b"").replace(b"\0", b"")).replace(b"\n", b"\r\n"),
            b"8bit": lambda: high(rng, 900) + b"\r\n"}.get(kind, lambda: lines(rng))()
    return head(rng, b"MIME-Version: 1.0", b"Content-Type: application/octet-stream",
                b"Content-Transfer-Encoding: " + kind) + b"\r\n" + body


def part(rng, depth):
    kind = rng.randint(0, 3 if depth else 1)
    if kind == 0:
        return b"Content-Type: text/html\r\n\r\n" + lines(rng)
    if kind == 1:
        return b"\r\n" + lines(rng)
    if kind == 2:
        return b"Content-Type: message/rfc822\r\n\r\n" + head(rng) + b"\r\n" + lines(rng)
    boundary = b"=_%x" % rng.getrandbits(40)
    parts = b"".join(b"--" + boundary + b"\r\n" + part(rng, depth - 1) for _ in range(rng.randint(0, 4)))
    end = b"--" + boundary + b"--\r\n" if rng.random() < 0.8 else b""
    return b'Content-Type: multipart/mixed;\r\n\tboundary="' + boundary + b'"\r\n\r\npreamble\r\n' + parts + end


def nested(rng):
    return head(rng, b"MIME-Version: 1.0") + part(rng, rng.randint(1, 12))


def long_header(rng):
    return head(rng, b"X-Long: " + b"y" * rng.randint(900, 60000)) + b"\r\n" + lines(rng)


def huge_header(rng):
    return head(rng, b"X-Huge: " + b"z" * rng.randint(HEADER_SIZE_LIMIT, HEADER_SIZE_LIMIT + 30000), b"X-After: here") + b"\r\n" + lines(rng)


def folded(rng):
    folds = b"".join(b"\r\n" + rng.choice([b" ", b"\t", b" \t  "]) + words(rng, rng.randint(0, 6)) for _ in range(rng.randint(1, 200)))
    return head(rng, b"References:" + folds, b"X-Blank: a\r\n \r\n\t\r\n b") + b"\r\n" + lines(rng)


def eight_bit_header(rng):
    return head(rng, b"Subject: " + high(rng, 60), b"X-Comment: " + "\u00fcber".encode() + b"\r\n " + high(rng, 20)) + b"\r\n" + lines(rng)


def no_header(rng):
    return rng.choice([b"", b"\r\n", b" indented first line\r\n", b": colon first\r\n", b"just text\r\n", b"h\xe9llo: 8 bit name\r\n",
                       b"\r\n\r\n\r\n"]) + lines(rng)


def only_header(rng):
    return head(rng) + rng.choice([b"", b"\r\n"])


def from_line(rng):
    return rng.choice([b"From ada Mon Mar  2 10:11:12 2026\r\n", b">From ada somewhere\r\n", b""]) + head(rng) + b"\r\n" \
        + b"From here on\r\n>From there\r\n>>From\r\nFrom \r\n" + lines(rng)


def dots(rng):
    return head(rng) + b"\r\n" + b"".join(rng.choice([b".", b"..", b"...", b".a", b"a.", b"", b".\t", b". "]) + b"\r\n" for _ in range(40))


def long_lines(rng):
    return head(rng) + b"\r\n" + b"".join(rng.choice([b"w", b"\xfc", b"."]) * rng.choice([997, 998, 999, 2047, 2048, 2049, 10000, 70000]) + b"\r\n"
                                          for _ in range(rng.randint(1, 6)))


def large(rng):
    line = words(rng, 14) + b"\r\n"
    return head(rng) + b"\r\n" + line * (1000000 // len(line))


def empty(rng):
    return rng.choice([b"", b"\r\n"])


def odd_fields(rng):
    fields = [b"X-Empty:", b"X-Space : before the colon", b"X-Tab\t: tab", b"x!#$%&'*+-.^_`{|}~: all signs", b"X-Twice: 1", b"X-Twice: 1",
              b"X-" + b"n" * (NAME_LIMIT - 2) + b": longest name", b"SUBJECT: loud", b"X-Colons: :::", b"X-Control: \x01\x02\x7f\x1b"]
    rng.shuffle(fields)
    return head(rng, *fields[:rng.randint(1, len(fields))]) + b"\r\n" + lines(rng)


def many_fields(rng):
    return head(rng, *[b"X-%d: %d" % (i, i) for i in range(rng.randint(100, 2000))]) + b"\r\n" + lines(rng)


def broken_header(rng):
    return head(rng) + rng.choice([b"no colon here\r\n", b"bad name here: x\r\n", b"\x80: x\r\n", b"n" * (NAME_LIMIT + 1) + b": x\r\n", b"x\r\n"]) \
        + b"Subject: is body now\r\n\r\n" + lines(rng)


def dropped(rng):
    return head(rng, b"Bcc: secret@example.test,\r\n other@example.test", b"X-Kept: 1", b"Return-Path: <x@y.example>", b"content-LENGTH: 5",
                b"Resent-Bcc : z@y.example", b"X-Kept: 2") + b"\r\nBcc: is body\r\n" + lines(rng)


def controls(rng):
    return head(rng) + b"\r\n" + bytes(x for x in rng.randbytes(2000) if x not in (0, 10, 13)) + b"\r\n" + lines(rng)


def blanks(rng):
    return head(rng) + b"\r\n" + b"".join(rng.choice([b"", b" ", b"\t", b"trailing  ", b"  leading"]) + b"\r\n" for _ in range(60))


def unicode_header(rng):
    return head(rng, "Subject: \u65e5\u672c\u8a9e \U0001f600".encode(), "From: \u00c9lodie <\u00e9lodie@client.example>".encode()) + b"\r\n" + lines(rng)


def no_final_end(rng):
    return head(rng) + b"\r\n" + lines(rng) + b"no end"


KINDS = [plain, charset, encoded, nested, long_header, huge_header, folded, eight_bit_header, no_header, only_header, from_line, dots, long_lines,
         empty, odd_fields, many_fields, broken_header, dropped, controls, blanks, unicode_header, no_final_end]


class Message:
    def __init__(self, number):
        rng = random.Random(f"{SEED}-{number}")
        self.number = number
        kind = large if number % 100 == 50 else KINDS[number % len(KINDS)]
        self.kind = kind.__name__
        self.content = kind(rng)
        self.utf8 = kind is unicode_header
        self.way = rng.choice(["data", "pieces", "bdat", "chunks"])
        if self.content and not self.content.endswith(b"\r\n") and self.way in ("data", "pieces"):
            self.way = "bdat"
        self.user = USERS[4] if self.utf8 else USERS[number % 4]
        self.local_client = number % 5 == 0   # then missing fields are added
        self.relayed = number % 4 == 1
        self.sender = f"n{number}.\u00e9@client.example" if self.utf8 else f"n{number}@client.example"
        self.rng = rng


# ---- what should come of them

FIELD = re.compile(rb"([!-9;-~]{1,%d})[ \t]*:" % NAME_LIMIT)


def split_header(content):
    """([fields, with line ends], rest) of content with LF; as the reader in smtpd should see it."""
    fields, at = [], 0
    while at < len(content):
        end = content.find(b"\n", at) + 1
        line = content[at:end]
        if line[:1] in b" \t" and line != b"\n" and fields:
            fields[-1] += line
        elif FIELD.match(line):
            fields.append(line)
        elif not fields and re.match(rb">?From[ \t]", line):
            fields.append(b"Mailbox-Line: " + line)
        else:
            break
        at = end
    return fields, content[at:]


def expected(message):
    """(fields, rest) without the trace."""
    content = message.content.replace(b"\r\n", b"\n")
    if content and not content.endswith(b"\n"):
        content += b"\n"
    fields, rest = split_header(content)
    kept = [x for x in fields if re.split(rb"[ \t]*:", x)[0].lower() not in DROPPED]
    kept = [x if len(x) <= HEADER_SIZE_LIMIT else x[:HEADER_SIZE_LIMIT] + b"\n" for x in kept]
    if rest and not rest.startswith(b"\n"):
        rest = b"\n" + rest
    return kept, rest


def compare(message, got):
    """None, or what is wrong with a delivered file (LF)."""
    fields, rest = split_header(got)
    names = [x.split(b":")[0] for x in fields]
    trace = 0
    while trace < len(names) and names[trace] in TRACE and not (trace and names[trace] == b"Return-Path"):
        trace += 1
    if b"Received" not in names[:trace]:
        return f"no trace: {names[:6]}"
    wanted, wanted_rest = expected(message)
    rest, wanted_rest = rest or b"\n", wanted_rest or b"\n"   # a header alone may have its empty line or not
    fields = fields[trace:]
    if message.local_client:
        has = {re.split(rb"[ \t]*:", x)[0].lower() for x in split_header(message.content.replace(b"\r\n", b"\n"))[0]}
        added = [x for x, there in [(b"From", b"from" in has), (b"Date", b"date" in has), (b"Message-ID", b"message-id" in has),
                                    (b"To", has & {b"to", b"cc", b"bcc"})] if not there]
        got_added = [x.split(b":")[0] for x in fields[len(wanted):]]
        if got_added != added:
            return f"added fields: {got_added}, wanted {added}"
        fields = fields[:len(wanted)]
    if fields != wanted:
        at = next((i for i, (a, b) in enumerate(zip(fields, wanted)) if a != b), min(len(fields), len(wanted)))
        return f"field {at}: got {fields[at:at + 1]} wanted {wanted[at:at + 1]}"[:600]
    if rest != wanted_rest:
        at = next((i for i, (a, b) in enumerate(zip(rest, wanted_rest)) if a != b), min(len(rest), len(wanted_rest)))
        return f"body at {at} of {len(wanted_rest)} ({len(rest)}): got {rest[at:at + 40]!r} wanted {wanted_rest[at:at + 40]!r}"
    return None


# ---- the way

def pieces(rng, data):
    at = 0
    while at < len(data):
        size = rng.choice([1, 2, 3, 100, 1000, 4095, 4096, 65536])
        yield data[at:at + size]
        at += size


def transmit(client, message, recipients):
    options = "BODY=8BITMIME" + (" SMTPUTF8" if message.utf8 else "")
    if message.way == "data":
        return client.mail(message.sender, recipients, message.content, options)[-1]
    if message.way == "bdat":
        return client.mail(message.sender, recipients, message.content, options, chunked=True)[-1]
    start = [f"MAIL FROM:<{message.sender}> {options}", *[f"RCPT TO:<{x}>" for x in recipients]]
    for line in start:
        reply = client.say(line)
        if reply[0] != "250":
            return reply
    if message.way == "chunks":
        for piece in pieces(message.rng, message.content):
            client.send(b"BDAT %d\r\n" % len(piece) + piece)
            reply = client.reply()
            if reply[0] != "250":
                return reply
        return client.say("BDAT 0 LAST")
    client.say("DATA")
    stuffed = re.sub(rb"(?m)^\.", b"..", message.content) + b".\r\n"
    for piece in pieces(message.rng, stuffed):
        client.send(piece)
    return client.reply()


def run_connection(tern, first, errors):
    clients = {}
    try:
        for number in range(first, COUNT, CONNECTIONS):
            message = Message(number)
            source = "127.0.0.1" if message.local_client else "127.0.0.9"
            client = clients.get(source) or peers.Client(tern.smtp_port, source=source)
            clients[source] = client
            recipients = [f"{message.user}@{tern.domain}"] + ([f"r{number}@relay.test"] if message.relayed else [])
            reply = transmit(client, message, recipients)
            if reply[0] != "250":
                errors.append((number, message.kind, message.way, reply))
                client.close()
                del clients[source]
        for client in clients.values():
            client.quit()
    except OSError as error:
        errors.append((first, repr(error)))


def send_all(tern):
    errors = []
    threads = [threading.Thread(target=run_connection, args=(tern, i, errors)) for i in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    t.ok(not errors, f"{COUNT} messages are taken", "\n".join(map(str, errors[:10])))


def check_delivered(tern):
    def files():
        return [x for user in USERS for x in tern.mailbox(user)]

    patience = 30 + COUNT / 50
    t.wait_for(lambda: len(files()) >= COUNT, patience, 0.2)
    seen, wrong = {}, []
    for path in files():
        got = path.read_bytes()
        found = re.match(rb"Return-Path: <n(\d+)", got)
        if not found:
            wrong.append(f"{path.name}: no Return-Path: {got[:200]!r}")
            continue
        number = int(found[1])
        message = Message(number)
        seen[number] = seen.get(number, 0) + 1
        if path.parts[-4] != message.user:
            wrong.append(f"{number} is in {path.parts[-4]}'s mailbox")
        trouble = compare(message, got)
        if trouble:
            wrong.append(f"{number} {message.kind} by {message.way}{' local' if message.local_client else ''}: {trouble}")
    t.ok(sorted(seen) == list(range(COUNT)) and set(seen.values()) <= {1}, "each is delivered once",
         f"missing {sorted(set(range(COUNT)) - set(seen))[:20]}, twice {[x for x in seen if seen[x] > 1][:20]}")
    t.ok(not wrong, "to the octet", f"{len(wrong)} wrong\n" + "\n".join(wrong[:12]))


def break_lines(content):
    """Long lines as the client sends them: cut, the rest begins with a space."""
    out = []
    for line in content.split(b"\n"):
        while len(line) > LINE_LIMIT:
            out.append(line[:LINE_LIMIT])
            line = b" " + line[LINE_LIMIT:]
        out.append(line)
    return b"\n".join(out)


def check_relayed(server):
    wanted = {n for n in range(COUNT) if n % 4 == 1}
    t.wait_for(lambda: len(server.transactions) >= len(wanted), 30 + COUNT / 50, 0.2)
    wrong, seen = [], []
    for transaction in server.transactions:
        number = int(re.search(r"<r(\d+)@", transaction["recipients"][0])[1])
        message = Message(number)
        seen.append(number)
        content = transaction["content"]
        if content.count(b"\n") != content.count(b"\r\n"):
            wrong.append(f"{number} {message.kind}: a bare LF on the wire")
        got = content.replace(b"\r\n", b"\n")
        if max(map(len, got.split(b"\n"))) > LINE_LIMIT:
            wrong.append(f"{number} {message.kind}: a line of {max(map(len, got.split(chr(10).encode())))} octets on the wire")
        elif max(map(len, message.content.split(b"\r\n"))) <= LINE_LIMIT:
            trouble = compare(message, got)
            if trouble:
                wrong.append(f"{number} {message.kind} relayed: {trouble}")
    t.ok(sorted(seen) == sorted(wanted), f"{len(wanted)} are relayed, each once", f"missing {sorted(wanted - set(seen))[:20]}")
    t.ok(not wrong, "to the octet on the wire, long lines broken", f"{len(wrong)} wrong\n" + "\n".join(wrong[:12]))


def binary(tern):
    """BODY=BINARYMIME: NULs, bare CR and LF, no line ends at all."""
    raw = bytes(range(256)) * 20 + b"\r\r\n\n\0end"
    content = b"From: a@client.example\r\nContent-Transfer-Encoding: binary\r\n\r\n" + raw
    client = peers.Client(tern.smtp_port, source="127.0.0.9")
    before = len(tern.mailbox("u0"))
    reply = client.mail("bin@client.example", [f"u0@{tern.domain}"], content, "BODY=BINARYMIME", chunked=True)[-1]
    client.quit()
    t.ok(reply[0] == "250", "BINARYMIME is taken", reply)
    t.wait_for(lambda: len(tern.mailbox("u0")) > before)
    got = [x.read_bytes() for x in tern.mailbox("u0")]
    found = [x for x in got if x.startswith(b"Return-Path: <bin@")]
    t.ok(len(found) == 1 and found[0].endswith(raw), "a binary body to the octet", found[0][-200:] if found else len(got))


def main():
    server = peers.Server("127.0.0.1", 0, extensions=["PIPELINING", "8BITMIME", "SMTPUTF8"])
    settings = ["smtpd_peername_lookup=no", f"transport_maps=inline:{{ {{relay.test=smtp:[127.0.0.1]:{server.port}}} }}",
                "inet_interfaces=127.0.0.1", "local_header_rewrite_clients=permit_inet_interfaces", "mailbox_size_limit=0",
                "virtual_mailbox_limit=0", "undisclosed_recipients_header=To: undisclosed-recipients:;", "default_destination_concurrency_limit=20"]
    with t.Instance(settings=settings) as tern:
        for user in USERS:
            with open(tern.etc / "users", "a") as table:
                table.write(f"{user}@{tern.domain} {tern.domain}/{user}/Maildir/\n")
        tern.start()
        started = time.monotonic()
        send_all(tern)
        taken = time.monotonic() - started
        check_delivered(tern)
        whole = time.monotonic() - started
        check_relayed(server)
        print(f"# {COUNT} messages, seed {SEED}: taken in {taken:.1f} s, delivered and compared in {whole:.1f} s", flush=True)
        binary(tern)
        peers.check_health(tern)
        t.ok(t.wait_for(lambda: peers.queue_is_empty(tern), 10), "the queue is empty")
    server.close()


main()
t.done()
