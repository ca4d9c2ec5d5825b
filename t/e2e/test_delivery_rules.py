#!/usr/bin/env python3
"""Rules of local delivery that a message must not be lost by, nor sent to the wrong place: who is one target and
who are two, which addresses an alias may have, where a mailbox file begins its next message, what a command's words
count for, which notices a list's mail brings and to whom. TAP."""

import os
import pwd
import re
import time

import tern_test as t

t.need("tern", "master", "smtpd", "cleanup", "qmgr", "local", "lookup", "bounce", "log", "smtp")
if not t.is_root():
    t.skip_all("delivery to users of the system needs root")

HOST = "mail.example.test"
USERS = [user.pw_name for user in pwd.getpwall() if 0 < user.pw_uid < 100 and re.fullmatch("[a-z]+", user.pw_name)][:7]
if len(USERS) < 7:
    t.skip_all("this system has too few users")
ANN, BOB, CID, DAN, EVA, FAY, GIL = USERS
SETTINGS = [f"myhostname={HOST}", "mydestination=$myhostname", "myorigin=$myhostname", "local_recipient_maps=",
            "minimal_backoff_time=300s", "maximal_backoff_time=300s", "queue_run_delay=300s", "notify_classes=", "mailbox_size_limit=50000", "export_environment=TZ PATH=/bin LANG=C", "recipient_delimiter=+",
            "local_recursion_limit=10000", "lmtp_destination_recipient_limit=1"]


def message(name, body=b"x\n", head=b""):
    return (b"From: eve@client.test\nSubject: %s\nMessage-ID: <%s@client.test>\n" % (name.encode(), name.encode())) + head + b"\n" + body


def lines_of(tern, name):
    """What the log says of the deliveries of a message."""
    found = re.search(rf": (\w+): message-id=<{name}@client.test>", tern.log())
    return [line for line in tern.log().splitlines() if found and f" {found.group(1)}: to=<" in line]


def send(tern, name, *, count=1, recipient=None, sender="eve@example.test", options=(), **parts):
    """Sends it, and waits until the log tells of so many ends; these lines."""
    with tern.smtp() as session:
        session.sendmail(sender, [recipient or f"{name}@{HOST}"], t.wire(message(name, **parts)), rcpt_options=list(options))
    t.wait_for(lambda: len(lines_of(tern, name)) >= count)
    return lines_of(tern, name)


def relayed(sink, name):
    """The recipients whom the next hop got a message for."""
    def got():
        return [m for m in sink.messages if f"Subject: {name}\n".encode() in m[2]]
    return sorted(recipient for m in (t.wait_for(got) or []) for recipient in m[1])


class World:
    """An instance's directories outside of it."""

    def __init__(self, tern):
        self.forward, self.out, self.boxes, self.lists = (tern.top / name for name in ("forward", "out", "boxes", "lists"))
        for path in (self.forward, self.out, self.boxes, self.lists):
            path.mkdir()
        self.out.chmod(0o1777)
        # As /var/mail is: nobody makes a mailbox but root and the group.
        os.chown(self.boxes, 0, pwd.getpwnam(ANN).pw_gid)
        self.boxes.chmod(0o2775)

    def box(self, user, content):
        path = self.boxes / user
        path.write_bytes(content)
        os.chown(path, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
        path.chmod(0o600)


def one_target_or_two(tern, world, sink):
    """The same command of two users is run for each, and names that differ in case are two files."""
    said = send(tern, "team", count=2)
    t.ok((world.out / ANN).exists() and (world.out / BOB).exists(), "two users with the same command both have it", said)
    said = send(tern, "files", count=2)
    t.is_(sorted(path.name for path in world.out.glob("[Aa]box")), ["Abox", "abox"], "/dir/Abox and /dir/abox are two files")
    said = send(tern, "twice")
    t.ok(t.wait_for(lambda: (world.out / "one").exists()) and (world.out / "one").read_bytes().count(b"Subject: twice") == 1,
         "a command that is named twice runs once", said)
    said = send(tern, "upper")
    t.ok(len(said) == 1 and " status=sent" in said[0], "a list may include one whose name differs in case", said)


def addresses_of_members(tern, world, sink):
    send(tern, "quoted")
    t.is_(relayed(sink, "quoted"), ['"a@b"@sink.test', '"john doe"@sink.test'], "quoted local parts are sent on as they are")
    send(tern, "routed", count=2)
    t.is_(relayed(sink, "routed"), [f"{CID}@{HOST}"], "a member whom transport_maps sends elsewhere goes there")
    t.ok(not (world.boxes / CID).exists(), "and gets nothing here")
    t.ok(b"Subject: routed" in (world.boxes / DAN).read_bytes(), "another is delivered to at once")


def ends_of_mailboxes(tern, world):
    """A crash, or another program, leaves the last line without its end."""
    for user, old in ((EVA, b"From x  Sat Nov 28 17:43:17 2026\nSubject: old\n\ncut sh"), (FAY, b"From x  Sat Nov 28 17:43:17 2026\n\nold\n")):
        world.box(user, old)
        send(tern, f"box{user}", recipient=f"{user}@{HOST}")
        t.ok((world.boxes / user).read_bytes().startswith(old.rstrip(b"\n") + b"\n\nFrom eve@example.test "),
             f"the next message begins a line after {old[-6:]!r}", (world.boxes / user).read_bytes()[:200])


def words_of_commands(tern):
    """Output that begins with a status code counts, whatever the exit status."""
    for name, status, word in (("later", "4.2.1", "deferred"), ("never", "5.7.1", "bounced"), ("plain", "5.3.0", "bounced")):
        said = send(tern, name)
        t.ok(said and f"dsn={status}, status={word}" in said[0], f"exit status 1 of {name}: {status}", said)


def new_mailboxes(tern, world):
    """Who has none gets one where only root and a group may make files."""
    send(tern, "first", recipient=f"{GIL}@{HOST}")
    box = world.boxes / GIL
    t.ok(t.wait_for(box.exists) and b"Subject: first" in box.read_bytes(), "a user's first message makes the mailbox")
    status = box.stat()
    t.is_((status.st_uid, status.st_mode & 0o777), (pwd.getpwnam(GIL).pw_uid, 0o600), "which is the user's alone")


def notices(tern, user, name):
    """The notices of a message that a user got, as text."""
    return [n.decode() for n in tern.stored(user) if b"Subject: " + name.encode() + b"\n" in n and b"report-type=delivery-status" in n]


def lists_and_aliases(tern, world, sink):
    """RFC 3461 section 5.2.7, RFC 3464 section 2.3.3."""
    wishes = {"options": ["NOTIFY=SUCCESS,FAILURE"]}
    world.box(FAY, b"From x  Sat Nov 28 17:43:17 2026\n\n" + b"x" * 60000 + b"\n")
    send(tern, "list", **wishes)
    t.is_(relayed(sink, "list"), ["far@sink.test"], "a list's member elsewhere has the message")
    found = t.wait_for(lambda: notices(tern, "keeper", "list"))
    t.ok(found and f"Final-Recipient: rfc822; {FAY}@{HOST}\nAction: failed\nStatus: 5.2.2" in found[0],
         "that a member's mailbox is full the owner is told", found)
    for name, action in (("list", "delivered"), ("two", "expanded"), ("solo", "delivered")):
        if name != "list":
            send(tern, name, **wishes)
        found = t.wait_for(lambda name=name: notices(tern, "eve", name))
        t.is_([re.findall("^Action: (.*)$", n, re.M) for n in found], [[action]], f"{name}: who sends hears that it is {action}")


def quotes_in_headers(tern, world, sink):
    send(tern, "quotes", sender='"a b"@client.test', recipient=f"{DAN}@{HOST}")
    t.ok(b'\nReturn-Path: <"a b"@client.test>\n' in (world.boxes / DAN).read_bytes(), "Return-Path has a path of RFC 5321")
    send(tern, "away", sender='"a b"@sink.test', recipient="refuse@sink.test")
    found = t.wait_for(lambda: [m for m in sink.messages if m[1] == ['"a b"@sink.test']])
    t.ok(found and b'\nTo: "a b"@sink.test\n' in found[0][2], "To of a notice has quotes too", found)


def who_is_named(tern):
    """What an alias says need not be an address, and is told in the notice all the same."""
    send(tern, "bad")
    found = t.wait_for(lambda: notices(tern, "eve", "bad"))
    t.ok(found and 'Final-Recipient: rfc822; "x@d..test"\nAction: failed\nStatus: 5.1.3' in found[0], "a member that is no address is returned", found)
    with tern.smtp() as session:
        session.docmd("MAIL", "FROM:<eve@example.test> SMTPUTF8")
        session.sock.sendall(f"RCPT TO:<gr\u00fcn@{HOST}>\r\n".encode())
        session.getreply()
        session.data(t.wire(message("green")))
    found = t.wait_for(lambda: notices(tern, "eve", "green"))
    t.ok(found and "text/plain; charset=utf-8\n" in found[0] and f"Final-Recipient: utf-8; gr\u00fcn@{HOST}\n" in found[0],
         "a name that is not ASCII is in a text of UTF-8", found)


def where_commands_run(tern, world):
    send(tern, "look", count=2)
    names = [entry.split(b"=")[0] for entry in (world.out / "environ").read_bytes().split(b"\0") if entry]
    t.is_(sorted(names), sorted(set(names)), "a command's environment has a name once")
    ignored = int(re.search("SigIgn:\t(.*)", (world.out / "status").read_text()).group(1), 16)
    t.is_(ignored, 0, "and no signal is ignored")


def wishes_go_on(tern, sink):
    """DELIVERBY holds for what an alias stands for: by-mode R does not go to who does not know it."""
    with tern.smtp() as session:
        session.sendmail("eve@example.test", [f"away@{HOST}"], t.wire(message("intime")), mail_options=["BY=1000;R"])
    found = t.wait_for(lambda: notices(tern, "eve", "intime"))
    t.ok(found and "Final-Recipient: rfc822; far@sink.test\nAction: failed\n" in found[0], "BY=1000;R by an alias is returned where DELIVERBY is not offered", found)


def long_lists(tern, world, sink):
    """More members than one answer holds."""
    send(tern, "many")
    t.ok(t.wait_for(lambda: sum(len(m[1]) for m in sink.messages if b"Subject: many" in m[2]) >= MANY, 30), "a list of many members is sent on")
    t.is_(len(set(relayed(sink, "many"))), len(relayed(sink, "many")), "to each once")
    t.is_(len(relayed(sink, "many")), MANY, "and to all")


def nested(tern, world):
    """Lists within lists, by anybody who has a .forward file: as deep as the stack goes, and no deeper."""
    local = tern.pid_of("local")
    send(tern, "deep", recipient=f"{DAN}+deep@{HOST}")
    t.ok("forwarded as" in lines_of(tern, "deep")[0], "90 lists in a row are read", lines_of(tern, "deep"))
    said = send(tern, "deeper", recipient=f"{DAN}+deeper@{HOST}")
    t.ok(said and "dsn=4.3.5, status=deferred (lists are nested too deeply" in said[0], "1,500 are not", said)
    t.is_(tern.pid_of("local"), local, "and the process lives on")


def one_at_a_time(tern, world, sink):
    """With one recipient a delivery each recipient is a destination, of which the next hop stays what it is; and a user is
    one, whatever the extension and the letters."""
    send(tern, "apart", recipient="apart@lm.test")
    t.is_(relayed(sink, "apart"), ["apart@lm.test"], "lmtp_destination_recipient_limit = 1 leaves the next hop as it is")
    with tern.smtp() as session:
        session.sendmail("eve@example.test", [f"{DAN if i % 2 else DAN.upper()}+slow{i}@{HOST}" for i in range(6)], t.wire(message("slow")))
    steps = t.wait_for(lambda: (world.out / "slow").exists() and (text := (world.out / "slow").read_text()).count("-") == 6 and text) or ""
    running = [steps[:i + 1].count("+") - steps[:i + 1].count("-") for i in range(len(steps))]
    t.ok(0 < max(running, default=0) <= 2, "local_destination_concurrency_limit is a user's, with all extensions", steps)


def leftovers(tern, world):
    """What a crash has left in tmp/ goes after 36 hours, and not before."""
    nobody = pwd.getpwnam("nobody")
    for name in ("Md", "Md/tmp", "Md/new", "Md/cur", "Md/tmp/old", "Md/tmp/fresh"):
        path = world.out / name
        path.mkdir() if name.count("/") < 2 else path.write_text("half a mess")
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    for name, hours in (("old", 37), ("fresh", 35)):
        os.utime(world.out / "Md/tmp" / name, times=(time.time() - hours * 3600,) * 2)
    send(tern, "maildir")
    t.is_(len(list((world.out / "Md/new").iterdir())), 1, "a Maildir gets a message")
    t.is_([path.name for path in (world.out / "Md/tmp").iterdir()], ["fresh"], "and loses what lies in tmp/ from long ago")


def who_waits(tern, world):
    """A member that cannot be delivered to waits alone: the others do not get the message at each attempt."""
    os.chown(world.boxes / GIL, 0, 0)
    said = send(tern, "pair", count=2)
    t.ok(any("status=sent (forwarded as" in line for line in said), "who has to wait gets a copy", said)
    t.ok(tern.wait_log(f"to=<{GIL}@{HOST}>, orig_to=<pair@{HOST}>") and t.wait_for(lambda: len(tern.queued("cur")) >= 1), "which is deferred")
    os.chown(world.boxes / GIL, pwd.getpwnam(GIL).pw_uid, -1)
    tern.queue_tool("ternqueue", "-f")
    t.ok(t.wait_for(lambda: b"Subject: pair\n" in (world.boxes / GIL).read_bytes()), "and delivered later")
    t.is_((world.boxes / DAN).read_bytes().count(b"Subject: pair\n"), 1, "the other has it once")
    t.ok(f"to=<astray@sink.test>, orig_to=<pair@{HOST}>" not in tern.log(), "and virtual_alias_maps are not asked about who waits")


def extensions(tern, world):
    """user+one and user+two may have a .forward file each, and the mailbox is one."""
    said = send(tern, "exts", count=3)
    t.ok((world.out / "ext-one").exists() and (world.out / "ext-two").exists(), "each extension's file is heeded", said)
    t.is_((world.boxes / EVA).read_bytes().count(b"Subject: exts\n"), 1, "and the mailbox has the message once")


MANY = 5000
ALIASES = f"""list {FAY}, far@sink.test
owner-list keeper@example.test
bad x@d..test
pair {DAN}, {GIL}
maildir {{out}}/Md/
away far@sink.test
exts {EVA}+one, {EVA}+two, {EVA}, {EVA}+three
look "|/bin/cp /proc/self/environ {{out}}/environ", "|/bin/cp /proc/self/status {{out}}/status"
two far@sink.test, near@sink.test
solo {DAN}
many :include:{{lists}}/many
team {ANN}, {BOB}
files {{out}}/Abox, {{out}}/abox
twice "|cat >> {{out}}/one", again
again "|cat >> {{out}}/one"
upper :include:{{lists}}/upper
quoted "john doe"@sink.test, "a@b"@sink.test
routed {CID}, {DAN}
later "|echo 4.2.1 the disk is full; exit 1"
never "|echo 5.7.1 not for you; exit 1"
plain "|echo no; exit 1"
"""


def serve():
    sink = t.Sink(lambda stage, text: "550 5.1.1 no such one" if stage == "rcpt" and text.startswith("refuse@") else None)
    with t.Instance(settings=SETTINGS) as tern:
        world = World(tern)
        tern.file("aliases", ALIASES.format(out=world.out, lists=world.lists))
        (world.lists / "upper").write_text(f":include:{world.lists}/Upper\n")
        (world.lists / "Upper").write_text("list@sink.test\n")
        for name in ("one", "two"):
            (world.forward / f"{EVA}+{name}").write_text(f'"|cat >> {world.out}/ext-{name}"\n')
        for i in range(6):
            (world.forward / f"{DAN}+slow{i}").write_text(f'"|echo + >> {world.out}/slow; sleep 0.2; echo - >> {world.out}/slow"\n')
        for i in range(1500):
            (world.lists / f"nest{i}").write_text(f":include:{world.lists}/nest{i + 1}\n")
        (world.lists / "nest1500").write_text("eve@example.test\n")
        (world.forward / f"{DAN}+deep").write_text(f":include:{world.lists}/nest1410\n")
        (world.forward / f"{DAN}+deeper").write_text(f":include:{world.lists}/nest0\n")
        for user in (ANN, BOB):
            (world.forward / user).write_text(f'"|cat >> {world.out}/$LOGNAME"\n')
        for line in (f"alias_maps = texthash:{tern.etc}/aliases", f"forward_path = {world.forward}/$user$recipient_delimiter$extension, {world.forward}/$user", f"mail_spool_directory = {world.boxes}",
                     f"transport_maps = inline:{{ sink.test=smtp:[127.0.0.1]:{sink.port}, lm.test=lmtp:inet:127.0.0.1:{sink.port}, {CID}@{HOST}=smtp:[127.0.0.1]:{sink.port} }}"):
            tern.set(line)
        # What an alias leads to here is not expanded again.
        tern.set(f"virtual_alias_maps = inline:{{ {{ {GIL}@{HOST} = {GIL}@{HOST}, astray@sink.test }} }}")
        (world.lists / "many").write_text("".join(f"member{i:05}@sink.test\n" for i in range(MANY)))
        for user in ("eve", "keeper"):
            tern.add_user(user)
        tern.start()
        one_target_or_two(tern, world, sink)
        addresses_of_members(tern, world, sink)
        new_mailboxes(tern, world)
        lists_and_aliases(tern, world, sink)
        quotes_in_headers(tern, world, sink)
        who_is_named(tern)
        where_commands_run(tern, world)
        wishes_go_on(tern, sink)
        long_lists(tern, world, sink)
        nested(tern, world)
        leftovers(tern, world)
        who_waits(tern, world)
        extensions(tern, world)
        one_at_a_time(tern, world, sink)
        ends_of_mailboxes(tern, world)
        words_of_commands(tern)
    sink.close()


serve()
t.done()
