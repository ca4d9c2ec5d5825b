#!/usr/bin/env python3
"""SEARCH, SORT and THREAD from rows in the cache: every answer is what it is without a cache and threads, over mail with odd headers;
while the rows are made, from them, with damaged ones, after expunges, appends and moves, with sessions that write them at
once, with a cache that is full, and with a disk that is.

TERN_SEED: which commands are asked where."""

import os
import random
import shutil
import struct
import subprocess
import tempfile
import threading

import tern_test as t
from imap_client import Client, Stand

MESSAGES = 1250 # answers are kept from 1,000 on
ROWS, RANKS, ANSWERS, HEAD = b"rows", b"rank", b"anwr", 24 + 2 * 32
COLUMNS = 14

SUBJECTS = [
    b"budget report %d", b"Re: budget report", b"RE: [list] Re: budget  report (fwd)", b"=?utf-8?Q?B=C3=BCdget_%d?=",
    b"=?iso-8859-1?Q?Gr=FC=DFe?= und\r\n =?iso-8859-1?Q?_mehr?=", b"folded\r\n\tsubject %d\r\n  here", b"", b"   ", b"=?utf-8?B?broken",
    b"raw \xc3\xa4\xc3\xb6 %d", b"raw latin \xe4\xf6", b"nul =?utf-8?Q?a=00b?= %d", b"cr\rwithin", b"[Fwd: inner %d]", b"x" * 1500,
    b"y" * 1100 + b"%d", b"long " * 900, b"Re:", b"zz top", b"ZZ TOP", "\u0130stanbul \u00df \u1e9e".encode(), b"cut at its end \xe2\x82",
]
PEOPLE = [
    b"Erika Novak <erika@example.test>", b"ann@example.test", b"=?utf-8?Q?J=C3=BCrgen?= <jurgen@example.test>", b"\"Doe, Jo\" <doe@a.test>, b@c.test",
    b"undisclosed: ;", b"friends: a@b.test, c@d.test;", b"", b"no address at all", b"<>", b"(comment) z@z.test (Zed)",
    b", ".join(b"person%d@example.test" % n for n in range(400)), b"\"quoted \\\" name\" <q@q.test>", b"ANN@EXAMPLE.TEST",
]
DATES = [
    b"Mon, 01 Jan 2024 10:00:00 +0000", b"31 Dec 2023 23:30:00 -0500", b"Tue, 02 Jan 2024 00:30:00 +1300", b"not a date", b"", b"1 Jan 70 00:00:00 GMT",
    b"Thu, 29 Feb 2024 12:00:00 (noon)", b"Fri, 01 Mar 2024 12:00:60 EST", b"Sat, 2 Mar 2024 12:00 +0200",
]


def header(number, random_):
    lines = []
    ids = [b"<%d@ids.test>" % random_.randrange(MESSAGES) for _ in range(random_.randrange(4))]
    if random_.random() < 0.03:
        lines.append(b"Received: " + b"\r\n ".join(b"from somewhere by another" for _ in range(random_.choice([200, 500, 900]))))
    for name, values, share in ((b"Subject", SUBJECTS, 0.95), (b"From", PEOPLE, 0.97), (b"To", PEOPLE, 0.9), (b"Cc", PEOPLE, 0.3), (b"Bcc", PEOPLE, 0.1)):
        while random_.random() < share:
            value = random_.choice(values)
            lines.append(name + b": " + (value % random_.randrange(40) if b"%d" in value else value))
            share /= 20
    if random_.random() < 0.9:
        lines.append(random_.choice([b"Date: ", b"date:", b"DATE :"]) + random_.choice(DATES))
    if random_.random() < 0.95:
        lines.append(b"Message-ID: " + random_.choice([b"<%d@ids.test>" % number, b"<\"%d\"@ids.test>" % number, b"%d@ids.test" % number]))
    if ids:
        lines.append(random_.choice([b"References: ", b"In-Reply-To: "]) + random_.choice([b" ", b"\r\n\t"]).join(ids))
    lines.append(random_.choice([b"X-Other: budget report", b"List-Id: <list.test>", b"Priority: low", b" continues", b"X: \0 nul"]))
    random_.shuffle(lines)
    if random_.random() < 0.05:
        lines.insert(0, b"From ann@example.test Mon Jan  1 00:00:00 2024")
    if random_.random() < 0.03:
        lines.insert(random_.randrange(len(lines)), b"this line is none of a header")
    return lines


def message(number, random_):
    text = b"\r\n".join(header(number, random_)) + random_.choice([b"\r\n\r\nbudget report in the body\r\n", b"\r\n\r\n", b"\r\n", b""])
    return text if random_.random() < 0.3 else text.replace(b"\r\n", b"\n")


def fill(mail, count, random_):
    for folder in ("cur", "new", "tmp"):
        os.makedirs(f"{mail}/{folder}", exist_ok=True)
    for number in range(count):
        name = f"{mail}/cur/{1600000000 + number}.M{number}.host:2,{random_.choice(['', 'S', 'FS', 'T'])}"
        with open(name, "wb") as file:
            file.write(message(number, random_))
        when = 1700000000 + random_.randrange(100000) * 10
        os.utime(name, (when, when))


def texts():
    keys = []
    for field in ("SUBJECT", "FROM", "TO", "CC", "BCC", "HEADER Message-ID", "HEADER References", "HEADER X-Other", "HEADER List-Id"):
        for text in ('""', '"budget report"', "a", '"ANN@"', '"e"', '"report 7"', '"x  "', "{4+}\r\nr\u00fc\u00df".replace("{4+}", "{5+}"), '"\u00fcdget"', '"ids.test"'):
            keys.append(f"{field} {text}")
    keys += ["SUBJECT zz FROM ann", "OR SUBJECT budget NOT FROM erika", "NOT SUBJECT \"\"", "UNSEEN SUBJECT re", "100:300 TO person", "UID 5:40,700 CC z",
             "SUBJECT {3+}\r\na b", "FROM {1+}\r\n\r"]
    return keys


def commands():
    keys = texts() + [f"{word} {day}" for word in ("SENTBEFORE", "SENTON", "SENTSINCE") for day in ("1-Jan-2024", "2-Jan-2024", "31-Dec-2023", "1-Mar-2024")]
    told = [f"SEARCH CHARSET UTF-8 {key}" for key in keys]
    for criteria in ("DATE", "REVERSE DATE", "SUBJECT", "REVERSE SUBJECT", "FROM", "TO", "CC", "DISPLAYFROM", "REVERSE DISPLAYTO", "ARRIVAL", "SIZE",
                     "SUBJECT DATE", "REVERSE FROM SUBJECT REVERSE DATE", "CC TO FROM REVERSE SIZE"):
        told += [f"SORT ({criteria}) UTF-8 {key}" for key in ("ALL", "SUBJECT budget", "2:90", "MODSEQ 1")]
    told += [f"{uid}THREAD {algorithm} UTF-8 {key}" for uid in ("", "UID ") for algorithm in ("ORDEREDSUBJECT", "REFERENCES", "REFS") for key in ("ALL", "SUBJECT re")]
    return told + ["UID SORT (SUBJECT) UTF-8 ALL", "UID SEARCH SUBJECT re", "SORT RETURN (MIN MAX COUNT) (FROM) UTF-8 ALL", "SORT RETURN (PARTIAL 5:9) (TO) UTF-8 ALL",
                   "SEARCH RETURN (COUNT ALL) SUBJECT re", "SORT RETURN (SAVE) (DATE) UTF-8 FROM ann", "SEARCH $ SUBJECT re"]


def answers(stand, folder="INBOX", asked=None):
    """What a session says to each; a first FLAGS of a mailbox that was just taken over is no part of it."""
    client = stand.client()
    client.command(f"SELECT {folder}")
    client.command("SEARCH MODSEQ 1")
    told = {}
    for command in asked or ASKED:
        result, untagged = client.command(command.encode())
        told[command] = (result, [line for line in untagged if line.startswith((b"* SEARCH", b"* SORT", b"* THREAD", b"* ESEARCH"))])
    client.close()
    return told


def same(stand, name, folder="INBOX", share=0.12):
    """Twice with the cache, and once without; a share of all commands, another each time."""
    asked = [command for command in ASKED if random.random() < share]
    wanted = answers(PLAIN, folder, asked)
    for turn in ("at first", "again"):
        told = answers(stand, folder, asked)
        wrong = [command for command in asked if normal(told[command]) != normal(wanted[command])]
        refused = [(command, answer[0]) for command, answer in wanted.items() if folder == "INBOX" and not answer[0].startswith(b"OK")]
        t.ok(not wrong and not refused, f"{name}, {turn}: as without a cache",
             "".join(f"{command!r}\n  {told[command]}\n  {wanted[command]}\n" for command in wrong)[:3000] + str(refused))


def normal(answer):
    """The tag of an ESEARCH is its command's."""
    return [line.split(b")", 1)[1] if line.startswith(b"* ESEARCH") else line for line in answer[1]], answer[0]


# ---- the cache's file

def crc32c(data):
    crc = 0xFFFFFFFF
    for octet in data:
        crc = CRC[(crc ^ octet) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def crc_table():
    table = []
    for octet in range(256):
        for _ in range(8):
            octet = octet >> 1 ^ (0x82F63B78 if octet & 1 else 0)
        table.append(octet)
    return table


CRC = crc_table()


def blocks(data):
    """(offset, [(offset, length) of each column]) of each block of rows whose head is whole; what LMDB left behind too."""
    found, at = [], -1
    while (at := data.find(ROWS, at + 1)) >= 0:
        columns = [struct.unpack_from("<III", data, at + HEAD + 12 * number) for number in range(COLUMNS)]
        end = HEAD + 12 * COLUMNS
        if struct.unpack_from("<I", data, at + 4)[0] == crc32c(data[at + 8:at + end]):
            found.append((at, [(at + offset, length) for offset, length, _ in columns]))
    return found


def cache_file(stand):
    return os.path.join(stand.cache, "data.mdb")


def read_cache(stand):
    with open(cache_file(stand), "rb") as file:
        return bytearray(file.read())


def write_cache(stand, data):
    with open(cache_file(stand), "r+b") as file:
        file.write(data)


def forget(stand):
    shutil.rmtree(stand.cache, ignore_errors=True)


def believed(stand):
    """A row that was altered, its sums made right, is what SEARCH answers from: rows are really used."""
    data = read_cache(stand)
    for at, columns in blocks(data):
        offset, length = columns[4]
        text = data[offset:offset + length].replace(b"ZZ TOP", b"QQ POT")
        data[offset:offset + length] = text
        struct.pack_into("<I", data, at + HEAD + 12 * 4 + 8, crc32c(text))
        struct.pack_into("<I", data, at + 4, crc32c(data[at + 8:at + HEAD + 12 * COLUMNS]))
    write_cache(stand, data)
    told = answers(stand, asked=["SEARCH SUBJECT \"qq pot\""])["SEARCH SUBJECT \"qq pot\""]
    t.ok(len(told[1][0].split()) > 10, "SEARCH answers from the rows", str(told))
    forget(stand)


def damaged(stand, random_):
    answers(stand)
    whole = read_cache(stand)
    for what in ("heads", "columns", "all columns", "ranks", "answers"):
        data = bytearray(whole)
        for at, columns in blocks(whole):
            if what == "heads":
                data[at + random_.randrange(8, HEAD)] ^= 1 << random_.randrange(8)
            for offset, length in columns if "columns" in what else ():
                if what == "all columns" or random_.random() < 0.3:
                    data[offset + random_.randrange(length)] ^= 1 << random_.randrange(8)
        at = -1
        while what in ("ranks", "answers") and (at := whole.find(RANKS if what == "ranks" else ANSWERS, at + 1)) >= 0:
            data[at + random_.randrange(8, 72)] ^= 1 << random_.randrange(8)
        write_cache(stand, data)
        same(stand, f"damaged {what}")


# ---- what happens to the mailbox

def changes(stand, random_):
    client = stand.client()
    client.command("SELECT INBOX")
    client.command("CREATE Other")
    client.command("UID STORE 50:120,300,310:340 +FLAGS (\\Deleted)")
    client.command("EXPUNGE")
    same(stand, "after an expunge")
    for number in range(20):
        text = b"\r\n".join(header(2000 + number, random_)).replace(b"\0", b"") + b"\r\n\r\nnew\r\n"
        client.command(b"APPEND INBOX {%d+}\r\n%s" % (len(text), text))
    same(stand, "after a few new messages")
    for number in range(100):
        text = b"\r\n".join(header(3000 + number, random_)).replace(b"\0", b"") + b"\r\n\r\nnew\r\n"
        client.command(b"APPEND INBOX {%d+}\r\n%s" % (len(text), text))
    same(stand, "after many new messages")
    client.command("MOVE 1:400 Other")
    same(stand, "after a move, here")
    same(stand, "after a move, there", "Other")
    client.command("SELECT Other")
    client.command("MOVE 1:300 INBOX")
    same(stand, "moved back, here")
    same(stand, "moved back, there", "Other")
    client.command("SELECT INBOX")
    client.command("DELETE Other")
    client.command("CREATE Other")
    client.command("COPY 1:350 Other")
    same(stand, "another mailbox of the same name", "Other")
    client.close()


def old_view(stand):
    """A session that has not been told of an expunge makes rows while another has newer ones."""
    old, new = stand.client(), stand.client()
    for client in (old, new):
        client.command("SELECT INBOX")
    new.command("UID SORT (SUBJECT) UTF-8 ALL")
    new.command("STORE 20:60 +FLAGS (\\Deleted)")
    new.command("EXPUNGE")
    forgotten = read_cache(stand)
    for at, _ in blocks(forgotten):
        forgotten[at + 12] ^= 1
    write_cache(stand, forgotten)
    for client in (old, new, old):
        client.command("SEARCH SUBJECT re")
        client.command("SORT (FROM) UTF-8 ALL")
    old.close()
    new.close()
    same(stand, "after a session with an old view")


def at_once(stand):
    forget(stand)
    asked = random.sample(ASKED, 60)
    wanted, told = answers(PLAIN, asked=asked), [None] * 3

    def ask(number):
        told[number] = answers(stand, asked=asked)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(told))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    t.ok(all(one and all(normal(one[command]) == normal(wanted[command]) for command in asked) for one in told), "three sessions that make rows at once")
    same(stand, "after them")


def another_validity(stand):
    """The folder's file is lost: UIDs, UIDVALIDITY and all begin anew."""
    os.unlink(os.path.join(stand.mail, "tern-mailbox"))
    same(stand, "after tern-mailbox was lost")


def small_cache(mail):
    with Stand(mail=mail, cache_octets=1 << 20) as stand:
        same(stand, "a cache of 1 MiB")


def full_disk(mail):
    if not t.is_root():
        t.ok(True, "a full disk # SKIP wants root, to mount a small file system")
        return
    place = tempfile.mkdtemp(prefix="tern-rows-")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", place], check=False).returncode != 0:
        t.ok(True, "a full disk # SKIP cannot mount")
        return
    try:
        with Stand(mail=mail, cache=place + "/cache") as stand:
            same(stand, "a cache on a full disk")
    finally:
        subprocess.run(["umount", "-l", place], check=False)
        shutil.rmtree(place, ignore_errors=True)


def made(stand):
    data = read_cache(stand)
    counts = len(blocks(data)), data.count(RANKS), data.count(ANSWERS)
    t.ok(counts[0] >= MESSAGES // 256 and counts[1] > MESSAGES // 256 and counts[2] > 10, "rows, ranks and answers were made", str(counts))


seed = int(os.environ.get("TERN_SEED", "0")) or random.randrange(1, 1 << 30)
print(f"# TERN_SEED={seed}")
random.seed(seed)
ASKED = commands()
chance = random.Random(5)
with Stand(threads=3) as here:
    fill(here.mail, MESSAGES, chance)
    answers(here, asked=["SEARCH ALL"])
    forget(here)
    with Stand(mail=here.mail, cache="/dev/null/none") as PLAIN:
        same(here, "from nothing", share=1)
        made(here)
        believed(here)
        damaged(here, chance)
        forget(here)
        same(here, "with the cache deleted")
        changes(here, chance)
        old_view(here)
        at_once(here)
        small_cache(here.mail)
        full_disk(here.mail)
        another_validity(here)
t.done()
