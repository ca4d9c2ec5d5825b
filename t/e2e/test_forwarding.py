#!/usr/bin/env python3
"""Mail that local sends on (an alias for an address elsewhere): what its header and the
log say of the copy, and what ends a loop that Delivered-To does not show. TAP."""

import re

import tern_test as t

t.need("tern", "master", "smtpd", "cleanup", "qmgr", "local", "lookup", "bounce", "log")

HOST = "mail.forward.test"
MESSAGE = b"From: eve@client.example\nSubject: %s\nMessage-ID:\n <%s@client.example>\n\nx\n"
ALIASES = ("inline:{ { ada = ada@example.test }, { round = again@example.test },"
           " { list = gone, ada@example.test }, { owner-list = keeper@example.test } }")
SETTINGS = [f"myhostname={HOST}", "mydestination=$myhostname", "mydomain=example.test", "hopcount_limit=5",
            "virtual_alias_maps=inline:{ { again@example.test = round@$myhostname } }", f"alias_maps={ALIASES}"]


def message(name):
    return MESSAGE % (name.encode(), name.encode())


def fields(content):
    """The header's fields, unfolded, in order."""
    head = content.split(b"\n\n")[0].decode()
    return [" ".join(field.split()) for field in re.sub(r"\n[ \t]+", " ", head).split("\n")]


def copy_is_traced(tern):
    tern.send("eve@client.example", [f"ada@{HOST}"], message("one"))
    stored = tern.wait_stored("ada")
    t.ok(stored, "mail to an alias is sent on")
    forwarded = re.search(r": (\w+): .*forwarded as (\w+)\)", tern.log())
    t.ok(forwarded, "the log says so")
    first, copy = forwarded.groups()
    t.is_(re.findall(r": (\w+): message-id=(.*)", tern.log()),
          [(first, "<one@client.example>"), (copy, "<one@client.example>")], "both have the message's ID in the log")
    t.ok(t.wait_for(lambda: tern.log().count(": removed") >= 2), "both are done with")
    header = fields(stored[0])
    own = [field for field in header if field.startswith("Received:")]
    t.is_(len(own), 2, "the copy has a Received line of its own")
    t.ok(re.fullmatch(rf"Received: by {HOST} \(tern\) id {copy}; \w\w\w, .* [+-]\d\d\d\d", own[0]), "which names the copy", own[0])
    t.ok(f" with ESMTP id {first} " in own[1], "above that of the first", own[1])
    at = header.index(own[0])
    t.is_(header[at + 1], f"Delivered-To: ada@{HOST}", "then what it was delivered to")
    size = re.search(rf"{copy}: from=.* size=(\d+)", tern.log())
    t.is_(int(size.group(1)), len(stored[0]) - len("\n".join(stored[0].decode().split("\n")[:3]) + "\n"),
          "the size in the log is the copy's")


def owner_hears(tern):
    """Of a list's member that is not there any more, its owner is told, and not who wrote to the list."""
    tern.send("eve@example.test", [f"list@{HOST}"], message("three"))
    found = tern.wait_stored("keeper")
    t.ok(found and f"Final-Recipient: rfc822; gone@{HOST}".encode() in found[0] and b"To: owner-list@" in found[0], "the owner has the notice", found)
    t.ok(tern.wait_log(f"from=<owner-list@{HOST}>"), "the members' copy is from him")
    t.ok(t.wait_for(lambda: any(b"three@client" in x for x in tern.stored("ada"))), "the other members have the message")
    t.is_(tern.stored("eve"), [], "who wrote it hears nothing")


def loops_end(tern):
    """Without Delivered-To in copies, the Received lines are what is left."""
    (tern.etc / "main.cf").write_text((tern.etc / "main.cf").read_text() + "prepend_delivered_header =\n")
    tern.run("reload", check=True)
    tern.send("", [f"round@{HOST}"], message("two"))
    t.ok(tern.wait_log("status=bounced (too many hops)"), "a loop ends")
    t.is_(tern.log().count("message-id=<two@client.example>"), 6, "after hopcount_limit")


with t.Instance(settings=SETTINGS) as tern:
    for user in ("ada", "eve", "keeper"):
        tern.add_user(user)
    tern.start()
    copy_is_traced(tern)
    owner_hears(tern)
    loops_end(tern)
t.done()
