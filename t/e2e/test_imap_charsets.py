#!/usr/bin/env python3
"""Character sets in a locked-in session, which can load no code: what a message says in each of them is found."""

import base64

import tern_test as t
from imap_client import Client

t.need("tern", "master", "auth", "imapd", "mailbox", "log")

# Python's names; the words differ, and say nothing when they are read as something else.
SINGLE = {"iso-8859-1": "latin_1", **{f"iso-8859-{n}": f"iso8859_{n}" for n in (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)},
          **{f"windows-{n}": f"cp{n}" for n in (1250, 1251, 1252, 1253, 1254, 1256, 1257)}, "koi8-r": "koi8_r", "koi8-u": "koi8_u",
          "tis-620": "tis_620", "macintosh": "mac_roman", "ibm437": "cp437", "ibm850": "cp850", "ibm852": "cp852", "ibm866": "cp866",
          "latin2": "iso8859_2", "cp1251": "cp1251", "iso_8859-15": "iso8859_15", "iso-8859-8-i": "iso8859_8"}
WORDS = {"shift_jis": ("cp932", "日本語の手紙①"), "x-sjis": ("cp932", "東京都庁髙"), "windows-31j": ("cp932", "大阪府警"),
         "euc-kr": ("cp949", "한국어편지"), "ks_c_5601-1987": ("cp949", "서울특별시똠"), "cp949": ("cp949", "부산광역시"),
         "gb2312": ("gb18030", "中文信件镕"), "gbk": ("gb18030", "北京市鎔"), "gb18030": ("gb18030", "上海市㐀"),
         "big5": ("big5", "繁體中文"), "big5-hkscs": ("big5hkscs", "香港地方"), "euc-jp": ("euc_jp", "京都市役所"),
         "iso-2022-jp": ("iso2022_jp", "名古屋市"), "iso-2022-kr": ("iso2022_kr", "대구시"), "utf-16": ("utf_16", "Ελλάδα"),
         "utf-16le": ("utf_16_le", "Кипр"), "utf-7": ("utf_7", "žluťoučký"), "windows-1255": ("cp1255", "שלום"),
         "windows-1258": ("cp1258", "đường".replace("ườ", "ươ")), "utf-8": ("utf_8", "þetta"), "us-ascii": ("ascii", "plain")}


def word_of(codec):
    """Ten letters of the upper half of a set."""
    letters = [c for c in (bytes([octet]).decode(codec, "ignore") for octet in range(0x80, 0x100)) if c.isalpha()]
    return "".join(letters[-14:-4])


def main():
    samples = {name: (codec, word_of(codec)) for name, codec in SINGLE.items()} | WORDS
    with t.Instance() as tern:
        tern.add_user("ada")
        tern.start()
        client = Client(tern.port_base + 143)
        client.command("LOGIN ada@example.test secret")
        uids = {}
        for name, (codec, word) in samples.items():
            body = base64.encodebytes(f"x {word} {name} y\r\n".encode(codec)).replace(b"\n", b"\r\n")
            message = (f"From: a@example.test\r\nSubject: =?{name}?b?{base64.b64encode(word.encode(codec)).decode()}?=\r\nMIME-Version: 1.0\r\n"
                       f"Content-Type: text/plain; charset={name}\r\nContent-Transfer-Encoding: base64\r\n\r\n").encode() + body
            result, _ = client.command(b"APPEND INBOX {%d+}\r\n%s" % (len(message), message))
            uids[name] = result.split(b"]")[0].split()[-1]
        client.command("SELECT INBOX")
        for name, (codec, word) in samples.items():
            for key, text in (("BODY", f"{word} {name} y"), ("SUBJECT", word)):
                text = text.encode()
                result, answers = client.command(f"UID SEARCH CHARSET UTF-8 {key} ".encode() + b"{%d+}\r\n%s" % (len(text), text))
                found = answers[0].split()[2:] if result.startswith(b"OK") and answers else []
                t.ok(found == [uids[name]] if key == "BODY" else uids[name] in found, f"{name}: {key}", (result, answers, word))
        client.close()
    t.done()


main()
