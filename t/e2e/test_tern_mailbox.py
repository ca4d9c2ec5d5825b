"""tern mailbox, tern user quota, tern who and tern kick; and the limit of an account's sessions from one address."""

import imaplib
import json
import os
import signal

import tern_test as t

t.need("tern", "master", "auth", "imapd", "mailbox", "local", "lookup", "smtpd", "log")
MESSAGE = b"From: ann@example.test\r\nSubject: %s\r\n\r\nsome words\r\n"


def log_in(tern, user="ada", password="secret"):
    client = imaplib.IMAP4("127.0.0.1", tern.port_base + 143, timeout=30)
    client.login(f"{user}@example.test", password)
    return client


def shown(tern, *words):
    ran = tern.run(words[0], "--json", *words[1:])
    return json.loads(ran.stdout) if ran.returncode == 0 else ran.stderr


def mailboxes(tern):
    client = log_in(tern)
    client.append("INBOX", "(\\Seen $Work)", None, MESSAGE % b"one")
    client.append("INBOX", None, None, MESSAGE % b"two")
    run = lambda *words: tern.run("mailbox", *words)
    t.is_(run("create", "ada@example.test", "Lists/tern").returncode, 0, "create")
    t.ok(run("create", "ada@example.test", "Lists/tern").returncode != 0, "create: there is one")
    t.ok(run("create", "ada@example.test", "../x//y").returncode != 0, "create: no mailbox can be called so")
    names = run("list", "ada@example.test").stdout.split("\n")
    t.ok("INBOX" in names and "Lists/tern" in names, "list", names)
    rows = {row["name"]: row for row in shown(tern, "mailbox", "list", "ada@example.test")}
    t.ok(rows["Lists/tern"]["subscribed"] and rows["Lists/tern"]["selectable"], "list --json", rows)
    t.ok(b"Lists/tern" in b" ".join(client.list()[1]), "IMAP has it")
    t.is_(run("rename", "ada@example.test", "Lists/tern", "Lists/eider").returncode, 0, "rename")
    t.is_(run("delete", "ada@example.test", "Lists/eider").returncode, 0, "delete")
    t.ok("Lists/eider" not in run("list", "ada@example.test").stdout, "it is gone")
    t.ok(run("delete", "ada@example.test", "Lists/eider").returncode != 0, "delete: there is none")
    t.ok(run("delete", "ada@example.test", "INBOX").returncode != 0, "delete: INBOX stays")
    t.ok("no account" in tern.run("mailbox", "list", "who@example.test").stderr, "no such account")
    t.is_(tern.run("mailbox", "list").returncode, 64, "usage")
    t.is_([tern.run(word, "--help").returncode for word in ("who", "kick")], [64, 64], "usage of who and kick")

    before = shown(tern, "mailbox", "status", "ada@example.test", "INBOX")[0]
    t.is_((before["messages"], before["unseen"], before["uid_next"]), (2, 1, 3), "status")
    client.select()
    client.close()
    client.select()  # nothing is recent now
    flags = client.fetch("1:*", "(UID FLAGS)")[1]
    maildir = tern.mail / "example.test" / "ada" / "Maildir"
    cache = maildir / "tern-cache"
    old = {path.name: path.stat().st_ino for path in cache.iterdir()} if cache.exists() else {}
    t.is_(run("rebuild", "ada@example.test").returncode, 0, "rebuild")
    left = {path.name: path.stat().st_ino for path in cache.iterdir()} if cache.exists() else {}
    t.ok(not set(old.items()) & set(left.items()), "the cache is another", (old, left))
    other = log_in(tern)
    other.select()
    t.is_(other.fetch("1:*", "(UID FLAGS)")[1], flags, "UIDs and flags are the same")
    after = shown(tern, "mailbox", "status", "ada@example.test", "INBOX")[0]
    t.is_(after["uid_validity"], before["uid_validity"], "UIDVALIDITY too")
    odd = [path for path in maildir.rglob("*") if path.stat().st_uid != maildir.stat().st_uid]
    t.is_(odd, [], "everything belongs to the mailbox's owner")
    quota = shown(tern, "user", "quota", "ada@example.test")
    t.ok(quota["messages"] == 2 and quota["storage"] == sum(path.stat().st_size for path in maildir.glob("*/*:2,*")), "user quota", quota)
    other.logout()
    client.logout()


def users(tern):
    """tern user: what it says as JSON, and quotas of single accounts."""
    run = lambda *words, password="secret": tern.run("user", *words, input=password + "\n")
    carl, path = "carl@example.test", tern.etc / "users.passwd"
    t.is_(json.loads(run("--json", "add", carl).stdout), {"user": carl, "done": "add"}, "user --json add")
    t.is_(json.loads(run("--json", "app", carl, "add", "tv").stdout)["label"], "tv", "app add")
    t.is_(json.loads(run("--json", "app", carl).stdout), ["tv"], "app")
    more = [run("--scheme", "SSHA256", "app", carl, "add", f"n{number}").returncode for number in range(16)]
    t.is_(more, [0] * 15 + [1], "the 17th app password, which no login would look at, is not made")
    t.is_(run("--scheme", "SSHA256", "app", carl, "add", "n3").returncode, 0, "but one can be made anew")
    for number in range(15):
        run("app", carl, "del", f"n{number}")
    t.is_(json.loads(run("--scheme", "SSHA256", "--json", "passwd", carl, password="other").stdout)["done"], "passwd", "passwd")
    t.ok(f"\n{carl}:{{SSHA256}}" in path.read_text(), "by the scheme that was asked for")
    t.ok(t.wait_for(lambda: tern.run("auth", "test", carl, input="other\n").returncode == 0), "it counts")
    path.write_text(path.read_text() + "dora@example.test:{PLAIN}secret::::::\n")
    t.is_(run("--json", "quota", carl, "storage=2M", "messages=10").returncode, 0, "quota: both limits")
    rows = {row["user"]: row for row in shown(tern, "user", "list")}
    t.is_(rows[carl], {"user": carl, "mailbox": "example.test/carl/Maildir/", "password": True, "app_passwords": ["tv"],
                       "quota_storage": 2 << 20, "quota_messages": 10}, "list --json")
    t.ok(rows["dora@example.test"]["mailbox"] is None, "who is only in the password file is listed too")
    t.is_(run("list").stdout.split(), list(rows), "in lines the same")
    t.ok(t.wait_for(lambda: not refused(tern, "carl", "other")), "carl has logged in")
    limits = lambda: (shown(tern, "user", "quota", carl)["storage_limit"], shown(tern, "user", "quota", carl)["messages_limit"])
    t.ok(t.wait_for(lambda: not refused(tern, "dora")), "and may log in")
    t.ok(isinstance(shown(tern, "user", "quota", "dora@example.test"), dict), "an account that only auth knows has a quota to show")
    t.ok(t.wait_for(lambda: limits() == (2 << 20, 10)), "auth knows the limits", limits())
    carl_in = log_in(tern, "carl", "other")
    t.ok(b" 2048 " in carl_in.getquotaroot("INBOX")[1][1][0], "IMAP says it")
    carl_in.logout()
    t.is_(run("quota", carl, "storage=none").returncode, 0, "none")
    t.ok(t.wait_for(lambda: limits() == (0, 10)), "takes one back", limits())
    for words in (["storage=x"], ["size=5"], ["storage=-1"], ["storage=99999999999G"], ["messages=5K"]):
        t.ok(run("quota", carl, *words).returncode != 0, f"quota: {words[0]} is refused")
    t.ok(run("quota", "who@example.test", "messages=5").returncode != 0, "quota: nobody")
    t.is_(limits(), (0, 10), "nothing has changed")
    t.is_(json.loads(run("--json", "del", carl).stdout), {"user": carl, "done": "del"}, "del")
    t.ok(carl not in path.read_text() and run("--json", "del", carl).returncode != 0, "it is gone")
    t.ok(t.wait_for(lambda: "no account" in tern.run("user", "quota", carl).stderr), "for auth too")
    run("del", "dora@example.test")
    t.ok("dora" not in path.read_text(), "del: who has only a password")


def idle(tern, user="ada"):
    client = log_in(tern, user)
    client.select()
    client.send(b"i1 IDLE\r\n")
    client.readline()
    return client


def is_closed(client):
    try:
        while client.sock.recv(1000):
            pass
    except OSError:
        return False
    return True


def sessions(tern):
    working, waiting = log_in(tern), idle(tern, "bob")
    rows = t.wait_for(lambda: (rows := shown(tern, "who")) and len(rows) == 2 and any(row["idle"] for row in rows) and rows)
    rows = {row["user"]: row for row in rows or []}
    t.ok(rows and rows["ada@example.test"]["pid"] > 0 and rows["bob@example.test"]["idle"], "who: one works, one idles", rows)
    t.ok(rows["ada@example.test"]["address"] == "127.0.0.1" and rows["ada@example.test"]["protocol"] == "imap", "who: from where")
    text = tern.run("who").stdout
    t.ok("ada@example.test" in text and " idle " in text, "who: in words", text)
    t.is_(len(shown(tern, "who", "bob@example.test")), 1, "who USER")
    tern.run("reload")
    t.ok(t.wait_for(lambda: [row for row in shown(tern, "who") if row["user"] == "bob@example.test" and row["idle"]]),
         "after a reload the idle one is still known")
    before = rows["ada@example.test"]
    row = t.wait_for(lambda: shown(tern, "who", "ada@example.test"))
    t.ok(row and [row[0][name] for name in ("pid", "session", "address", "protocol", "since")] == [before[name] for name in ("pid", "session", "address", "protocol", "since")],
         "and the one at work", (before, row))
    tern.run("reload")
    tern.run("reload")
    t.ok(t.wait_for(lambda: [row["pid"] for row in shown(tern, "who", "ada@example.test")] == [before["pid"]]), "after two more, too")
    t.is_([path.name for path in (tern.directory / "data").glob("sessions-at-work*")], ["sessions-at-work"], "by one file")
    second = log_in(tern)
    tern.run("reload")
    both = t.wait_for(lambda: len(found := shown(tern, "who", "ada@example.test")) == 2 and found)
    number = next(row["session"] for row in both if row["session"] != before["session"])
    t.is_(shown(tern, "kick", number), {"kicked": 1}, "kick SESSION: one that began before the reload")
    t.ok(is_closed(second), "its connection ends")
    t.ok(t.wait_for(lambda: [row["session"] for row in shown(tern, "who", "ada@example.test")] == [before["session"]]), "and the other is left")
    working.send(b"w1 IDLE\r\n")
    working.readline()
    t.ok(t.wait_for(lambda: [row["idle"] for row in shown(tern, "who", "ada@example.test")] == [True]), "when it idles it is still one session")
    working.send(b"DONE\r\n")
    working.readline()
    t.is_(t.wait_for(lambda: (row := shown(tern, "who", "ada@example.test")) and row[0]["pid"] and row[0]["session"]), before["session"], "and when it works again")
    tern.run("reload")
    waiting.send(b"DONE\r\n")
    waiting.readline()
    row = t.wait_for(lambda: [row for row in shown(tern, "who", "bob@example.test") if row["pid"]])
    t.is_(row and row[0]["session"], rows["bob@example.test"]["session"], "it is the same session when it works again")
    waiting.send(b"i2 IDLE\r\n")
    waiting.readline()
    t.wait_for(lambda: [row for row in shown(tern, "who", "bob@example.test") if row["idle"]])
    t.is_(shown(tern, "kick", rows["bob@example.test"]["session"]), {"kicked": 1}, "kick SESSION: one that idles")
    t.ok(is_closed(waiting), "its connection ends")
    t.ok(t.wait_for(lambda: shown(tern, "who", "bob@example.test") == []), "it is not there any more")
    t.is_(tern.run("kick", "bob@example.test").returncode, 1, "kick: nobody is there")
    others = [log_in(tern, "bob"), idle(tern, "bob")]
    t.wait_for(lambda: len(shown(tern, "who", "bob@example.test")) == 2
               and any(row["idle"] for row in shown(tern, "who", "bob@example.test")))
    t.is_(tern.run("kick", "bob@example.test").stdout.strip(), "2", "kick USER: both kinds")
    t.ok(all(is_closed(client) for client in others), "their connections end")
    waiting = idle(tern, "bob")
    t.wait_for(lambda: shown(tern, "who", "bob@example.test"))
    waiting.shutdown()
    t.ok(t.wait_for(lambda: shown(tern, "who", "bob@example.test") == []), "a client that goes while it idles is gone")
    working.shutdown()


def refused(tern, user="ada", password="secret"):
    try:
        log_in(tern, user, password)
    except (imaplib.IMAP4.error, OSError):
        return True
    return False


def kill_forker(tern):
    """kill -9, and another one is there."""
    [before] = [pid for name, pid in tern.pids() if name == "mailbox"]
    os.kill(before, signal.SIGKILL)
    t.ok(t.wait_for(lambda: [pid for name, pid in tern.pids() if name == "mailbox" and pid != before]), "mailbox is killed and another begins")


def forker_killed(tern):
    """Whoever works goes on, whoever idles goes on idling; all of them are seen, counted and ended as before."""
    t.wait_for(lambda: shown(tern, "who") == [])
    working, waiting, going = log_in(tern), idle(tern), log_in(tern, "bob")
    names = ("user", "session", "pid", "address", "protocol", "since", "idle")
    rows = t.wait_for(lambda: len(rows := shown(tern, "who")) == 3 and sum(row["idle"] for row in rows) == 1 and rows)
    wanted = sorted([row[name] for name in names] for row in rows)
    for turn in range(3):
        kill_forker(tern)
        t.ok(t.wait_for(lambda: sorted([row[name] for name in names] for row in shown(tern, "who")) == wanted, 20),
             f"turn {turn}: who shows the same sessions", (shown(tern, "who"), wanted))
    t.is_(working.select("INBOX")[0], "OK", "who works goes on")
    count = int(working.select("INBOX")[1][0])
    working.append("INBOX", None, None, MESSAGE % b"killed")
    t.ok(b"%d EXISTS" % (count + 1) in waiting.readline(), "who idles is told of a message")
    t.wait_for(lambda: sum(row["idle"] for row in shown(tern, "who")) == 1)
    third = log_in(tern)
    t.ok(refused(tern), "all of them count in mail_max_userip_connections")
    third.logout()
    kill_forker(tern)
    t.ok(t.wait_for(lambda: not refused(tern)), "who has gone does not")
    t.wait_for(lambda: len(shown(tern, "who")) == 3)
    going.logout()
    t.ok(t.wait_for(lambda: not shown(tern, "who", "bob@example.test")), "who logs out is not shown any more", shown(tern, "who"))
    working.send(b"w9 IDLE\r\n")
    working.readline()
    t.ok(t.wait_for(lambda: [row["idle"] for row in shown(tern, "who", "ada@example.test")] == [True, True]), "who begins to idle is one session")
    working.send(b"DONE\r\n")
    working.readline()
    kill_forker(tern)
    t.ok(t.wait_for(lambda: sorted(row["idle"] for row in shown(tern, "who", "ada@example.test")) == [False, True]), "and who works again, too",
         shown(tern, "who"))
    t.is_(tern.run("kick", "ada@example.test").stdout.strip(), "2", "kick: both kinds")
    t.ok(is_closed(working) and is_closed(waiting), "their connections end")
    t.ok(t.wait_for(lambda: shown(tern, "who") == []), "nobody is left", shown(tern, "who"))


def limits(tern):
    t.wait_for(lambda: shown(tern, "who") == [])
    clients = [idle(tern), idle(tern), log_in(tern)]
    t.wait_for(lambda: len([row for row in shown(tern, "who") if row["idle"]]) == 2)
    t.ok(refused(tern), "one more than mail_max_userip_connections is refused")
    t.ok(not refused(tern, "bob"), "another account is not")
    clients[2].append("INBOX", None, None, MESSAGE % b"wake")
    for client in clients[:2]:
        t.ok(b"EXISTS" in client.readline(), "those that are in are woken all the same")
    clients[0].shutdown()
    t.ok(t.wait_for(lambda: not refused(tern)), "when one has gone another may come")
    for client in clients[1:]:
        client.shutdown()


def lmdb_accounts():
    with t.Instance() as tern:
        source = tern.etc / "accounts"
        source.write_text("eve@example.test {PLAIN}secret::::::userdb_quota_messages=7\n")
        made = tern.command("ternmap", f"lmdb:{source}")
        t.ok(made.returncode == 0, "accounts in LMDB", made.stderr)
        tern.set(f"auth_sources = lmdb:{source}")
        tern.start()
        log_in(tern, "eve").append("INBOX", None, None, MESSAGE % b"one")
        quota = shown(tern, "user", "quota", "eve@example.test")
        t.ok(quota["messages"] == 1 and quota["messages_limit"] == 7, "user quota knows them", quota)
        source.write_text("eve@example.test {PLAIN}secret::::::userdb_quota_messages=8\n")
        tern.command("ternmap", f"lmdb:{source}")
        t.ok(t.wait_for(lambda: shown(tern, "user", "quota", "eve@example.test")["messages_limit"] == 8), "a change counts")
        source.write_text("eve@example.test {PLAIN}secret::::::userdb_quota_rule=*:storage=1M:messages=9 userdb_quota_rule2=Trash:storage=+10%\n")
        tern.command("ternmap", f"lmdb:{source}")
        t.ok(t.wait_for(lambda: shown(tern, "user", "quota", "eve@example.test")["messages_limit"] == 9), "Dovecot's quota_rule")
        t.is_(shown(tern, "user", "quota", "eve@example.test")["storage_limit"], 1 << 20, "and its storage")
        t.ok("STORAGE 0 1024" in (said := str(log_in(tern, "eve").getquotaroot("INBOX"))) or " 1024 " in said, "IMAP tells it", said)


lmdb_accounts()
with t.Instance(settings=["mail_max_userip_connections=3"]) as tern:
    tern.add_user("ada")
    tern.add_user("bob")
    tern.start()
    mailboxes(tern)
    users(tern)
    sessions(tern)
    forker_killed(tern)
    limits(tern)
t.done()
