#!/usr/bin/env python3
"""IMAP commands and extensions, each by a dialogue with a session that stands alone (imap_stand)."""

import os
import re

import tern_test as t
from imap_client import Stand

ONE = (b"Date: Mon, 2 Jan 2023 10:00:00 +0000\r\nFrom: Ann <ann@example.test>\r\nTo: bob@example.test\r\n"
       b"Subject: apples\r\nMessage-ID: <1@example.test>\r\n\r\nred and round\r\n")
TWO = (b"Date: Tue, 3 Jan 2023 10:00:00 +0000\r\nFrom: Zoe <zoe@example.test>\r\nTo: bob@example.test\r\nCc: carl@example.test\r\n"
       b"Subject: Re: apples\r\nMessage-ID: <2@example.test>\r\nIn-Reply-To: <1@example.test>\r\n\r\ngreen, sour\r\n")
THREE = (b"Date: Sun, 1 Jan 2023 10:00:00 +0000\r\nFrom: Mia <mia@example.test>\r\nTo: ann@example.test\r\n"
         b"Subject: =?utf-8?q?B=C3=A4ume?=\r\nMessage-ID: <3@example.test>\r\nMIME-Version: 1.0\r\n"
         b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n"
         b"Content-Transfer-Encoding: quoted-printable\r\n\r\nlange =C3=84ste\r\n--b\r\n"
         b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAwQ=\r\n--b--\r\n")
BASIC = (ONE, TWO, THREE)


def append(client, message, mailbox="INBOX", flags="", date=""):
    head = f"APPEND {mailbox} {flags + ' ' if flags else ''}{date + ' ' if date else ''}{{{len(message)}+}}\r\n"
    return client.command(head.encode() + message)


def starts(result, word, name):
    return t.ok(result[0].startswith(word), name, result)


def has(result, answer, name):
    """An untagged answer, whole; its result is OK."""
    return t.ok(answer in result[1] and result[0].startswith(b"OK"), name, result)


def find(result, pattern):
    """The first untagged answer that matches: its match."""
    for answer in result[1]:
        if match := re.search(pattern, answer, re.S):
            return match
    return None


def modseq(client):
    return int(find(client.command("STATUS INBOX (HIGHESTMODSEQ)"), rb"HIGHESTMODSEQ (\d+)")[1])


def filled(stand, messages=BASIC, select=True):
    client = stand.client()
    for message in messages:
        append(client, message)
    if select:
        client.command("SELECT INBOX")
    return client


def test_literals():
    with Stand() as stand:
        client = stand.client()
        t.ok(client.greeting.startswith(b"* PREAUTH [CAPABILITY IMAP4rev1 IMAP4rev2 "), "the greeting", client.greeting)
        starts(client.command(b"CREATE {3+}\r\none"), b"OK", "a literal that is not waited for")
        client.send(b"s1 CREATE {3}\r\n")
        t.ok(client.line().startswith(b"+ "), "one that is")
        client.send(b"two\r\n")
        t.ok(client.wait(b"s1")[0].startswith(b"OK"), "and its command")
        client.send(b"s2 RENAME {3+}\r\ntwo {5}\r\n")
        t.ok(client.line().startswith(b"+ "), "two in a command, of both kinds")
        client.send(b"three\r\n")
        t.ok(client.wait(b"s2")[0].startswith(b"OK"), "and its command")
        has(client.command('LIST "" three'), b'* LIST (\\HasNoChildren \\UnMarked) "/" three', "what it renamed")
        starts(client.command(b"CREATE {0+}\r\n"), b"NO [CANNOT]", "an empty name")
        client.send(b"s3 APPEND {5+}\r\nINBOX {%d}\r\n" % len(ONE))
        t.ok(client.line().startswith(b"+ "), "APPEND with its mailbox as a literal")
        client.send(ONE + b"\r\n")
        t.ok(b"APPENDUID" in client.wait(b"s3")[0], "and its message")
        client.send(b"p1 SELECT INBOX\r\np2 FETCH 1 UID\r\np3 STORE 1 +FLAGS (\\Flagged)\r\np4 FETCH 1 FLAGS\r\np5 NOOP\r\n")
        results = [client.wait(b"p%d" % i) for i in range(1, 6)]
        t.ok(all(result[0].startswith(b"OK") for result in results), "commands in one piece", results)
        t.ok(find(results[3], rb"\\Flagged"), "are done in their order", results[3])
        client.send(b"".join(bytes([c]) for c in b"q1 NOOP\r"))
        client.send(b"\nq2 NOOP\r\n")
        t.ok(client.wait(b"q1")[0].startswith(b"OK") and client.wait(b"q2")[0].startswith(b"OK"), "a line in pieces")


def test_malformed():
    bad = ["", "FOO", "SELECT", "SELECT  INBOX", "SELECT INBOX x", 'SELECT "INBOX', "FETCH 1 FLAGS", "UID", "UID NOOP", "UID FOO 1",
           "LIST", 'LIST ""', "LIST (RECURSIVEMATCH) \"\" *", 'LIST "" * RETURN (STATUS)', "STATUS INBOX", "STATUS INBOX ()", "STATUS INBOX (FOO)", "CREATE",
           "APPEND", "APPEND INBOX", "NOOP x", "ENABLE", "ID", "ID (", "ID (\"a\")", "COMPRESS", "LSUB \"\"", "RENAME a", "STORE 1 FLAGS ()",
           "SELECT INBOX (QRESYNC (1 1))"]
    selected = ["FETCH", "FETCH 1", "FETCH 0 FLAGS", "FETCH 4294967296 FLAGS", "FETCH 1: FLAGS", "FETCH 1,, FLAGS", "FETCH 99 FLAGS", "FETCH 1 ()",
                "FETCH 1 (FLAGS", "FETCH 1 FOO", "FETCH 1 BODY[", "FETCH 1 BODY[0]", "FETCH 1 BODY[]<0.0>", "FETCH 1 BODY[]<1>",
                "FETCH 1 BODY[HEADER.FIELDS ()]", "FETCH 1 BODY[MIME]", "FETCH 1 FLAGS (VANISHED)", "UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)",
                "STORE 1", "STORE 1 FLAGS", "STORE 1 FLAGS (\\Recent)", "STORE 1 +FLAGS (", "STORE 1 FOO (\\Seen)", "COPY 1", "COPY 9 INBOX",
                "SEARCH", "SEARCH FOO", "SEARCH OR ALL", "SEARCH NOT", "SEARCH (ALL", "SEARCH ON 32-Jan-2023", "SEARCH ON 1-Foo-2023",
                "SEARCH RETURN (FOO) ALL", "SEARCH RETURN (ALL PARTIAL 1:2) ALL", "SEARCH RETURN (PARTIAL 1:2 PARTIAL 3:4) ALL", "SEARCH LARGER x",
                "SEARCH OLDER 0", "SEARCH YOUNGER 0", "THREAD RETURN (COUNT) REFERENCES UTF-8 ALL", "FETCH 1 UID (PARTIAL 1:2)", "UID FETCH 1 UID (PARTIAL 0:2)", "UID FETCH 1 UID (PARTIAL 1:-2)", "SORT (SUBJECT) ALL", "SORT () UTF-8 ALL",
                "SORT (REVERSE) UTF-8 ALL", "THREAD FOO UTF-8 ALL", "THREAD REFERENCES UTF-8", "UID EXPUNGE", "EXPUNGE 1",
                "SEARCH " + "NOT " * 1000 + "ALL", "SEARCH " + "(" * 1000 + "ALL" + ")" * 1000, "FETCH 1 (" + "FLAGS " * 5000 + "FLAGS)"]
    with Stand() as stand:
        client = filled(stand, select=False)
        for commands in (bad, selected):
            for command in commands:
                result = client.command(command)
                starts(result, b"BAD", f"BAD: {command[:60]!r}")
                starts(client.command("NOOP"), b"OK", "and it goes on")
            client.command("SELECT INBOX")
        client.command("UNSELECT")
        # What a refused APPEND has announced is never taken for commands.
        for head in (b"APPEND INBOX (\\Foo{ {%d+}", b"APPEND {%d+}", b"APPEND INBOX x {%d+}", b"APPEND  INBOX {%d+}", b"APPEND INBOX ((( {%d+}",
                     b" APPEND INBOX {%d+}", b"APPEND INBOX \"1-Foo-2023 00:00:00 +0000\" {%d+}", b"APPEND INBOX UTF8 {%d+}"):
            inside = b"evil CREATE evil\r\n"
            client.send(b"m1 " + head % len(inside) + b"\r\n" + inside + b"\r\nm2 NOOP\r\n")
            first = client.answer()
            second = client.answer()
            t.ok(first.startswith(b"m1 BAD") or first.startswith(b"m1 NO") or first.startswith(b"* BAD"), f"refused: {head!r}", first)
            t.ok(second.startswith(b"m2 OK"), "with its literal", second)
        client.send(b"m3 APPEND INBOX {3+}\r\nabc (\\Foo{ {%d+}\r\n" % len(inside) + inside + b"\r\nm4 NOOP\r\n")
        t.ok(client.answer().startswith(b"m3 BAD") and client.answer().startswith(b"m4 OK"), "the second message's, too")
        t.is_(client.command('LIST "" evil')[1], [], "nothing was done by it")
        t.ok(find(client.command("STATUS INBOX (MESSAGES)"), rb"MESSAGES 3\)"), "and nothing was saved")
        client.send(b"x APPEND nowhere {5}\r\n")
        t.ok(client.answer().startswith(b"x NO [TRYCREATE]"), "a literal that will not be wanted is not asked for")
        client.send(b"y APPEND nowhere {5+}\r\nhellO\r\n")
        t.ok(client.answer().startswith(b"y NO [TRYCREATE]"), "one that came is read")
        starts(client.command("NOOP"), b"OK", "and it goes on")
        client.send(b"z CREATE {5000000}\r\n")
        t.ok(client.answer().startswith(b"z NO [TOOBIG]"), "a literal that is too large is not asked for")
        starts(client.command("NOOP"), b"OK", "and it goes on")
        client.send(b"z CREATE {5000000+}\r\n")
        t.ok(b"* BYE [TOOBIG]" in (client.at_end() or b""), "one that comes unasked ends the session")
        for data, name in ((b"a NO\nOP\r\n", "a bare LF"), (b"a NO\0OP\r\n", "a NUL"), (b"a " + b"x" * 70000 + b"\r\n", "a long line")):
            client = stand.client()
            client.send(data)
            t.ok((client.at_end() or b"").startswith(b"* BYE"), f"{name} ends the session")
        client = stand.client()
        client.send(b"a FOO\r\n" * 25)
        said = client.at_end() or b""
        t.is_((said.count(b"a BAD"), said.count(b"* BYE")), (20, 1), "twenty bad commands in a row end it")


def test_fetch():
    with Stand() as stand:
        client = filled(stand, [ONE])
        append(client, TWO, flags="(\\Flagged $Work)", date='"17-Jul-1996 02:44:25 -0700"')
        append(client, THREE)
        client.command("NOOP")
        for command, answer in (
                ("FETCH 1 (UID RFC822.SIZE)", b"* 1 FETCH (UID 1 RFC822.SIZE %d)" % len(ONE)),
                ("UID FETCH 2 INTERNALDATE", b'* 2 FETCH (UID 2 INTERNALDATE "17-Jul-1996 09:44:25 +0000")'),
                ("FETCH 1 BODY.PEEK[]", b"* 1 FETCH (BODY[] {%d}\r\n%s)" % (len(ONE), ONE)),
                ("FETCH 1 BODY.PEEK[]<5.3>", b"* 1 FETCH (BODY[]<5> {3}\r\n Mo)"),
                ("FETCH 1 BODY.PEEK[]<5000.3>", b"* 1 FETCH (BODY[]<5000> {0}\r\n)"),
                ("FETCH 1 BODY.PEEK[TEXT]", b"* 1 FETCH (BODY[TEXT] {15}\r\nred and round\r\n)"),
                ("FETCH 1 BODY.PEEK[TEXT]<8.100>", b"* 1 FETCH (BODY[TEXT]<8> {7}\r\nround\r\n)"),
                ("FETCH 1 BODY.PEEK[HEADER.FIELDS (subject FROM)]",
                 b"* 1 FETCH (BODY[HEADER.FIELDS (subject FROM)] {49}\r\nFrom: Ann <ann@example.test>\r\nSubject: apples\r\n\r\n)"),
                ("FETCH 1 BODY.PEEK[HEADER.FIELDS.NOT (Date From To Message-ID)]",
                 b"* 1 FETCH (BODY[HEADER.FIELDS.NOT (Date From To Message-ID)] {19}\r\nSubject: apples\r\n\r\n)"),
                ("FETCH 1 RFC822.HEADER", b"* 1 FETCH (RFC822.HEADER {%d}\r\n%s)" % (len(ONE) - 15, ONE[:-15])),
                ("FETCH 3 BODY.PEEK[1]", b"* 3 FETCH (BODY[1] {15}\r\nlange =C3=84ste)"),
                ("FETCH 3 BODY.PEEK[2.MIME]", b"* 3 FETCH (BODY[2.MIME] {77}\r\nContent-Type: application/octet-stream\r\n"
                                              b"Content-Transfer-Encoding: base64\r\n\r\n)"),
                ("FETCH 3 BODY.PEEK[7]", b"* 3 FETCH (BODY[7] NIL)"),
                ("FETCH 3 BINARY.PEEK[1]", "* 3 FETCH (BINARY[1] ~{11}\r\nlange Äste)".encode()),
                ("FETCH 3 BINARY.PEEK[2]", b"* 3 FETCH (BINARY[2] ~{5}\r\n\0\1\2\3\4)"),
                ("FETCH 3 BINARY.PEEK[2]<1.2>", b"* 3 FETCH (BINARY[2]<1> ~{2}\r\n\1\2)"),
                ("FETCH 3 BINARY.SIZE[2]", b"* 3 FETCH (BINARY.SIZE[2] 5)"),
                ("FETCH 1 PREVIEW", b'* 1 FETCH (PREVIEW "red and round")'),
                ("FETCH 1 (PREVIEW (LAZY))", b'* 1 FETCH (PREVIEW "red and round")'),
                ("FETCH 1 THREADID", b"* 1 FETCH (THREADID NIL)"),
                ("FETCH 1 ENVELOPE",
                 b'* 1 FETCH (ENVELOPE ("Mon, 2 Jan 2023 10:00:00 +0000" "apples" (("Ann" NIL "ann" "example.test")) '
                 b'(("Ann" NIL "ann" "example.test")) (("Ann" NIL "ann" "example.test")) ((NIL NIL "bob" "example.test")) NIL NIL NIL '
                 b'"<1@example.test>"))'),
                ("FETCH 1 BODY", b'* 1 FETCH (BODY ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 15 1))')):
            result = client.command(command)
            lower = [answer_.lower() for answer_ in result[1]]
            t.ok(answer.lower() in lower and result[0].startswith(b"OK"), command, result)
        t.ok(find(client.command("FETCH 3 BODYSTRUCTURE"), rb'(?i)"mixed" \("boundary" "b"\)'), "FETCH BODYSTRUCTURE")
        t.ok(find(client.command("FETCH 2 FLAGS"), rb"FLAGS \((?=.*\\Flagged)(?=.*\$Work)"), "FETCH FLAGS")
        result = client.command("FETCH 1:* (SAVEDATE EMAILID)")
        ids = {re.search(rb"EMAILID \(([A-Za-z0-9_-]+)\)", answer)[1] for answer in result[1]}
        t.ok(len(ids) == 3 and all(b'SAVEDATE "' in answer for answer in result[1]), "SAVEDATE, EMAILID", result)
        for macro, words in (("ALL", b"ENVELOPE"), ("FAST", b"RFC822.SIZE"), ("FULL", b"BODY (")):
            t.ok(find(client.command(f"FETCH 1 {macro}"), re.escape(words)), f"FETCH {macro}")
        t.ok(not find(client.command("FETCH 1 FLAGS"), rb"\\Seen"), "no PEEK has marked it seen")
        t.ok(find(client.command("FETCH 1 BODY[TEXT]"), rb"FLAGS \([^)]*\\Seen"), "BODY[] does, and tells")
        t.ok(find(client.command("FETCH 1 FLAGS"), rb"\\Seen"), "and it stays")
        has(client.command("UID FETCH 1000:* UID"), b"* 3 FETCH (UID 3)", "* is the last one, in whichever order")
        t.is_(client.command("UID FETCH 50:60 UID")[1], [], "UIDs that are not there are nothing")
        has(client.command("UID FETCH 1:* UID (PARTIAL 1:2)"), b"* 2 FETCH (UID 2)", "FETCH PARTIAL")
        t.is_(client.command("UID FETCH 1:* UID (PARTIAL -1:-1)")[1], [b"* 3 FETCH (UID 3)"], "FETCH PARTIAL from the end")
        nul = b"From: a\0b@example.test\r\nSubject: s\0\r\n\r\nx\0\0y\0\r\n"
        starts(client.command(b"APPEND INBOX (\\Seen) ~{%d+}\r\n%s" % (len(nul), nul)), b"OK", "APPEND of NUL octets")
        shown = nul.replace(b"\0", b"\x80")
        header, body = shown[:shown.index(b"x\x80")], shown[shown.index(b"x\x80"):]
        for item, answer in (("BODY.PEEK[]", shown), ("RFC822", shown), ("BODY.PEEK[HEADER]", header), ("BODY.PEEK[TEXT]", body), ("BODY.PEEK[1]", body),
                             ("BODY.PEEK[HEADER.FIELDS (Subject)]", b"Subject: s\x80\r\n\r\n"), ("BODY.PEEK[TEXT]<2.3>", body[2:5])):
            result = client.command(f"FETCH 4 {item}")
            t.ok(find(result, rb"\{%d\}\r\n%s\)$" % (len(answer), re.escape(answer))), f"a literal holds no NUL: {item}", result)
        t.ok(all(b"\0" not in answer for item in ("ENVELOPE", "BODYSTRUCTURE", "PREVIEW") for answer in client.command(f"FETCH 4 {item}")[1]), "nor other answers")
        t.ok(find(client.command("FETCH 4 BINARY.PEEK[1]"), rb"~\{7\}\r\nx\0\0y\0\r\n\)"), "BINARY has it")
        client.command("EXAMINE INBOX")
        client.command("FETCH 2 BODY[]")
        t.ok(not find(client.command("FETCH 2 FLAGS"), rb"\\Seen"), "EXAMINE: BODY[] marks nothing")
        starts(client.command("STORE 2 FLAGS (\\Seen)"), b"NO", "EXAMINE: STORE is refused")
        client.command("CREATE empty")
        client.command("SELECT empty")
        for command in ("UID FETCH 1:* FLAGS", "UID SEARCH ALL", "UID STORE 1:* +FLAGS (\\Seen)", "EXPUNGE", "UID COPY 1:* INBOX"):
            starts(client.command(command), b"OK", f"an empty mailbox: {command}")


def test_search():
    with Stand() as stand:
        client = filled(stand)
        client.command("STORE 1 FLAGS (\\Seen \\Answered $Work)")
        client.command("STORE 2 FLAGS (\\Flagged \\Deleted)")
        client.command("STORE 3 FLAGS (\\Draft)")
        for keys, found in (
                ("ALL", "1 2 3"), ("2:*", "2 3"), ("UID 1,3", "1 3"), ("SEEN", "1"), ("UNSEEN", "2 3"), ("ANSWERED", "1"), ("UNANSWERED", "2 3"),
                ("FLAGGED", "2"), ("UNFLAGGED", "1 3"), ("DELETED", "2"), ("UNDELETED", "1 3"), ("DRAFT", "3"), ("UNDRAFT", "1 2"),
                ("KEYWORD $Work", "1"), ("UNKEYWORD $Work", "2 3"), ("KEYWORD unheard", ""), ("FROM ann", "1"), ("TO bob", "1 2"),
                ("CC carl", "2"), ("BCC x", ""), ("SUBJECT APPLES", "1 2"), ('HEADER Message-ID "<2@"', "2"), ('HEADER Cc ""', "2"),
                ("HEADER X-None x", ""), ("BODY sour", "2"), ("TEXT zoe", "2"), ("BODY zoe", ""), ("NOT SEEN", "2 3"), ("OR SEEN DRAFT", "1 3"),
                ("OR (SEEN FROM ann) (DRAFT)", "1 3"), ("SEEN DRAFT", ""), ("(ALL) NOT (1:2)", "3"), ("SENTON 3-Jan-2023", "2"),
                ("SENTBEFORE 2-Jan-2023", "3"), ('SENTSINCE "2-Jan-2023"', "1 2"), ("BEFORE 1-Jan-2001", ""), ("SINCE 1-Jan-2001", "1 2 3"),
                (f"LARGER {len(TWO)}", "3"), (f"SMALLER {len(TWO)}", "1"), ("YOUNGER 3600", "1 2 3"), ("OLDER 3600", ""),
                ("SAVEDSINCE 1-Jan-2001", "1 2 3"), ("SAVEDBEFORE 1-Jan-2001", ""), ("SAVEDATESUPPORTED", "1 2 3"),
                ("CHARSET UTF-8 SUBJECT {6+}\r\nb\u00e4ume", "3"), ("CHARSET UTF-8 BODY {5+}\r\n\u00c4STE", "3"), ("CHARSET US-ASCII FROM mia", "3")):
            text = keys.encode()
            has(client.command(b"SEARCH " + text), b"* SEARCH" + (b" " + found.encode() if found else b""), f"SEARCH {keys!r}")
        starts(client.command("SEARCH CHARSET FOO ALL"), b"NO [BADCHARSET", "an unknown charset")
        client.command("STORE 2 FLAGS.SILENT ()")
        client.command("UID EXPUNGE 1:*")
        first = client.command("UID SEARCH ALL")
        has(first, b"* SEARCH 1 2 3", "UID SEARCH")
        for returns, keys, answer in (
                ("", "ALL", b" ALL 1:3"), ("ALL", "1,3", b" ALL 1,3"), ("MIN MAX COUNT", "ALL", b" MIN 1 MAX 3 COUNT 3"),
                ("COUNT", "FROM nobody", b" COUNT 0"), ("MIN ALL", "FROM nobody", b""), ("PARTIAL 1:2", "ALL", b" PARTIAL (1:2 1:2)"),
                ("PARTIAL -1:-2", "ALL", b" PARTIAL (-1:-2 2:3)"), ("PARTIAL 10:20", "ALL", b" PARTIAL (10:20 NIL)")):
            client.count += 1
            tag = b"e%d" % client.count
            client.send(tag + f" SEARCH RETURN ({returns}) {keys}\r\n".encode())
            has(client.wait(tag), b'* ESEARCH (TAG "' + tag + b'")' + answer, f"SEARCH RETURN ({returns}) {keys}")
        t.ok(find(client.command("UID SEARCH RETURN (ALL) 2"), rb"^\* ESEARCH \(TAG \"\w+\"\) UID ALL 2$"), "UID SEARCH RETURN")
        # SEARCHRES
        t.is_(client.command("SEARCH RETURN (SAVE) OR FROM ann FROM mia")[1], [], "SAVE alone says nothing")
        has(client.command("SEARCH $"), b"* SEARCH 1 3", "$ in SEARCH")
        t.is_([answer.split()[1] for answer in client.command("FETCH $ UID")[1]], [b"1", b"3"], "$ in FETCH")
        client.command("STORE $ +FLAGS.SILENT (\\Deleted)")
        has(client.command("UID SEARCH DELETED"), b"* SEARCH 1 3", "$ in STORE")
        client.command("STORE 1:* FLAGS.SILENT ()")
        client.command("SEARCH RETURN (SAVE MIN) 2:3")
        has(client.command("SEARCH $"), b"* SEARCH 2", "SAVE MIN saves the first")
        starts(client.command("SEARCH RETURN (SAVE) CHARSET FOO ALL"), b"NO", "a search that fails")
        has(client.command("SEARCH $"), b"* SEARCH", "leaves nothing saved")
        client.command("SEARCH RETURN (SAVE) ALL")
        client.command("STORE 2 +FLAGS (\\Deleted)")
        client.command("EXPUNGE")
        has(client.command("SEARCH $"), b"* SEARCH 1 2", "what is expunged leaves $")
        client.command("SELECT INBOX")
        has(client.command("SEARCH $"), b"* SEARCH", "SELECT empties it")


def test_sort_thread():
    with Stand() as stand:
        client = stand.client()
        for day, message in enumerate(BASIC, 1):
            append(client, message, date=f'" {day}-Mar-2023 00:00:00 +0000"')
        client.command("SELECT INBOX")
        for criteria, found in (("ARRIVAL", "1 2 3"), ("REVERSE ARRIVAL", "3 2 1"), ("DATE", "3 1 2"), ("REVERSE DATE", "2 1 3"), ("FROM", "1 3 2"),
                                ("SUBJECT", "1 2 3"), ("SUBJECT REVERSE DATE", "2 1 3"), ("SIZE", "1 2 3"), ("TO DATE", "3 1 2"),
                                ("CC DATE", "3 1 2"), ("DISPLAYFROM", "1 3 2"), ("DISPLAYTO DATE", "3 1 2")):
            has(client.command(f"SORT ({criteria}) UTF-8 ALL"), b"* SORT " + found.encode(), f"SORT ({criteria})")
        has(client.command("UID SORT (DATE) US-ASCII 1:2"), b"* SORT 1 2", "UID SORT")
        starts(client.command("SORT (DATE) FOO ALL"), b"NO [BADCHARSET", "an unknown charset")
        t.ok(find(client.command("SORT RETURN (MIN MAX COUNT ALL) (DATE) UTF-8 ALL"), rb" MIN 3 MAX 2 COUNT 3 ALL 3,1:2$"), "ESORT")
        for asked, answer in (("1:2", b"3,1"), ("2:9", b"1:2"), ("-1:-1", b"2"), ("-2:-3", b"3,1"), ("4:5", b"NIL")):
            result = client.command(f"SORT RETURN (COUNT PARTIAL {asked}) (DATE) UTF-8 ALL")
            t.ok(find(result, rb"^\* ESEARCH \(TAG \S+\) COUNT 3 PARTIAL \(%s %s\)$" % (asked.encode(), answer)), f"SORT PARTIAL {asked}", result)
        for returns, saved in (("SAVE", b" 1 2 3"), ("SAVE MIN", b" 3"), ("SAVE MAX PARTIAL 1:1", b" 2 3"), ("SAVE PARTIAL 2:2", b" 1"), ("SAVE COUNT PARTIAL 2:2", b" 1 2 3"),
                               ("SAVE PARTIAL 9:9", b"")):
            result = client.command(f"SORT RETURN ({returns}) (DATE) UTF-8 ALL")
            t.ok(bool(result[1]) == (returns != "SAVE"), f"SORT {returns}: an answer if more is asked", result)
            has(client.command("SEARCH $"), b"* SEARCH" + saved, f"SORT {returns}: $")
        has(client.command("THREAD REFERENCES UTF-8 ALL"), b"* THREAD (3)(1 2)", "THREAD=REFERENCES")
        t.ok(find(client.command("THREAD REFS UTF-8 ALL"), rb"^\* THREAD (\(3\)\(1 2\)|\(1 2\)\(3\))$"), "THREAD=REFS")
        has(client.command("THREAD ORDEREDSUBJECT UTF-8 ALL"), b"* THREAD (3)(1 2)", "THREAD=ORDEREDSUBJECT")
        has(client.command("UID THREAD REFERENCES UTF-8 FROM nobody"), b"* THREAD", "no message, no thread")


def test_condstore():
    with Stand() as stand:
        client = filled(stand, select=False)
        result = client.command("SELECT INBOX (CONDSTORE)")
        first = int(find(result, rb"\[HIGHESTMODSEQ (\d+)\]")[1])
        result = client.command("STORE 2 +FLAGS (\\Flagged)")
        second = int(find(result, rb"\* 2 FETCH .*MODSEQ \((\d+)\)")[1])
        t.ok(second > first, "a change has a higher modseq", (first, second))
        t.ok(find(client.command("STORE 2 +FLAGS.SILENT (\\Seen)"), rb"^\* 2 FETCH \(UID 2 MODSEQ \(\d+\)\)$"), "SILENT tells UID and modseq alone")
        result = client.command(f"STORE 1:3 (UNCHANGEDSINCE {first}) +FLAGS (\\Answered)")
        t.ok(result[0].startswith(b"OK [MODIFIED 2]"), "UNCHANGEDSINCE spares what has changed", result)
        t.is_(sorted(answer.split()[1] for answer in result[1]), [b"1", b"3"], "and changes the others")
        result = client.command(f"UID STORE 1:3 (UNCHANGEDSINCE 0) +FLAGS (\\Answered)")
        t.ok(result[0].startswith(b"OK [MODIFIED 1:3]"), "UNCHANGEDSINCE 0 holds for none", result)
        t.is_(client.command(f"FETCH 1:* FLAGS (CHANGEDSINCE {modseq(client)})")[1], [], "CHANGEDSINCE the highest: none")
        t.is_(len(client.command(f"FETCH 1:* FLAGS (CHANGEDSINCE {first})")[1]), 3, "CHANGEDSINCE the first: all")
        t.ok(find(client.command("FETCH 1 MODSEQ"), rb"MODSEQ \(\d+\)"), "FETCH MODSEQ")
        t.ok(find(client.command(f"SEARCH MODSEQ {first + 1}"), rb"^\* SEARCH 1 2 3 \(MODSEQ \d+\)$"), "SEARCH MODSEQ")
        t.ok(find(client.command(f'SEARCH MODSEQ "/flags/\\\\seen" all {first + 1}'), rb"^\* SEARCH"), "SEARCH MODSEQ of a flag")
        before = modseq(client)
        other = stand.client()
        other.command("SELECT INBOX")
        other.command("STORE 1 +FLAGS ($New)")
        result = client.command("NOOP")
        t.ok(find(result, rb"\* FLAGS \(.*\$New") and find(result, rb"\* 1 FETCH .*MODSEQ"), "another's change is told, and its keyword", result)
        client.command("STORE 1 +FLAGS ($New)")
        after = modseq(client)
        t.ok(after > before, "it raised the modseq")
        client.command("STORE 1 +FLAGS ($New)")
        t.is_(modseq(client), after, "a change that changes nothing does not")


def test_qresync():
    with Stand() as stand:
        client = filled(stand, BASIC + BASIC, select=False)
        starts(client.command("SELECT INBOX (QRESYNC (1 1))"), b"BAD", "QRESYNC wants to be enabled")
        has(client.command("ENABLE QRESYNC"), b"* ENABLED QRESYNC", "ENABLE QRESYNC")
        result = client.command("SELECT INBOX")
        validity, known = int(find(result, rb"UIDVALIDITY (\d+)")[1]), int(find(result, rb"HIGHESTMODSEQ (\d+)")[1])
        other = stand.client()
        other.command("SELECT INBOX")
        other.command("STORE 2,4 +FLAGS (\\Deleted)")
        other.command("STORE 5 +FLAGS (\\Flagged)")
        other.command("EXPUNGE")
        result = client.command("NOOP")
        t.ok(b"* VANISHED 2,4" in result[1] and not find(result, rb"EXPUNGE"), "another's expunges are told as VANISHED", result)
        client.command("UNSELECT")
        result = client.command(f"SELECT INBOX (QRESYNC ({validity} {known}))")
        t.ok(b"* VANISHED (EARLIER) 2,4" in result[1], "SELECT tells what has vanished", result)
        told = [answer for answer in result[1] if b" FETCH (" in answer]
        t.ok(len(told) == 1 and b"UID 5" in told[0] and b"MODSEQ" in told[0] and b"\\Flagged" in told[0], "and what has changed", told)
        result = client.command(f"SELECT INBOX (QRESYNC ({validity} {known} 1:3))")
        t.ok(b"* VANISHED (EARLIER) 2" in result[1] and not find(result, rb" FETCH \("), "among the known UIDs alone", result)
        starts(client.command(f"SELECT INBOX (QRESYNC ({validity} {known} 1:6 (1:2 1,3)))"), b"OK", "with matching numbers")
        result = client.command(f"SELECT INBOX (QRESYNC ({validity + 1} {known}))")
        t.ok(result[0].startswith(b"OK") and not find(result, rb"VANISHED"), "another UIDVALIDITY: nothing of that", result)
        has(client.command(f"UID FETCH 1:* FLAGS (CHANGEDSINCE {known} VANISHED)"), b"* VANISHED (EARLIER) 2,4", "UID FETCH VANISHED")
        client.command("STORE 1 +FLAGS (\\Deleted)")
        result = client.command("EXPUNGE")
        t.ok(b"* VANISHED 1" in result[1] and result[0].startswith(b"OK [HIGHESTMODSEQ "), "EXPUNGE", result)
        client.command("CREATE away")
        result = client.command("MOVE 1 away")
        t.ok(find(result, rb"\* OK \[COPYUID \d+ 3 1\]") and b"* VANISHED 3" in result[1], "MOVE", result)


def test_append_copy():
    with Stand() as stand:
        client = stand.client()
        result = append(client, ONE, flags="(\\Seen)", date='" 1-Feb-2020 00:00:00 +0100"')
        t.ok(re.match(rb"OK \[APPENDUID \d+ 1\]", result[0]), "APPEND", result)
        heads = b"APPEND INBOX (\\Flagged) {%d+}\r\n%s (\\Draft a) {%d+}\r\n%s" % (len(TWO), TWO, len(THREE), THREE)
        result = client.command(heads)
        t.ok(re.match(rb"OK \[APPENDUID \d+ 2:3\]", result[0]), "MULTIAPPEND", result)
        client.send(b"m APPEND INBOX {%d+}\r\n%s (\\Draft a) {99999999}\r\n" % (len(TWO), TWO))
        t.ok(client.wait(b"m")[0].startswith(b"NO [TOOBIG]"), "one that is too large")
        t.ok(find(client.command("STATUS INBOX (MESSAGES)"), rb"MESSAGES 3\)"), "and none is saved")
        starts(append(client, ONE, mailbox="nowhere"), b"NO [TRYCREATE]", "APPEND to what is not there")
        result = client.command(b"APPEND INBOX ~{%d+}\r\n%s" % (len(ONE) + 4, ONE + b"\x01\x02\r\n"))
        starts(result, b"OK", "APPEND of a literal8")
        result = client.command("SELECT INBOX")
        t.ok(b"* 4 EXISTS" in result[1] and result[0].startswith(b"OK [READ-WRITE]"), "SELECT", result)
        result = append(client, TWO)
        t.ok(b"* 5 EXISTS" in result[1], "APPEND to what is selected is told", result)
        t.ok(find(client.command("FETCH 3 FLAGS"), rb"FLAGS \(\\Draft a( \\Recent)?\)|FLAGS \(.*\\Draft.* a"), "flags of the second message")
        client.command("CREATE other")
        result = client.command("COPY 1:2 other")
        t.ok(re.match(rb"OK \[COPYUID \d+ 1:2 1:2\]", result[0]), "COPY", result)
        starts(client.command("COPY 1 nowhere"), b"NO [TRYCREATE]", "COPY to what is not there")
        starts(client.command("UID COPY 900 other"), b"OK", "UID COPY of none")
        result = client.command("UID MOVE 3:4 other")
        t.ok(find(result, rb"\* OK \[COPYUID \d+ 3:4 3:4\]"), "UID MOVE", result)
        expunges = [answer for answer in result[1] if b"EXPUNGE" in answer]
        t.ok(expunges in ([b"* 3 EXPUNGE"] * 2, [b"* 4 EXPUNGE", b"* 3 EXPUNGE"]), "and its expunges", expunges)
        starts(client.command("MOVE 1 nowhere"), b"NO [TRYCREATE]", "MOVE to what is not there")
        client.command("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
        t.is_([answer for answer in client.command("UID EXPUNGE 2,5")[1] if b"EXPUNGE" in answer], [b"* 2 EXPUNGE"], "UID EXPUNGE spares others")
        starts(client.command("CLOSE"), b"OK", "CLOSE")
        t.ok(find(client.command("STATUS INBOX (MESSAGES UIDNEXT)"), rb"MESSAGES 1 UIDNEXT 6\)"), "which expunges")
        t.ok(find(client.command("STATUS other (MESSAGES)"), rb"MESSAGES 4\)"), "the others are there")
        client.command("SELECT other")
        has(client.command("FETCH 1 INTERNALDATE"), b'* 1 FETCH (INTERNALDATE "31-Jan-2020 23:00:00 +0000")', "copies keep their dates")
        starts(client.command("COPY 1 other"), b"OK [COPYUID", "COPY into the same mailbox")
        client.command("STORE 1 +FLAGS (\\Deleted)")
        client.command("EXAMINE other")
        client.command("CLOSE")
        t.ok(find(client.command("STATUS other (MESSAGES DELETED)"), rb"MESSAGES 5 DELETED 1\)"), "CLOSE after EXAMINE expunges nothing")


def test_mailboxes():
    with Stand() as stand:
        client = stand.client()
        names = lambda result: [answer.rsplit(b" ", 1)[1] for answer in result[1]]
        t.is_(sorted(names(client.command('LIST "" *'))), [b"Drafts", b"INBOX", b"Sent", b"Trash"], "the mailboxes of the beginning")
        has(client.command('LIST "" ""'), b'* LIST (\\Noselect) "/" ""', "the delimiter")
        has(client.command("NAMESPACE"), b'* NAMESPACE (("" "/")) NIL NIL', "NAMESPACE")
        starts(client.command("CREATE a/b/c"), b"OK [MAILBOXID (", "CREATE")
        starts(client.command("CREATE a/b/c"), b"NO [ALREADYEXISTS]", "CREATE again")
        starts(client.command("CREATE INBOX"), b"NO", "CREATE INBOX")
        starts(client.command("CREATE keep (USE (\\Archive))"), b"OK", "CREATE-SPECIAL-USE")
        starts(client.command("CREATE d/"), b"OK", "CREATE with the delimiter at its end")
        t.is_(names(client.command('LIST "" a/%')), [b"a/b"], "% is a level")
        t.is_(names(client.command('LIST a/ *')), [b"a/b", b"a/b/c"], "a reference")
        t.is_(names(client.command('LIST (SPECIAL-USE) "" * RETURN (SPECIAL-USE)')), [b"Drafts", b"Sent", b"Trash", b"keep"], "LIST (SPECIAL-USE)")
        t.ok(find(client.command('LIST "" a RETURN (CHILDREN)'), rb"\\HasChildren"), "RETURN (CHILDREN)")
        t.is_(sorted(names(client.command('LIST "" (d keep)'))), [b"d", b"keep"], "several patterns")
        client.command("SUBSCRIBE a/b/c")
        t.ok(find(client.command('LIST (SUBSCRIBED) "" a/*'), rb"\\Subscribed.* a/b/c$"), "LIST (SUBSCRIBED)")
        t.ok(find(client.command('LIST (SUBSCRIBED RECURSIVEMATCH) "" %'), rb'a \("CHILDINFO" \("SUBSCRIBED"\)\)'), "RECURSIVEMATCH")
        t.ok(find(client.command('LSUB "" a/%'), rb"\\Noselect.* a/b$"), "LSUB of a level above")
        client.command("UNSUBSCRIBE a/b/c")
        t.is_(client.command('LIST (SUBSCRIBED) "" a/*')[1], [], "UNSUBSCRIBE")
        result = client.command('LIST "" d RETURN (STATUS (MESSAGES SIZE))')
        t.ok(b"* STATUS d (MESSAGES 0 SIZE 0)" in result[1] and len(result[1]) == 2, "LIST-STATUS", result)
        append(client, ONE, mailbox="d", flags="(\\Deleted)")
        t.ok(find(client.command("STATUS d (MESSAGES UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE HIGHESTMODSEQ APPENDLIMIT MAILBOXID DELETED-STORAGE)"),
                  rb"STATUS d \((?=.*MESSAGES 1)(?=.*UIDNEXT 2)(?=.*UNSEEN 1)(?=.*DELETED 1)(?=.*SIZE %d)(?=.*APPENDLIMIT \d)(?=.*MAILBOXID \()" % len(ONE)),
             "STATUS of everything")
        id_of = lambda name: find(client.command(f"STATUS {name} (MAILBOXID)"), rb"MAILBOXID \((\w+)\)")[1]
        before = id_of("d")
        starts(client.command("RENAME d e/f"), b"OK", "RENAME")
        t.is_(id_of("e/f"), before, "and it keeps its identity")
        starts(client.command("RENAME nowhere x"), b"NO [NONEXISTENT]", "RENAME of what is not there")
        starts(client.command("RENAME keep e/f"), b"NO [ALREADYEXISTS]", "RENAME to what is")
        starts(client.command("RENAME a g"), b"OK", "RENAME of a tree")
        t.is_(names(client.command('LIST "" g*')), [b"g", b"g/b", b"g/b/c"], "all of it")
        append(client, ONE)
        starts(client.command("RENAME INBOX old"), b"OK", "RENAME INBOX")
        t.ok(find(client.command("STATUS INBOX (MESSAGES)"), rb"MESSAGES 0\)") and find(client.command("STATUS old (MESSAGES)"), rb"MESSAGES 1\)"),
             "takes its messages away")
        starts(client.command("DELETE keep"), b"OK", "DELETE")
        starts(client.command("DELETE keep"), b"NO [NONEXISTENT]", "DELETE again")
        starts(client.command("DELETE INBOX"), b"NO", "DELETE INBOX")
        starts(client.command("SELECT keep"), b"NO [NONEXISTENT]", "SELECT of what is gone")
        client.command("SELECT e/f")
        result = client.command("DELETE e/f")
        t.ok(result[0].startswith(b"OK"), "DELETE of what is selected", result)
        for name in ("a//b", "/a", "~", "x" * 2000):
            t.ok(client.command(f'CREATE "{name}"')[0][:3] in (b"NO ", b"BAD"), f"CREATE {name[:20]!r} is refused")
        for name in ("../up", "a/../b", ".", "b.c"):
            client.command(f'CREATE "{name}"')
            t.is_(names(client.command(f'LIST "" "{name}"')), [name.encode()],
                  f"{name!r} is a name like others")
        t.ok(not os.path.exists(os.path.join(stand.top, "up")), "nothing was made outside")
        starts(client.command("CREATE &AOQ-"), b"OK", "CREATE in modified UTF-7")
        t.ok(b"&AOQ-" in names(client.command('LIST "" &AOQ-')), "LIST in modified UTF-7")
        has(client.command("ENABLE UTF8=ACCEPT"), b"* ENABLED UTF8=ACCEPT", "ENABLE UTF8=ACCEPT")
        result = client.command('LIST "" "\u00e4"')
        t.ok(result[1] and "ä".encode() in result[1][0], "LIST in UTF-8", result)
        message = b"Subject: \xc3\xa4\r\n\r\nx\r\n"
        starts(client.command(b"APPEND INBOX UTF8 (~{%d+}\r\n%s)" % (len(message), message)), b"OK", "APPEND UTF8")
        client.command("SELECT INBOX")
        t.ok(find(client.command("FETCH 1 BODY[]"), re.escape(message)), "and what it saved")


def test_others():
    with Stand() as stand:
        client = stand.client()
        t.is_(client.command("CAPABILITY")[1][0].split()[2:], client.greeting.split(b"[")[1].split(b"]")[0].split()[1:], "CAPABILITY")
        has(client.command('ID ("name" "test" "version" NIL)'), b'* ID ("name" "tern")', "ID")
        starts(client.command("ID NIL"), b"OK", "ID NIL")
        has(client.command("ENABLE FOO CONDSTORE"), b"* ENABLED CONDSTORE", "ENABLE of what is not known")
        has(client.command("ENABLE IMAP4rev2"), b"* ENABLED IMAP4rev2", "ENABLE IMAP4rev2")
        result = client.command("SELECT INBOX")
        t.ok(b'* LIST () "/" INBOX' in result[1] and not find(result, rb"RECENT|UNSEEN"), "SELECT of rev2", result)
        t.ok(find(client.command("SEARCH ALL"), rb"^\* ESEARCH "), "SEARCH of rev2")
        starts(client.command("CHECK"), b"OK", "CHECK")
        starts(client.command("UNSELECT"), b"OK", "UNSELECT")
        starts(client.command("CHECK"), b"BAD", "nothing is selected then")
        starts(client.command("COMPRESS FOO"), b"NO", "COMPRESS of another kind")
        starts((client.compress(), []), b"OK", "COMPRESS DEFLATE")
        starts(append(client, ONE * 2000), b"OK", "APPEND, compressed")
        client.command("SELECT INBOX")
        t.ok(find(client.command("FETCH 1 BODY[]"), re.escape(ONE * 2000)), "FETCH, compressed")
        starts(client.command("COMPRESS DEFLATE"), b"NO [COMPRESSIONACTIVE]", "COMPRESS twice")
        t.ok(b"COMPRESS" not in client.command("CAPABILITY")[1][0], "it is not offered again")
        result = client.command("LOGOUT")
        t.ok(result[1][0].startswith(b"* BYE") and result[0].startswith(b"OK"), "LOGOUT", result)
        t.is_(client.at_end(), b"", "and the end")
        client = stand.client()
        client.compress()
        client.deflate = None
        client.send(b"\xff" * 100)
        t.ok(client.at_end() is not None, "what is no deflate ends the session")
    with Stand(quota=4096) as stand:
        client = stand.client()
        has(client.command('GETQUOTA ""'), b'* QUOTA "" (STORAGE 0 4)', "GETQUOTA")
        result = client.command("GETQUOTAROOT INBOX")
        t.ok(b'* QUOTAROOT INBOX ""' in result[1] and b'* QUOTA "" (STORAGE 0 4)' in result[1], "GETQUOTAROOT", result)
        starts(client.command("GETQUOTA foo"), b"NO [NONEXISTENT]", "GETQUOTA of another root")
        starts(client.command('SETQUOTA "" (STORAGE 100)'), b"NO [NOPERM]", "SETQUOTA")
        starts(append(client, ONE + b"x" * 3000), b"OK", "APPEND within the quota")
        starts(append(client, ONE + b"x" * 3000), b"NO [OVERQUOTA]", "APPEND beyond it")
        starts(client.command(b"APPEND INBOX" + b" {10+}\r\n0123456789" * 200), b"NO [OVERQUOTA]", "so are many small messages")
        starts(client.command(b"APPEND Sent" + b" {10+}\r\n0123456789" * 2), b"OK", "APPEND of two that fit")
        client.command("SELECT INBOX")
        starts(client.command("COPY 1 Sent"), b"NO [OVERQUOTA]", "COPY beyond it")
        starts(client.command("MOVE 1 Sent"), b"OK", "MOVE needs no more")
    for what, rest in (("into one mailbox", b"INBOX"), ("into two mailboxes", b"Sent")):
        with Stand(quota=4096) as stand:  # both have been told that there is room
            one, two = stand.client(), stand.client()
            one.command("CREATE Sent")
            starts(append(one, b"x" * 2000), b"OK", f"two at once, {what}: room for one more")
            for client, name in ((one, b"INBOX"), (two, rest)):
                client.send(b"r APPEND %s {1500}\r\n" % name)
                t.ok(client.answer().startswith(b"+"), "a session may send its message")
            for client, wanted in ((one, b"OK"), (two, b"NO [OVERQUOTA]")):
                client.send(b"y" * 1500 + b"\r\n")
                starts(client.wait(b"r"), wanted, "the first is stored, the second is not")
            has(two.command('GETQUOTA ""'), b'* QUOTA "" (STORAGE 4 4)', "the quota holds")


def test_two_sessions():
    with Stand() as stand:
        one = filled(stand)
        two = stand.client()
        two.command("SELECT INBOX")
        one.command("STORE 1 +FLAGS (\\Deleted)")
        one.command("EXPUNGE")
        result = two.command("FETCH 1:3 (UID FLAGS)")
        t.is_([answer.split(b" FETCH")[0] for answer in result[1] if b"EXPUNGE" in answer], [], "FETCH tells no expunge")
        t.ok(find(result, rb"^\* 2 FETCH \(UID 2"), "numbers are those of before", result)
        one.command("CREATE other")
        result = two.command("COPY 1:2 other")
        starts(result, b"NO [EXPUNGEISSUED]", "COPY of one that is expunged")
        t.ok(b"* 1 EXPUNGE" in result[1], "and it tells that", result)
        has(one.command("STATUS other (MESSAGES)"), b"* STATUS other (MESSAGES 0)", "has copied none")
        has(two.command("UID SEARCH ALL"), b"* SEARCH 2 3", "numbers are the new ones")
        path = os.path.join(stand.mail, "new", "1700000000.foreign.example")
        with open(path + ".part", "wb") as file:
            file.write(ONE)
        os.rename(path + ".part", path)
        has(two.command("NOOP"), b"* 3 EXISTS", "a file that another program drops is told")
        name = next(name for name in os.listdir(os.path.join(stand.mail, "cur")) + os.listdir(os.path.join(stand.mail, "new")) if "foreign" in name)
        place = "cur" if name in os.listdir(os.path.join(stand.mail, "cur")) else "new"
        os.rename(os.path.join(stand.mail, place, name), os.path.join(stand.mail, "cur", name.split(":")[0] + ":2,FS"))
        t.ok(find(two.command("NOOP"), rb"\* 3 FETCH .*\\Flagged"), "its flags that another program sets are told")
        os.unlink(os.path.join(stand.mail, "cur", name.split(":")[0] + ":2,FS"))
        has(two.command("NOOP"), b"* 3 EXPUNGE", "and that it was removed")


for test in (test_literals, test_malformed, test_fetch, test_search, test_sort_thread, test_condstore, test_qresync, test_append_copy, test_mailboxes,
             test_others, test_two_sessions):
    print(f"# {test.__name__[5:]}", flush=True)
    try:
        test()
    except (EOFError, OSError, TypeError, AttributeError, StopIteration) as error:
        t.ok(False, f"{test.__name__}: {error!r}", error.__traceback__.tb_next.tb_lineno if error.__traceback__.tb_next else "")
t.done()
