#!/usr/bin/env python3
"""Another program reads and writes tern-mailbox by what tern-folder(5) says alone, beside a session that has it open."""

import fcntl
import os
import struct
import time

import tern_test as t
from imap_client import Stand

SUMS = []
for octet in range(256):
    for _ in range(8):
        octet = octet >> 1 ^ (0x82F63B78 if octet & 1 else 0)
    SUMS.append(octet)
LETTERS = ((16, "D"), (4, "F"), (32, "P"), (2, "R"), (1, "S"), (8, "T"))
UNKNOWN = -2 ** 63  # a date


def crc32c(octets):
    value = 0xFFFFFFFF
    for octet in octets:
        value = SUMS[(value ^ octet) & 255] ^ value >> 8
    return value ^ 0xFFFFFFFF


class Mailbox:
    """One reading of the file; with the lock held, one writing."""

    def __init__(self, directory):
        self.directory = directory
        self.file = os.open(os.path.join(directory, "tern-mailbox"), os.O_RDWR)
        octets = os.pread(self.file, os.fstat(self.file).st_size, 0)
        assert octets[:8] == b"ternMBX1" and struct.unpack_from("<II", octets, 8) == (crc32c(octets[12:512]), 2)
        (self.validity, self.next, self.recent, self.modseq, self.floor, count) = struct.unpack_from("<IIIQQI", octets, 32)
        keywords, expunged, names = struct.unpack_from("<QQQ", octets, 152)
        at = 512
        self.keywords = dict(enumerate(octets[at:at + keywords].split(b"\0")[:-1]))
        at += keywords
        self.expunged = [struct.unpack_from("<IIQ", octets, at + 16 * i) for i in range(expunged)]
        at += 16 * expunged
        self.messages = {}
        for i in range(count):
            self.add(octets[at + names + 64 * i:at + names + 64 * i + 64], octets[at:at + names])
        self.end = self.read_journal(octets, at + names + 64 * count)

    def add(self, record, names):
        uid, flags, named, place, length, bits, modseq, date, _, size, virtual, offset = struct.unpack("<IBBBBQQqqQQQ", record)
        self.messages[uid] = {"flags": flags, "named": named, "place": place, "keywords": bits, "modseq": modseq, "date": date,
                              "size": size, "virtual": virtual, "name": names[offset:offset + length]}
        self.next = max(self.next, uid + 1)
        self.modseq = max(self.modseq, modseq)

    def those(self, pairs):
        ranges = list(struct.iter_unpack("<II", pairs))
        return [uid for uid in self.messages if any(first <= uid <= last for first, last in ranges)]

    def read_journal(self, octets, at):
        while len(octets) - at >= 12:
            total, kind, length = struct.unpack_from("<III", octets, at)
            payload = octets[at + 12:at + 12 + length]
            if len(payload) < length or crc32c(octets[at + 4:at + 12 + length]) != total:
                break
            self.apply(kind, payload)
            at += 12 + length
        return at

    def apply(self, kind, payload):
        if kind == 1:
            self.add(payload[:64], payload[64:])
        elif kind == 2:
            what, flags, _, bits, modseq = struct.unpack_from("<BBHQQ", payload)
            for uid in self.those(payload[20:]):
                message = self.messages[uid]
                for key, value in (("flags", flags), ("keywords", bits)):
                    message[key] = (value, message[key] | value, message[key] & ~value)[what]
                message["modseq"] = modseq
            self.modseq = max(self.modseq, modseq)
        elif kind == 3:
            for uid in self.those(payload[4:]):
                self.messages[uid].update(place=payload[0], named=payload[1], name=self.messages[uid]["name"].split(b"\0")[0])
        elif kind == 4:
            for uid in self.those(payload[8:]):
                del self.messages[uid]
            self.modseq = max(self.modseq, struct.unpack_from("<Q", payload)[0])
        elif kind == 6:
            self.keywords[payload[0]] = payload[4:]
        elif kind == 8:
            for uid, size in struct.iter_unpack("<IQ", payload):
                if uid in self.messages:
                    self.messages[uid]["virtual"] = size
        elif kind == 10:
            for uid, date, size in struct.iter_unpack("<IqQ", payload):
                if uid in self.messages:
                    self.messages[uid].update(date=date, size=size)
        elif kind == 9:
            following, recent, modseq = struct.unpack("<IIQ", payload)
            self.next, self.recent, self.modseq = max(self.next, following), max(self.recent, recent), max(self.modseq, modseq)

    def path(self, uid):
        message = self.messages[uid]
        base, _, odd = message["name"].partition(b"\0")
        info = odd.decode() or (":2," + "".join(letter for bit, letter in LETTERS if message["named"] & bit) if message["place"] else "")
        return os.path.join(self.directory, "cur" if message["place"] else "new", base.decode() + info)

    def append(self, *entries):
        os.ftruncate(self.file, self.end)
        octets = b""
        for kind, payload in entries:
            rest = struct.pack("<II", kind, len(payload)) + payload
            octets += struct.pack("<I", crc32c(rest)) + rest
        os.pwrite(self.file, octets, self.end)
        os.fdatasync(self.file)

    def close(self):
        os.close(self.file)


class Locked:
    """The mailbox, read with its lock held."""

    def __init__(self, directory):
        self.directory = directory

    def __enter__(self):
        self.lock = os.open(os.path.join(self.directory, "tern-lock"), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.mailbox = Mailbox(self.directory)
        return self.mailbox

    def __exit__(self, *_):
        self.mailbox.close()
        os.close(self.lock)


def append(client, text, flags):
    return client.command(f"APPEND INBOX ({flags}) {{{len(text)}+}}\r\n{text}")


def seen_by(client):
    """What a client sees, as {UID: (flags, size)}."""
    seen = {}
    for answer in client.command("UID FETCH 1:* (FLAGS RFC822.SIZE)")[1]:
        words = answer.decode()
        if "FETCH" in words:
            flags = words[words.index("FLAGS (") + 7:].split(")")[0].split()
            seen[int(words.split("UID ")[1].split()[0].rstrip(")"))] = (set(flags) - {"\\Recent"}, int(words.split("RFC822.SIZE ")[1].split()[0].rstrip(")")))
    return seen


NAMES = {1: "\\Seen", 2: "\\Answered", 4: "\\Flagged", 8: "\\Deleted", 16: "\\Draft", 32: "$Forwarded"}


def read_from_disk(directory):
    mailbox = Mailbox(directory)
    found = {}
    for uid, message in mailbox.messages.items():
        flags = {name for bit, name in NAMES.items() if message["flags"] & bit}
        flags |= {mailbox.keywords[bit].decode() for bit in mailbox.keywords if message["keywords"] >> bit & 1}
        found[uid] = (flags, message["virtual"])
    missing = [uid for uid in mailbox.messages if not os.path.exists(mailbox.path(uid))]
    mailbox.close()
    return found, missing


def written_anew(client, directory):
    """Makes the journal long, and waits."""
    path = os.path.join(directory, "tern-mailbox")
    before = os.stat(path).st_ino
    for i in range(2500):
        client.command(f"STORE 1 {'+-'[i % 2]}FLAGS (a)")
    until = time.monotonic() + 30
    while os.stat(path).st_ino == before and time.monotonic() < until:
        client.command("NOOP")
        time.sleep(0.05)
    return os.stat(path).st_ino != before


def reading(client, directory):
    for text, flags in (("Subject: one\r\n\r\nx\r\n", "\\Seen"), ("Subject: two\r\n\r\n", "$Forwarded Work"), ("Subject: three\r\n\r\n", "")):
        append(client, text, flags)
    client.command("SELECT INBOX")
    client.command("STORE 3 +FLAGS (\\Flagged Other)")
    client.command("STORE 2 -FLAGS (Work)")
    client.command("UID EXPUNGE 1")
    for i in range(3):
        found, missing = read_from_disk(directory)
        t.is_(found, seen_by(client), f"another program reads what the client sees ({i})")
        t.is_(missing, [], f"and finds the files ({i})")
        if i == 0:
            client.command("STORE 1 +FLAGS (\\Deleted)")
            client.command("EXPUNGE")
        elif i == 1:
            client.command("STORE 1 FLAGS (\\Draft a)")
            t.ok(written_anew(client, directory), "the file is written anew")
            client.command("STORE 2 FLAGS (b \\Answered)")


def date_on_disk(client, directory, uid):
    """The date of a message as the file has it, within the time that a session may put it off."""
    until = time.monotonic() + 20
    while True:
        mailbox = Mailbox(directory)
        date = mailbox.messages[uid]["date"]
        mailbox.close()
        if date != UNKNOWN or time.monotonic() > until:
            return date
        client.command("NOOP")
        time.sleep(0.05)


def writing(client, directory):
    with Locked(directory) as mailbox:
        free = max(mailbox.keywords, default=-1) + 1
        uid = max(mailbox.messages)
        both = struct.pack("<II", uid, uid)
        path = os.path.join(directory, "cur", "1700000000.other.host:2,")
        os.write(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), b"Subject: four\n\n")
        os.utime(path, (1600000000, 1600000000))
        name = b"1700000000.other.host"
        record = struct.pack("<IBBBBQQqqQQQ", mailbox.next, 0, 0, 1, len(name), 1 << free, mailbox.modseq + 1, UNKNOWN, 0, 15, 17, 0)
        added = mailbox.next
        mailbox.append((6, struct.pack("<I", free) + b"FromOutside"),
                       (2, struct.pack("<BBHQQ", 1, 4, 0, 1 << free, mailbox.modseq + 1) + both), (1, record + name))
    result = client.command("NOOP")
    t.ok(any(b"FromOutside" in answer for answer in result[1]), "the session hears of flags that another program has written", result)
    found = seen_by(client)
    t.ok({"\\Flagged", "FromOutside"} <= found[uid][0], "and shows them", found)
    t.is_(found.get(added), ({"FromOutside"}, 17), "and the message that it has added")
    t.ok(any(b"Subject: four" in answer for answer in client.command(f"UID FETCH {added} BODY[]")[1]), "which is that file")
    result = client.command(f"UID FETCH {added} INTERNALDATE")
    t.ok(any(b'"13-Sep-2020 12:26:40 +0000"' in answer for answer in result[1]), "a date that nobody has said is the file's", result)
    t.is_(date_on_disk(client, directory, added), 1600000000, "and stands in tern-mailbox from then on")
    with Locked(directory) as mailbox:
        path = mailbox.path(added)
        mailbox.append((4, struct.pack("<QII", mailbox.modseq + 1, added, added)))
        os.unlink(path)
    with Locked(directory) as mailbox:
        mailbox.append((5, struct.pack("<II", added, added)))
        os.pwrite(mailbox.file, b"\1\2\3\4\5\6\7", os.fstat(mailbox.file).st_size)  # and it dies at the next entry
    t.ok(any(b"EXPUNGE" in answer for answer in client.command("NOOP")[1]), "and of one that it expunges")
    append(client, "Subject: five\r\n\r\n", "\\Seen")
    client.command("NOOP")
    found, missing = read_from_disk(directory)
    t.is_((found, missing), (seen_by(client), []), "both see the same in the end")
    t.is_(max(found), added + 1, "no UID comes twice")


with Stand() as stand:
    session = stand.client()
    reading(session, stand.mail)
    writing(session, stand.mail)
t.done()
