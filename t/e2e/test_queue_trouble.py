#!/usr/bin/env python3
"""The queue in trouble: one message with very many recipients beside everybody's mail, one recipient a delivery,
strange files in the queue's folders, poison in the drop folder, a hostile account of this machine. TAP."""

import os
import pwd
import resource
import socket
import subprocess

import tern_test as t
from queue_peers import SENDER, SMALL, SlowSink, instance

t.need("tern", *t.DAEMONS, "ternqueue", "ternsuper", "sendmail")


def many_recipients():
    """One message that takes all the room for recipients, at a destination that is slow."""
    sink = SlowSink()
    with instance("qmgr_message_recipient_limit=20", sink=sink) as tern:
        tern.start()
        tern.send(SENDER, [f"r{i}@slow.test" for i in range(25)], SMALL)
        t.ok(t.wait_for(lambda: sink.waiting), "a message to 25 is under way, where there is room for 20")
        tern.send(SENDER, [SENDER], SMALL)
        t.ok(tern.wait_stored("anna", seconds=5), "a small one passes it")
        tern.send(SENDER, [f"s{i}@slow.test" for i in range(11)], SMALL)
        tern.send(SENDER, ["bert@example.test"], SMALL)
        t.ok(tern.wait_stored("bert", seconds=5), "and another, though one to eleven came before it")
        t.is_(sink.waiting, 1, "which waits for room")
        t.is_(len(tern.queued("new")), 2, "in the queue")
        sink.gate.set()
        t.ok(tern.wait_empty(), "when there is, it goes", tern.queued())
        t.is_(sorted(len(message[1]) for message in sink.messages), [11, 25], "each of them once")
    sink.close()


def crowd():
    """More mail for one slow destination than may be active."""
    sink = SlowSink()
    with instance("qmgr_message_active_limit=20", "direct_delivery_milliseconds=50", sink=sink) as tern:
        tern.start()
        for i in range(40):
            tern.send(SENDER, [f"r{i}@slow.test"], SMALL)
        t.is_(len(tern.queued("new")), 40, "forty messages for a slow destination, where twenty may be active")
        tern.send(SENDER, [SENDER], SMALL)
        t.ok(tern.wait_stored("anna", seconds=5), "others' mail passes them")
        t.is_(tern.run("reload").returncode, 0, "and after a reload, too")
        tern.send(SENDER, ["bert@example.test"], SMALL)
        t.ok(tern.wait_stored("bert", seconds=5), "it does")
        sink.gate.set()
        t.ok(tern.wait_empty(30), "they go when the destination takes them", tern.queued())
        t.is_(sorted(message[1] for message in sink.messages), sorted([f"r{i}@slow.test"] for i in range(40)), "each once")
    sink.close()


def one_recipient_a_delivery():
    """smtp_destination_recipient_limit = 1: the recipient is the destination, not the next hop."""
    sink = t.Sink()
    with instance("smtp_destination_recipient_limit=1", "relay_destination_recipient_limit=1", sink=sink) as tern:
        tern.start()
        tern.send(SENDER, ["one@a.test", "two@a.test", "three@b.test"], SMALL)
        t.ok(t.wait_for(lambda: len(sink.messages) == 3), "with one recipient a delivery there are three deliveries",
             (sink.messages, tern.log()[-2000:]))
        t.is_(sorted(message[1] for message in sink.messages), [["one@a.test"], ["three@b.test"], ["two@a.test"]],
              "by way of the relay host, each with one recipient")
        t.ok("status=bounced" not in tern.log(), "and nothing is returned")
    sink.close()


def strange_files():
    """FIFOs, which only a hand could have put there, must not hold qmgr up."""
    names = "AAAAAA1 BBBBBB2 CCCCCC3 DDDDDD4 FFFFFF5 GGGGGG6 HHHHHH7 JJJJJJ8 KKKKKK9".split()
    with instance() as tern:
        tern.start()
        for folder in ("hold", "cur"):
            for name in names:
                path = tern.spool / "queue" / folder / (folder.upper() + name)
                os.mkfifo(path, 0o600)
                status = os.stat(tern.spool / "queue")
                os.chown(path, status.st_uid, status.st_gid)

        def run(*words):
            try:
                return tern.queue_tool(*words, timeout=10).returncode
            except subprocess.TimeoutExpired:
                return "hangs"
        t.is_(run("ternqueue", "-p"), 0, "the queue is listed beside FIFOs in its folders")
        t.ok(run("ternsuper", "-H", "HOLD" + names[0]) != "hangs", "one can be named to ternsuper")
        t.ok(run("ternsuper", "-e", "ALL", "hold") != "hangs", "and all")
        tern.send(SENDER, [SENDER], SMALL)
        t.ok(tern.wait_stored("anna"), "mail goes on")
        tern.stop()
        (tern.spool / "queue" / "schedule" / "state").unlink()
        tern.start()
        tern.send(SENDER, ["bert@example.test"], SMALL)
        t.ok(tern.wait_stored("bert"), "and when the index is made anew beside them")
        t.ok(tern.wait_log("CURAAAAAA1: not a plain file"), "a warning names them")
        t.is_(run("ternsuper", "-d", "ALL", "hold"), 0, "those on hold can be deleted")
        t.is_(tern.queued("hold"), [], "and are gone")


def poison():
    """A message that cleanup never takes must not stay in the drop folder before everybody's mail."""
    with instance("virtual_alias_expansion_limit=2") as tern:
        table = tern.file("virtual", "/^trap@example\\.test$/ a@a.test, b@a.test, c@a.test\n")
        tern.set(f"virtual_alias_maps = regexp:{table}")
        drop = tern.spool / "maildrop"
        mail = dict(input="Subject: dropped\n\nx\n", text=True, capture_output=True, timeout=60,
                    env={**os.environ, "MAIL_CONFIG": str(tern.etc)})
        sendmail = [str(t.program("sendmail")), "-C", str(tern.etc), "-f", SENDER]
        subprocess.run([*sendmail, "-V", "ENVELOPE-IDENTITY", SENDER], check=True, **mail)
        template = next(drop.iterdir())
        whole = template.read_bytes()
        status = template.stat()

        def put(name, content):
            (drop / f".{name}").write_bytes(content)
            os.chown(drop / f".{name}", status.st_uid, status.st_gid)
            os.chmod(drop / f".{name}", 0o640)
            os.rename(drop / f".{name}", drop / name)
        for i in range(100):
            put(f"1{i:03}", whole.replace(b"ENVELOPE-IDENTITY", b"ENVELOPE\r\nSUBJECT"))
        template.unlink()
        subprocess.run([*sendmail, "trap@example.test"], check=True, **mail)
        trap = next(path for path in drop.iterdir() if not path.name.startswith("1")  or len(path.name) > 4)
        for i in range(300):
            put(f"2{i:03}", trap.read_bytes())
        trap.unlink()
        subprocess.run([*sendmail, "x" * 505], **mail)
        subprocess.run([*sendmail, SENDER], check=True, **mail)
        tern.start()
        t.ok(tern.wait_stored("anna"), "mail in the drop folder is taken beside 100 messages that nobody takes")
        t.ok(t.wait_for(lambda: not [name for name in os.listdir(drop) if name[0] == "1"]),
             "which are set aside", os.listdir(drop)[:3])
        t.is_(len([name for name in os.listdir(drop) if name[0] == "2"]), 300, "and 300 that an alias holds up, which stay")
        t.is_(len(tern.stored("anna")), 1, "and not delivered")


class Flood:
    """A process of another account that opens connections and keeps them until end()."""

    def __init__(self, path, count):
        connected, told = os.pipe()
        until, self.stop = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.stop)
            resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
            os.setgroups([])
            os.setgid(pwd.getpwnam("nobody").pw_gid)
            os.setuid(pwd.getpwnam("nobody").pw_uid)
            held = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(count)]
            for connection in held:
                connection.connect(str(path))
            os.write(told, b"c")
            os.read(until, 1)
            os._exit(0)
        os.close(told)
        os.close(until)
        self.connected = os.read(connected, 1) == b"c"
        os.close(connected)

    def end(self):
        os.close(self.stop)
        os.waitpid(self.pid, 0)


def hostile_account():
    """A user of this machine who takes as many connections to the public sockets as they give."""
    if not t.is_root():
        return
    with instance() as tern:
        tern.start()
        flood = Flood(tern.spool / "public" / "qmgr", 1100)
        t.ok(flood.connected, "an account opens more connections to qmgr than it serves")
        tern.send(SENDER, [SENDER], SMALL)
        t.ok(tern.wait_stored("anna", seconds=5), "mail is delivered beside them")
        t.is_(tern.queue_tool("ternqueue", "-p").returncode, 0, "root lists the queue")
        flood.end()
        words = "connections to this service: it gets no more"
        t.ok(tern.wait_log(words) and tern.log().count(words) == 1, "the log says so once")


for part in (many_recipients, crowd, one_recipient_a_delivery, strange_files, poison, hostile_account):
    part()
t.done()
