#!/usr/bin/env python3
"""Corners of the RFCs of IMAP that clients seldom meet and test suites look at; a session stands alone (imap_stand)."""

import os
import re
import struct

import tern_test as t
from imap_client import Stand

FLOOR_AT = 52 # octets into a tern-mailbox: the modseq from which on it has all expunges
PLAIN = b"From: a@example.test\r\nSubject: s%d\r\n\r\nbody %d\r\n"


def append(client, message, mailbox="INBOX"):
    return client.command(b"APPEND %s {%d+}\r\n%s" % (mailbox.encode(), len(message), message))


def filled(stand, count):
    client = stand.client()
    for number in range(count):
        append(client, PLAIN % (number, number))
    return client


def starts(result, word, name):
    return t.ok(result[0].startswith(word), name, result)


def tells(result, untagged, name):
    """It is OK, and these are all its untagged answers."""
    return t.ok(result[0].startswith(b"OK") and result[1] == untagged, name, result)


def number(result, pattern):
    for answer in result[1] + [result[0]]:
        if match := re.search(pattern, answer):
            return int(match[1])
    return None


def crc32c(octets):
    value = 0xFFFFFFFF
    for octet in octets:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def forget_expunges(path, modseq):
    """As after very many of them: expunges up to a modseq are not in the folder's file any more (tern-folder(5))."""
    with open(path, "r+b") as file:
        header = bytearray(file.read(512))
        struct.pack_into("<Q", header, FLOOR_AT, modseq)
        struct.pack_into("<I", header, 8, crc32c(header[12:]))
        file.seek(0)
        file.write(header)


def test_list():
    with Stand() as stand:
        client = stand.client()
        names = lambda command: [answer.rsplit(b'"/" ', 1)[1] for answer in client.command(command)[1]]
        client.command("CREATE INBOX/Sub")
        client.command("CREATE inside")
        for pattern, found in (("iNb%", [b"INBOX"]), ("Inbox*", [b"INBOX", b"INBOX/Sub"]), ("i*", [b"INBOX", b"INBOX/Sub", b"inside"]), ("inbox/s*", []),
                               ("*SUB", []), ("Inboxes", [])):
            t.is_(names(f'LIST "" "{pattern}"'), found, f"INBOX has no case, what is below it has: {pattern}")
        client.command("SUBSCRIBE INBOX")
        t.is_(client.command('LSUB "" "inbo%"')[1], [b'* LSUB () "/" INBOX'], "LSUB likewise")
        client.command("UNSUBSCRIBE INBOX")
        tells(client.command('LIST "" "in&*"'), [], "a pattern that is no modified UTF-7 finds nothing")
        for command in ('SELECT "a&b"', 'CREATE ""', 'STATUS "" (MESSAGES)', 'SUBSCRIBE "&"'):
            starts(client.command(command), b"NO [CANNOT]", f"a name that is none is no error of grammar: {command}")
        for name in ("Drafts", "Sent", "Trash"):
            client.command(f"UNSUBSCRIBE {name}")
        client.command("SUBSCRIBE gone/deep/down")
        t.is_(client.command('LSUB "" %')[1], [b'* LSUB (\\Noselect) "/" gone'], "LSUB shows the level above what is subscribed and gone")
        t.is_(client.command('LSUB "" gone/%')[1], [b'* LSUB (\\Noselect) "/" gone/deep'], "and the next one")
        t.is_(client.command('LSUB "" *')[1], [b'* LSUB () "/" gone/deep/down'], "but not where that itself is shown")
        client.command("SUBSCRIBE inbox/below")
        t.is_(client.command('LSUB "" inb%')[1], [b'* LSUB (\\Noselect) "/" INBOX'], "LSUB shows INBOX above one, too")
        client.command("UNSUBSCRIBE inbox/below")
        t.is_(client.command('LIST "" (&bad inbox)')[1], [b'* LIST (\\HasChildren \\UnMarked) "/" INBOX'], "a pattern that can match nothing does not hinder another")
        result = client.command('LIST (SUBSCRIBED RECURSIVEMATCH) "" %')
        t.ok(len(result[1]) == 1 and re.match(rb'\* LIST \(\\NonExistent.*\) "/" gone \("CHILDINFO" \("SUBSCRIBED"\)\)$', result[1][0]), "so does RECURSIVEMATCH", result)
        t.is_(names('LIST (SUBSCRIBED RECURSIVEMATCH) "" *'), [b"gone/deep/down"], "a name that is none is not told where what is below it is")
        t.is_(names('LIST "" gone*'), [], "LIST has none of that")
        # The tree of RFC 9051 6.3.9.8, example 8.
        for name in ("foo2", "foo2/bar1", "foo2/bar2", "baz2", "baz2/bar2", "eps2", "eps2/mamba", "qux2/bar2"):
            client.command(f"CREATE {name}")
        for name in ("foo2/bar1", "foo2/bar2", "baz2/bar2", "eps2", "eps2/mamba", "qux2/bar2"):
            client.command(f"SUBSCRIBE {name}")
        info = b' ("CHILDINFO" ("SUBSCRIBED"))'
        for pattern, found in (("*2", [b"baz2/bar2", b"eps2" + info, b"foo2" + info, b"foo2/bar2", b"qux2/bar2"]), ("%2", [b"baz2" + info, b"eps2" + info, b"foo2" + info, b"qux2" + info]),
                               ("*2/*", [b"baz2/bar2", b"eps2/mamba", b"foo2/bar1", b"foo2/bar2", b"qux2/bar2"])):
            t.is_(names(f'LIST (SUBSCRIBED RECURSIVEMATCH) "" "{pattern}"'), found, f"CHILDINFO where it is news: {pattern}")
        t.is_(client.command('LIST "" qux2')[1], [b'* LIST (\\Noselect \\HasChildren) "/" qux2'], "a level is \\Noselect")
        t.is_(client.command('LIST () "" qux2')[1], [b'* LIST (\\NonExistent \\HasChildren) "/" qux2'], "and in extended LIST it does not exist")
        client.command("CREATE box/Kept (USE (\\Archive))")
        client.command("CREATE box")
        client.command("SUBSCRIBE box/Kept")
        result = client.command('LIST (SPECIAL-USE RECURSIVEMATCH) "" box RETURN (STATUS (MESSAGES))')
        t.ok(len(result[1]) == 1 and result[1][0].endswith(b' box ("CHILDINFO" ("SPECIAL-USE"))'), "CHILDINFO says by what, and there is no STATUS of what is not selected", result)
        result = client.command('LIST (SPECIAL-USE SUBSCRIBED RECURSIVEMATCH) "" box')
        t.ok(result[1] and result[1][0].endswith(b'("CHILDINFO" ("SUBSCRIBED" "SPECIAL-USE"))'), "by both", result)
        starts(client.command("CREATE odd (USE (\\Odd))"), b"NO [USEATTR]", "a special use that is not known")
        starts(client.command("CREATE odd (USE (Sent))"), b"BAD", "one that is none")
        t.is_(names('LIST "" odd'), [], "neither makes a mailbox")
        append(client, PLAIN % (1, 1))
        client.command("SELECT INBOX")
        starts(client.command("DELETE INBOX"), b"NO", "DELETE INBOX, selected")
        tells(client.command("FETCH 1 UID"), [b"* 1 FETCH (UID 1)"], "leaves it selected")


def test_grammar():
    with Stand() as stand:
        client = stand.client()
        client.send(b"a+b NOOP\r\nc\r\n")
        t.ok(client.line().startswith(b"* BAD"), "a tag that is none is not answered")
        t.ok(client.line().startswith(b"c BAD"), "one without a command is")
        for command in ('ID ("a" "b" "c")', "ID (a b)", "ID x", "ID (NIL NIL)", 'ID ("a" "b"' + ' "a" "b"' * 30 + ")"):
            starts(client.command(command), b"BAD", f"no ID: {command[:20]}")
        for command in ("ID NIL", "ID nil", "ID ()", 'ID ("a" NIL "b" "c")', b'ID ("a" {1+}\r\nb)'):
            tells(client.command(command), [b'* ID ("name" "tern")'], f"{command}")


def test_numbers():
    with Stand() as stand:
        client = filled(stand, 3)
        client.command("CREATE empty")
        client.command("SELECT empty")
        for command in ("FETCH 1:* UID", "FETCH * UID", "STORE * +FLAGS (\\Seen)", "COPY 1:* INBOX", "MOVE 1 INBOX"):
            starts(client.command(command), b"BAD", f"no number is in an empty mailbox: {command}")
        tells(client.command("SEARCH 1:* NOT DELETED"), [b"* SEARCH"], "but a search may ask for all")
        tells(client.command("UID SEARCH 1:*"), [b"* SEARCH"], "with UIDs, too")
        tells(client.command("UID FETCH 1:* UID"), [], "and UIDs are never wrong")
        client.command("SELECT INBOX")
        tells(client.command("FETCH 1 BODY.PEEK[TEXT]<5000000000.1>"), [b"* 1 FETCH (BODY[TEXT]<5000000000> {0}\r\n)"], "offsets have 63 bits")
        tells(client.command("FETCH 1 BODY.PEEK[TEXT]<5.9223372036854775807>"), [b"* 1 FETCH (BODY[TEXT]<5> {3}\r\n0\r\n)"], "lengths, too")
        starts(client.command("FETCH 1 BODY.PEEK[]<9223372036854775808.1>"), b"BAD", "not 64")
        for keys, found in (("2:9", b" 2 3"), ("9", b""), ("4:*", b" 3"), ("*:4", b" 3"), ("NOT 9", b" 1 2 3"), ("OR 1 9", b" 1")):
            tells(client.command(f"SEARCH {keys}"), [b"* SEARCH" + found], f"a search for numbers that are not there finds those that are: {keys}")
        result = client.command("SEARCH RETURN () 9")
        t.ok(len(result[1]) == 1 and result[1][0].endswith(b'")'), "or none", result)
        starts(client.command("FETCH 2:4 UID"), b"BAD", "other commands refuse them")
        other = stand.client()
        other.command("SELECT INBOX")
        other.command("STORE 1 +FLAGS (\\Deleted)")
        client.command("NOOP")
        other.command("EXPUNGE")
        result = client.command("UID SEARCH 1:3 UNDELETED")
        t.ok(not any(b"EXPUNGE" in answer for answer in result[1]), "UID SEARCH with sequence numbers tells no expunge", result)
        result = client.command("UID SEARCH ALL")
        t.ok(b"* 1 EXPUNGE" in result[1], "without them it may", result)
        client.command("STORE 1 +FLAGS (\\Deleted)")
        client.command("UID SEARCH RETURN (SAVE) ALL")
        other.command("NOOP")
        other.command("EXPUNGE")
        result = client.command("UID SEARCH $")
        t.ok(b"* 1 EXPUNGE" in result[1], "$ is no number", result)
        client.command("SEARCH RETURN (SAVE) ALL")
        starts(client.command("SEARCH RETURN (SAVE) FOO"), b"BAD", "a search that is refused with BAD")
        tells(client.command("SEARCH $"), [b"* SEARCH 1"], "leaves $ as it was")


def test_addresses():
    fields = ("ann@example.test", "Ann <ann@example.test>", "<ann (not Zoe)@ (really) example.test>", "ann@example.test (Ann)", "ann1@example.test, ann2@example.test", "two: ann@one.test,\r\n ann@two.test;")
    with Stand() as stand:
        client = stand.client()
        for field in fields:
            append(client, f"From: {field}\r\nX-Copy: {field}\r\n\r\nbody\r\n".encode())
        client.command("SELECT INBOX")
        for way in ("from the header", "from rows"):
            for key, found in (("FROM ann@example.test", b" 1 2 3 4"), ("FROM nn@exam", b" 1 2 3 4"), ("FROM ann2", b" 5"), ("FROM two", b" 6"), ("FROM ann@two.test", b" 6"), ("FROM Zoe", b" 3"),
                               ("HEADER From ann@example.test", b" 1 2 3 4"), ("HEADER X-Copy ann@example.test", b" 1 2 4"), ("TO ann", b"")):
                tells(client.command(f"SEARCH {key}"), [b"* SEARCH" + found], f"{way}: {key}")


def test_sent():
    with Stand() as stand:
        client = stand.client()
        for date in (b"Mon, 1 Jan 2024 23:30:00 -0500", b"not a date", b""):
            append(client, (b"Date: %s\r\n" % date if date else b"") + b"Subject: s\r\n\r\nb\r\n")
        client.command("SELECT INBOX")
        for turn in ("at first", "again"):
            for keys, found in (("SENTON 1-Jan-2024", b" 1"), ("SENTSINCE 2-Jan-2024", b""), ("SENTBEFORE 1-Jan-2035", b" 1"), ("SENTSINCE 1-Jan-1970", b" 1"),
                                ("NOT SENTSINCE 1-Jan-1970", b" 2 3"), ("SINCE 1-Jan-1980", b" 1 2 3")):
                tells(client.command(f"SEARCH {keys}"), [b"* SEARCH" + found], f"a message without a Date was sent on no day: {keys}, {turn}")


def test_parameters():
    with Stand() as stand:
        append(stand.client(), b"Content-Type: application/pdf; name*=utf-8''%c3%a4.pdf\r\nContent-Disposition: attachment; filename*0*=utf-8'en'%c3%a4; filename*1=.pdf\r\n\r\nx\r\n")
        raw = (b'"application" "pdf" ("name*" "utf-8\'\'%C3%A4.pdf") NIL NIL "7bit" 3', b' NIL ("attachment" ("filename*" "utf-8\'en\'%C3%A4.pdf")) NIL NIL')
        text = (b'"application" "pdf" ("name*" {6}\r\n\xc3\xa4.pdf) NIL NIL "7bit" 3', b' NIL ("attachment" ("filename*" {6}\r\n\xc3\xa4.pdf)) NIL NIL')
        for rev, (body, more) in ((1, raw), (2, text), (1, raw)):
            client = stand.client()
            if rev == 2:
                client.command("ENABLE IMAP4rev2")
            client.command("SELECT INBOX")
            for item, answer in (("BODY", body), ("BODYSTRUCTURE", body + more)):
                t.ok(b"* 1 FETCH (%s (%s))" % (item.encode(), answer) in [re.sub(rb"UID 1 ", b"", line) for line in client.command(f"FETCH 1 {item}")[1]],
                     f"parameters of RFC 2231: {item}, IMAP4rev{rev}", client.command(f"FETCH 1 {item}"))
            client.close()


def test_keywords():
    with Stand() as stand:
        client = filled(stand, 2)
        client.command("SELECT INBOX")
        for command in ("STORE 1 +FLAGS (new1)", "STORE 1 +FLAGS (new2 $new3)"):
            result = client.command(command)
            kinds = [answer.split()[1 if b"FLAGS (\\Seen" in answer else 2] for answer in result[1]]
            t.ok(kinds.count(b"FLAGS") == 1 and kinds.index(b"FLAGS") < kinds.index(b"FETCH"), f"a new keyword is announced before it is used: {command}", result)
        result = client.command("STORE 2 +FLAGS (new1)")
        t.is_(len(result[1]), 1, "one that is known is not announced again")
        other = stand.client()
        other.command("SELECT INBOX")
        other.command("STORE 1 +FLAGS (foreign)")
        result = client.command("FETCH 1 (FLAGS BODY[TEXT])")
        announced = next((i for i, answer in enumerate(result[1]) if answer.startswith(b"* FLAGS") and b"foreign" in answer), 99)
        used = next((i for i, answer in enumerate(result[1]) if b"FETCH" in answer and b"foreign" in answer), 99)
        t.ok(announced < used, "nor another session's used before it is announced", result)


def test_condstore():
    with Stand() as stand:
        client, other = filled(stand, 4), stand.client()
        other.command("SELECT INBOX")
        client.command("SELECT INBOX (CONDSTORE)")
        known = number(client.command("STATUS INBOX (HIGHESTMODSEQ)"), rb"HIGHESTMODSEQ (\d+)")
        other.command("STORE 2 +FLAGS (\\Answered)")
        result = client.command(f"STORE 1:2 (UNCHANGEDSINCE {known}) +FLAGS.SILENT (\\Draft)")
        t.ok(result[0].startswith(b"OK [MODIFIED 2]") and any(re.match(rb"\* 2 FETCH \(.*\\Answered", answer) for answer in result[1]),
             "what has failed a conditional STORE is told with it", result)
        t.ok(all(b"UID " in answer and b"MODSEQ" in answer for answer in result[1]), "with CONDSTORE, all have UID and MODSEQ", result)
        result = client.command("FETCH 3 BODY[TEXT]")
        t.ok(re.search(rb" UID 3 FLAGS \(\\Seen.*\) MODSEQ \(\d+\)\)$", result[1][0]), "a FETCH that marks as seen, too", result)
        other.command("STORE 4 +FLAGS (\\Flagged)")
        t.ok(re.match(rb"\* 4 FETCH \(UID 4 MODSEQ ", client.command("NOOP")[1][0]), "and what others have done")
        of = [number(client.command(f"FETCH {i} MODSEQ"), rb"MODSEQ \((\d+)") for i in range(1, 5)]
        for returns, modseq in (("MIN", of[0]), ("MAX", of[3]), ("MIN MAX", max(of[0], of[3])), ("COUNT", max(of)), ("MIN COUNT", max(of)), ("ALL", max(of)), ("PARTIAL 1:2", max(of[:2]))):
            t.is_(number(client.command(f"SEARCH RETURN ({returns}) MODSEQ {min(of)}"), rb"MODSEQ (\d+)"), modseq, f"SEARCH RETURN ({returns}): the MODSEQ of what is returned")
        t.is_(number(client.command(f"SORT RETURN (MIN) (REVERSE ARRIVAL SUBJECT) UTF-8 MODSEQ {min(of)}"), rb"MODSEQ (\d+)"), of[0], "SORT, too")
        client.command("CREATE away")
        result = client.command("MOVE 1 away")
        moved = number(result, rb"^OK \[HIGHESTMODSEQ (\d+)\]")
        t.ok(moved and b"* 1 EXPUNGE" in result[1] and moved == number(client.command("STATUS INBOX (HIGHESTMODSEQ)"), rb"HIGHESTMODSEQ (\d+)"), "MOVE tells HIGHESTMODSEQ", result)
        other.command("NOOP")
        t.ok(b"HIGHESTMODSEQ" not in other.command("MOVE 1 away")[0], "not to who has not asked for it")
        client = stand.client()
        client.command("ENABLE IMAP4rev2")
        client.command("SELECT INBOX")
        result = client.command("STORE 1 +FLAGS (\\Answered)")
        t.ok(result[1][0].startswith(b"* 1 FETCH (UID 3 FLAGS ("), "IMAP4rev2: UIDs are told", result)
        client = stand.client()
        client.command("SELECT INBOX")
        t.ok(client.command("STORE 1 +FLAGS (\\Flagged)")[1][0].startswith(b"* 1 FETCH (FLAGS ("), "IMAP4rev1: they are not")
        client.command("ENABLE UTF8=ACCEPT")
        starts(client.command(b'SEARCH SUBJECT "\xff"'), b"BAD", "UTF8=ACCEPT: quoted strings are UTF-8")
        starts(client.command("SEARCH CHARSET UTF-8 ALL"), b"BAD", "UTF8=ACCEPT: no CHARSET")
        starts(client.command("SORT (DATE) UTF-8 ALL"), b"OK", "where it must be, it may")


def test_qresync():
    with Stand() as stand:
        client = filled(stand, 9)
        client.command("ENABLE QRESYNC")
        validity = number(client.command("SELECT INBOX"), rb"UIDVALIDITY (\d+)")
        client.command("UID STORE 2,5,8 +FLAGS.SILENT (\\Deleted)")
        client.command("EXPUNGE")  # left: 1 3 4 6 7 9
        vanished = lambda result: next((answer[21:] for answer in result[1] if answer.startswith(b"* VANISHED (EARLIER)")), None)
        for given, gone in (("", b"2,5,8"), (" 1:7", b"2,5"), (" (1:3 1,3:4)", b"5,8"), (" 1:9 (1,4 1,6)", b"8"), (" (1,4,5 1,6,8)", b"8"), (" (2 2)", b"2,5,8"), (" (6 9)", None),
                            (" (7:9 7:9)", b"2,5,8")):
            t.is_(vanished(client.command(f"SELECT INBOX (QRESYNC ({validity} 1{given}))")), gone, f"QRESYNC{given}: what the client does not know yet")
        highest = number(client.command("STATUS INBOX (HIGHESTMODSEQ)"), rb"HIGHESTMODSEQ (\d+)")
        for kept in (True, False):
            client.command("UNSELECT")
            if not kept:
                forget_expunges(os.path.join(stand.mail, "tern-mailbox"), highest)
            client.command("SELECT INBOX")
            how = "" if kept else ", where the history has been forgotten: whatever is not there counts"
            t.is_(vanished(client.command(f"UID FETCH 1:* UID (CHANGEDSINCE {highest - 1} VANISHED)")), b"2,5,8", f"UID FETCH VANISHED{how}")
            t.is_(vanished(client.command(f"UID FETCH 3:7 UID (CHANGEDSINCE {highest - 1} VANISHED)")), b"5", "of some")
            t.is_(vanished(client.command(f"UID FETCH 1:* UID (CHANGEDSINCE {highest} VANISHED)")), None, "and of nothing")


def test_binary():
    message = (b"From: a@example.test\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n")
    unknown = message.replace(b"base64", b"x-odd")
    with Stand() as stand:
        client = stand.client()
        append(client, message)
        append(client, unknown)
        client.command("SELECT INBOX")
        tells(client.command("FETCH 1 BINARY.PEEK[]"), [b"* 1 FETCH (BINARY[] ~{%d}\r\n%s)" % (len(message), message)], "BINARY[] is the message, header and all")
        tells(client.command("FETCH 1 BINARY.SIZE[]"), [b"* 1 FETCH (BINARY.SIZE[] %d)" % len(message)], "and its size that of it")
        header = message[:-len(b"aGVsbG8=\r\n")]
        for item, answer in (("[HEADER]", header), ("[1.MIME]", header), ("[TEXT]", b"hello"), ("[1]<1>", b"ello"), ("[1]<1.2>", b"el")):
            said = item.split(">")[0].split(".2")[0] + (">" if "<" in item else "")
            tells(client.command(f"FETCH 1 BINARY.PEEK{item}"), [b"* 1 FETCH (BINARY%s ~{%d}\r\n%s)" % (said.encode(), len(answer), answer)], f"BINARY{item}, as of Dovecot's")
            if "<" not in item:
                tells(client.command(f"FETCH 1 BINARY.SIZE{item}"), [b"* 1 FETCH (BINARY.SIZE%s %d)" % (item.encode(), len(answer))], "and its size")
        field = b"From: a@example.test\r\n\r\n"
        tells(client.command("FETCH 1 BINARY.PEEK[HEADER.FIELDS (From)]"), [b"* 1 FETCH (BINARY[HEADER.FIELDS (From)] {%d}\r\n%s)" % (len(field), field)], "some fields")
        tells(client.command("FETCH 1 BINARY.SIZE[HEADER.FIELDS (From)]"), [b"* 1 FETCH (BINARY.SIZE[HEADER.FIELDS (From)] %d)" % len(field)], "their size")
        tells(client.command("FETCH 1 BINARY.PEEK[1]"), [b"* 1 FETCH (BINARY[1] ~{5}\r\nhello)"], "its part is decoded")
        tells(client.command("FETCH 2 BINARY.PEEK[]"), [b"* 2 FETCH (BINARY[] ~{%d}\r\n%s)" % (len(unknown), unknown)], "whatever encoding it has")
        starts(client.command("FETCH 2 BINARY.PEEK[1]"), b"NO [UNKNOWN-CTE]", "which the part cannot be without")


for test in (test_list, test_grammar, test_numbers, test_addresses, test_sent, test_parameters, test_keywords, test_condstore, test_qresync, test_binary):
    print(f"# {test.__name__[5:]}", flush=True)
    try:
        test()
    except (EOFError, OSError, TypeError, AttributeError, IndexError) as error:
        t.ok(False, f"{test.__name__}: {error!r}", error.__traceback__.tb_next.tb_lineno if error.__traceback__.tb_next else "")
t.done()
