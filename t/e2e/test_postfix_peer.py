#!/usr/bin/env python3
"""tern and a real Postfix as each other's next hop, and Postfix's own load
generators at both ends of tern. TAP.

The Postfix is a private instance with its own directories and port on loopback."""

import email
import email.policy
import os
import pwd
import re
import subprocess
import threading
import time

import mail_peers as peers
import tern_test as t
from postfix_server import Postfix, need

need()
if not t.program("master") or not t.program("smtp"):
    t.skip_all("tern is not built")

MESSAGES = 200
CONNECTIONS = 4
RECIPIENTS = 10   # of each message
USERS = 20
LOAD = 1000
SIZE_LIMIT = 300000

MASTER_CF = """
127.0.0.1:{port} inet n - n - - smtpd
fails     unix - n n - - pipe
  user=nobody argv=/bin/false
"""

MAIN_CF = """
local_recipient_maps =
mynetworks = 127.0.0.0/8
smtp_dns_support_level = disabled
smtp_tls_security_level = secure
smtp_tls_secure_cert_match = mail.example.test
smtp_tls_CAfile = {certificate}
smtp_tls_loglevel = 1
smtp_tls_session_cache_database = btree:{top}/data/sessions
lmtp_tls_security_level = none
message_size_limit = {size_limit}
virtual_mailbox_limit = 0
virtual_mailbox_domains = postfix.test
virtual_mailbox_base = {top}/mail
virtual_mailbox_maps = texthash:{top}/etc/users
virtual_minimum_uid = 1
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
transport_maps = inline:{{ {{boom@postfix.test=fails:}} {{lina@example.test=lmtp:[127.0.0.1]:{tern_lmtp}}} {{example.test=smtp:[127.0.0.1]:{tern_smtp}}} }}
minimal_backoff_time = 2s
queue_run_delay = 2s
"""


class Peer(Postfix):
    """One that delivers, too."""

    def __init__(self, tern, top):
        account = pwd.getpwnam("nobody")
        super().__init__(top, MASTER_CF, MAIN_CF, size_limit=SIZE_LIMIT, uid=account.pw_uid, gid=account.pw_gid, tern_smtp=tern.smtp_port,
                         tern_lmtp=tern.lmtp_port, certificate=tern.certificate)
        (self.top / "mail").mkdir(mode=0o755)
        os.chown(self.top / "mail", account.pw_uid, account.pw_gid)
        users = ["ada", "boom", *[f"u{i}" for i in range(USERS)]]
        (self.top / "etc" / "users").write_text("".join(f"{x}@postfix.test {x}/Maildir/\n" for x in users))

    def mailbox(self, user):
        folder = self.top / "mail" / user / "Maildir" / "new"
        return sorted(folder.iterdir()) if folder.is_dir() else []


def body(number):
    return b"".join([b"Zeile %d: Gr\xc3\xbc\xc3\x9fe \xe4\xf6\xfc\r\n" % number, b".\r\n", b"..dots\r\n", b"x" * (number * 37 % 900),
                     b"\r\n", b"end\r\n"])


def send_many(port, domain, sender, errors):
    """MESSAGES over CONNECTIONS at once; to RECIPIENTS users each."""

    def one(first):
        try:
            client = peers.Client(port)
            for number in range(first, MESSAGES, CONNECTIONS):
                to = [f"u{(number + i) % USERS}@{domain}" for i in range(RECIPIENTS)]
                head = b"From: %s\r\nTo: many\r\nSubject: %d\r\nX-Number: %d\r\n\r\n" % (sender.encode(), number, number)
                replies = client.mail(sender, to, head + body(number), options="BODY=8BITMIME", chunked=number % 3 == 0)
                if replies[-1][0] != "250":
                    errors.append(replies[-1])
            client.quit()
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(first,)) for first in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def read_number(path):
    found = re.search(rb"^X-Number: (\d+)$", path.read_bytes(), re.M)
    return int(found[1]) if found else None


def check_many(name, mailbox):
    """Each message once in each mailbox it was for, the body as it was sent."""
    wanted = {f"u{u}": sorted(n for n in range(MESSAGES) for i in range(RECIPIENTS) if (n + i) % USERS == u) for u in range(USERS)}
    total = MESSAGES * RECIPIENTS
    t.wait_for(lambda: sum(len(mailbox(u)) for u in wanted) >= total, 60, 0.1)
    numbers = {u: sorted(read_number(x) for x in mailbox(u)) for u in wanted}
    t.ok(numbers == wanted, f"{name}: {total} deliveries, each once",
         {u: (len(numbers[u]), len(wanted[u])) for u in wanted if numbers[u] != wanted[u]})
    changed = [x.name for u in wanted for x in mailbox(u)
               if x.read_bytes().split(b"\n\n", 1)[1] != body(read_number(x)).replace(b"\r\n", b"\n")]
    t.ok(not changed, f"{name}: no octet of a body changed", changed[:5])


def notices(mailbox):
    """The notices in a mailbox: {recipient: (action, fields of its part)}."""
    found = {}
    for path in mailbox:
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.compat32)
        if message.get_content_type() != "multipart/report":
            continue
        for part in message.walk():
            if part.get_content_type() != "message/delivery-status":
                continue
            whole, *each = part.get_payload()
            for fields in each:
                address = fields["Final-Recipient"].split(";")[1].strip()
                found[address, fields["Action"]] = {**dict(whole.items()), **dict(fields.items())}
    return found


def wait_notices(mailbox, wanted):
    t.wait_for(lambda: set(wanted) <= set(notices(mailbox())), 30, 0.1)
    return notices(mailbox())


def check_notice(found, key, name, **fields):
    notice = found.get(key)
    good = notice is not None and all(re.search(x, notice.get(n.replace("_", "-"), "")) for n, x in fields.items())
    t.ok(good, name, f"{notice}\nall: {list(found)}")


def tern_to_postfix(tern, postfix):
    errors = []
    started = time.monotonic()
    send_many(tern.smtp_port, "postfix.test", "ada@example.test", errors)
    t.ok(not errors, f"tern takes {MESSAGES} messages", errors[:3])
    check_many("tern to Postfix", postfix.mailbox)
    print(f"# {MESSAGES} messages, {MESSAGES * RECIPIENTS} recipients, tern to Postfix: {time.monotonic() - started:.1f} s", flush=True)

    def most_used():
        return max([int(x) for x in re.findall(r"disconnect from .* mail=(\d+)", postfix.log())], default=0)

    t.ok(t.wait_for(lambda: most_used() > 1), "connections to Postfix are used again", most_used())
    t.ok(len(re.findall(r"postfix/smtpd\[\d+\]: [0-9A-Za-z]+: client=", postfix.log())) == MESSAGES,
         "each message goes in one transaction for all its recipients")
    t.ok(not re.search(r"improper command pipelining|too many errors|SMTPUTF8 is required|Protocol error|syntax error",
                       postfix.log()), "Postfix has nothing to complain of")
    client = peers.Client(tern.smtp_port)
    client.mail("ada@example.test", ["nobody@postfix.test"], b"Subject: nobody\r\n\r\nx\r\n", "RET=HDRS ENVID=first",
                "ORCPT=rfc822;original@else.test")
    client.mail("ada@example.test", ["boom@postfix.test"], b"Subject: boom\r\n\r\nx\r\n")
    client.mail("ada@example.test", ["u1@postfix.test"], b"Subject: success\r\n\r\nx\r\n", "ENVID=second", "NOTIFY=SUCCESS")
    client.mail("ada@example.test", ["silent@postfix.test"], b"Subject: never\r\n\r\nx\r\n", "", "NOTIFY=NEVER")
    client.mail("ada@example.test", ["u2@postfix.test"], b"Subject: large\r\n\r\n" + b"0123456789abcdef\r\n" * 20000)
    client.mail("ada@example.test", ["u3@postfix.test", "no-such@postfix.test", "u4@postfix.test"], b"Subject: some\r\n\r\nx\r\n")
    client.quit()
    send_utf8(tern.smtp_port, "u5@postfix.test")
    wanted = [("nobody@postfix.test", "failed"), ("boom@postfix.test", "failed"), ("u1@postfix.test", "delivered"),
              ("u2@postfix.test", "failed"), ("no-such@postfix.test", "failed")]
    found = wait_notices(lambda: tern.mailbox("ada"), wanted)
    check_notice(found, wanted[0], "Postfix refuses: tern's notice", Status=r"^5\.1\.1", Original_Envelope_Id="^first$",
                 Original_Recipient="rfc822; ?original@else.test", Remote_MTA="dns; ?(127|mx)", Diagnostic_Code="smtp; ?550 5.1.1",
                 Reporting_MTA="mail.example.test")
    check_notice(found, wanted[1], "Postfix returns it later: its notice", Status=r"^5\.3\.0", Reporting_MTA="mx.postfix.test")
    check_notice(found, wanted[2], "NOTIFY=SUCCESS: Postfix tells of the delivery", Original_Envelope_Id="^second$",
                 Reporting_MTA="mx.postfix.test")
    check_notice(found, wanted[3], "larger than Postfix's SIZE: tern returns it", Status=r"^5\.3\.4", Reporting_MTA="mail.example.test")
    check_notice(found, wanted[4], "one of three recipients is refused", Status=r"^5\.1\.1")
    t.ok("message file too big" not in postfix.log() and "exceeds size limit" not in postfix.log().replace("MAIL from", ""),
         "the large one was not sent in vain")
    t.ok(tern.wait_log("to=<silent@postfix.test>") and ("silent@postfix.test", "failed") not in found, "NOTIFY=NEVER: silence")
    t.is_(len(found), len(wanted), "no other notice")
    check_utf8("tern to Postfix", lambda: postfix.mailbox("u5"))


def postfix_to_tern(tern, postfix):
    errors = []
    started = time.monotonic()
    before = tern.log().count(": client=")
    send_many(postfix.port, "example.test", "ada@postfix.test", errors)
    t.ok(not errors, f"Postfix takes {MESSAGES} messages", errors[:3])
    check_many("Postfix to tern", tern.mailbox)
    print(f"# {MESSAGES} messages, {MESSAGES * RECIPIENTS} recipients, Postfix to tern: {time.monotonic() - started:.1f} s", flush=True)
    t.is_(tern.log().count(": client=") - before, MESSAGES, "each came in one transaction")
    t.ok("Verified TLS connection established to 127.0.0.1[127.0.0.1]" in postfix.log() and
         all(b"with ESMTPS id" in x.read_bytes().split(b"\n\n", 1)[0] for x in tern.mailbox("u1")),
         "over TLS, to a server whose certificate Postfix verified", postfix.log()[-3000:])
    client = peers.Client(postfix.port)
    client.mail("ada@postfix.test", ["nobody@example.test"], b"Subject: nobody\r\n\r\nx\r\n", "ENVID=third")
    client.mail("ada@postfix.test", ["u1@example.test"], b"Subject: success\r\n\r\nx\r\n", "ENVID=fourth",
                "NOTIFY=SUCCESS ORCPT=rfc822;alias@else.test")
    client.mail("ada@postfix.test", ["boom@example.test"], b"Subject: boom\r\n\r\nx\r\n", "RET=HDRS ENVID=fifth", "NOTIFY=FAILURE")
    client.mail("ada@postfix.test", ["silent@example.test"], b"Subject: never\r\n\r\nx\r\n", "", "NOTIFY=NEVER")
    client.mail("ada@postfix.test", ["u3@example.test", "no-such@example.test", "u4@example.test"], b"Subject: some\r\n\r\nx\r\n")
    client.mail("ada@postfix.test", ["lina@example.test"], b"Subject: over LMTP\r\n\r\n.dot\r\nx\r\n", "", "NOTIFY=SUCCESS")
    client.quit()
    send_utf8(postfix.port, "u5@example.test")
    wanted = [("nobody@example.test", "failed"), ("u1@example.test", "delivered"), ("boom@late.test", "failed"),
              ("no-such@example.test", "failed"), ("lina@example.test", "delivered")]
    found = wait_notices(lambda: postfix.mailbox("ada"), wanted)
    check_notice(found, wanted[0], "tern refuses: Postfix's notice", Status=r"^5\.1\.1", Original_Envelope_Id="^third$",
                 Remote_MTA="127.0.0.1", Diagnostic_Code=r"smtp; ?550 5.1.1 <nobody@example.test>: Recipient address\s+rejected")
    check_notice(found, wanted[1], "NOTIFY=SUCCESS: tern tells of the delivery", Status=r"^2\.", Original_Envelope_Id="^fourth$",
                 Original_Recipient="rfc822; ?alias@else.test", Reporting_MTA="mail.example.test")
    check_notice(found, wanted[2], "tern returns it later: its notice", Status=r"^5\.7\.1", Original_Envelope_Id="^fifth$",
                 Reporting_MTA="mail.example.test")
    check_notice(found, wanted[3], "one of three recipients is refused", Status=r"^5\.1\.1")
    check_notice(found, wanted[4], "over LMTP", Status=r"^2\.")
    t.ok(("silent@example.test", "failed") not in found, "NOTIFY=NEVER: silence")
    check_utf8("Postfix to tern", lambda: tern.mailbox("u5"))
    t.ok(t.wait_for(lambda: tern.mailbox("lina")) and b"\n\n.dot\nx\n" in tern.mailbox("lina")[0].read_bytes() and
         b"with LMTP" in tern.mailbox("lina")[0].read_bytes(), "Postfix's lmtp client is served")
    t.ok(not re.search(r"non-SMTP|rotocol error|lost connection with|conversation with", postfix.log()),
         "Postfix has nothing to complain of (2)", [x for x in postfix.log().splitlines() if "lost" in x or "rotocol" in x][:5])


def send_utf8(port, recipient):
    client = peers.Client(port)
    client.mail("\u00e9lodie@client.example", [recipient], "Subject: gr\u00fc\u00dfe\r\nX-Utf8: yes\r\n\r\nx\r\n".encode(),
                "BODY=8BITMIME SMTPUTF8")
    client.quit()


def check_utf8(name, mailbox):
    def found():
        return [x.read_bytes() for x in mailbox() if b"X-Utf8: yes" in x.read_bytes()]

    t.ok(t.wait_for(found, 20) and all("Return-Path: <\u00e9lodie@client.example>".encode() in x and
                                       "Subject: gr\u00fc\u00dfe\n".encode() in x and b"with UTF8SMTP" in x for x in found()),
         f"{name}: SMTPUTF8", found())


def load(tern):
    source, sink = peers.find_program("smtp-source"), peers.find_program("smtp-sink")
    port = peers.free_port()
    folder = tern.top / "sink"
    folder.mkdir()
    account = pwd.getpwnam("nobody")
    os.chown(folder, account.pw_uid, account.pw_gid)
    tern.set(f"transport_maps = inline:{{ {{sink.test=smtp:[127.0.0.1]:{port}}} }}")
    reloaded = tern.run("reload")
    t.ok(reloaded.returncode == 0, "reload", reloaded.stderr)
    server = subprocess.Popen([sink, "-u", "nobody", "-R", str(folder), "-d", "m.", f"127.0.0.1:{port}", "200"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        t.wait_for(lambda: t.accepts(port))
        started = time.monotonic()
        sent = subprocess.run([source, "-s", "20", "-l", "4000", "-m", str(LOAD), "-f", "load@example.test", "-t", "load@sink.test",
                               f"127.0.0.1:{tern.smtp_port}"], capture_output=True, text=True, timeout=80)
        t.ok(sent.returncode == 0, f"smtp-source sends {LOAD}", sent.stderr)
        taken = time.monotonic() - started

        def arrived():
            return sum(1 for x in folder.iterdir())

        t.wait_for(lambda: arrived() >= LOAD and tern.log().count("to=<load@sink.test>") >= LOAD, 60, 0.05)
        whole = time.monotonic() - started
        t.is_(arrived(), LOAD, "smtp-sink has each once")
        t.is_(tern.log().count("to=<load@sink.test>, relay=127.0.0.1[127.0.0.1]"), LOAD, "and the log says so")
        t.ok(t.wait_for(lambda: peers.queue_is_empty(tern), 10), "nothing is left in the queue")
        print(f"# smtp-source to tern: {LOAD / taken:.0f} messages/s; to smtp-sink: {LOAD / whole:.0f} messages/s", flush=True)
    finally:
        server.kill()
        server.wait()


def main():
    settings = ["smtpd_peername_lookup=no", "minimal_backoff_time=2s", "queue_run_delay=2s"]
    with t.Instance(settings=settings, tls=True) as tern:
        postfix = Peer(tern, tern.top / "postfix")
        tern.set(f"transport_maps = inline:{{ {{postfix.test=smtp:[127.0.0.1]:{postfix.port}}} "
                 "{late.test=error:5.7.1 it will not do} }")
        tern.set("virtual_alias_maps = inline:{ {boom@example.test=boom@late.test} }")
        for user in ["ada", "boom", "lina", *[f"u{i}" for i in range(USERS)]]:
            tern.add_user(user)
        try:
            postfix.start()
            tern.start()
            tern_to_postfix(tern, postfix)
            postfix_to_tern(tern, postfix)
            load(tern)
            peers.check_health(tern)
        finally:
            postfix.stop()
            if os.environ.get("TERN_TEST_SAY"):
                print("".join(f"# postfix: {x}\n" for x in postfix.log().splitlines()), flush=True)


main()
t.done()
