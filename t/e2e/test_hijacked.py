#!/usr/bin/env python3
"""What an attacker can do who runs code of his own in smtpd: hijacked_smtpd.c is put in
its place, in an instance that root runs with an account for each kind of process. At
most he may inject and relay mail, see and alter the sessions he carries, and ask what
smtpd's row allows; all else is refused, and nobody else notices."""

import hashlib
import itertools
import os
import re
import smtplib
import subprocess
import threading
import time

import attacks
import tern_test as t
from attacks import Unharmed, memory_has

HIJACKED = t.BUILD / "t" / "e2e" / "hijacked_smtpd"
t.need("tern", *t.DAEMONS)
if not HIJACKED.is_file():
    t.skip_all("hijacked_smtpd is not built")
if not t.is_root():
    t.skip_all("wants root: an ordinary user's instance has no accounts to become")

SECRET = "a-stored-secret-c0ffee"  # in everything that the attacker must not see
OPENS = 10000
numbers = itertools.count(1)  # of messages that show that mail goes on


class Hijacked:
    """A session with the attacker's code."""

    def __init__(self, tern, timeout=60):
        self.session = tern.smtp(timeout=timeout)

    def attack(self, *words):
        """The lines that an attack answers; None if the process ended over it."""
        try:
            code, text = self.session.docmd("NOOP", "!" + " ".join(str(word) for word in words))
        except (smtplib.SMTPServerDisconnected, OSError):
            return None
        if code != 250:
            return None
        return text.decode(errors="replace").splitlines()[:-1]

    def close(self):
        self.session.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def once(tern, *words):
    return attacks.once(lambda: Hijacked(tern), words)


def hexed(text):
    return (text if isinstance(text, bytes) else text.encode()).hex()


def digests(tern):
    """What stands in the queue and in the mailboxes, but for what is appended to a queue file."""
    found = {}
    for top in (tern.spool / "queue", tern.mail):
        for folder, _, names in os.walk(top):
            for name in names:
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    found[path] = hashlib.sha256(file.read()).hexdigest()
    return found


def sendmail(tern, recipient, text):
    """By pickup, which has nothing to do with smtpd."""
    return tern.command("sendmail", "-C", tern.etc, "-i", "-f", "local@example.test", recipient,
                        input=f"Subject: {text}\n\n{text}\n", timeout=30)


def unharmed(tern, what):
    def works():
        text = f"after-{next(numbers)}"
        went = sendmail(tern, "bob@example.test", text)
        came = t.wait_for(lambda: any(text.encode() in message for message in tern.stored("bob")), 20)
        return went.returncode == 0 and came, "mail goes on", went.stderr
    return Unharmed(tern, what, {str(tern.smtp_port)}, works)


# ---- the attacks

def system_calls(tern):
    victim, attack = tern.pid_of("qmgr"), lambda *words: once(tern, *words)
    with unharmed(tern, "system calls"):
        outcomes = attacks.system_calls(attack, victim, "smtpd")
        for name in [name for name, outcome in outcomes.items() if outcome == "deadly"]:
            t.is_(once(tern, "call", name, victim), None, f"{name} costs the process its life")
    t.ok(tern.wait_log("signal 31"), "master says so")
    attacks.descriptors(attack, directory=True)


def secrets(tern):
    pid = int((once(tern, "hello") or ["x x 0"])[0].split()[2])
    for needle, what in ((SECRET.encode(), "a stored or queued message"), (b"{CRYPT}", "a password's hash")):
        t.ok(not memory_has(pid, needle), f"smtpd's memory has nothing of {what}")
    t.ok(memory_has(tern.pid_of("lookup"), b"anna@example.test"), "(the search finds what is there)")
    passwords = tern.etc / "users.passwd"
    for table in (f"texthash:{passwords}", f"hash:{passwords}", f"inline:{{x=y}}", "texthash:/etc/shadow",
                  f"proxy:texthash:{passwords}", f"pipemap:{{static:x,texthash:{passwords}}}",
                  f"unionmap:{{texthash:{passwords}}}", "unix:shadow.byname", f"socketmap:unix:{tern.spool}/public/qmgr:x",
                  "smtp_sasl_password_maps", f"texthash:{tern.etc}/relays", "no_such_parameter", "pcre:/proc/self/environ"):
        answer = once(tern, "table", table, "anna@example.test") or ["nothing"]
        t.ok(answer[0].startswith("refused"), f"lookup does not open {table.split('/')[0]}", answer)
    answer = once(tern, "credentials", "relay.test") or ["nothing"]
    t.ok(answer[0].startswith("refused"), "nor does it tell of accounts at other servers", answer)
    answer = once(tern, "table", "virtual_mailbox_maps", "anna@example.test") or ["nothing"]
    t.ok(answer[0].startswith("found"), "it answers what smtpd's row allows", answer)


def keys_of(tern, side=0, name=""):
    return [line.split()[1] for line in once(tern, "chains", side, *([name] if name else [])) or [] if line.startswith("key ")]


SERVER_13 = b" " * 64 + b"TLS 1.3, server CertificateVerify\0" + b"h" * 32
CLIENT_13 = b" " * 64 + b"TLS 1.3, client CertificateVerify\0" + b"h" * 32
SERVER_12 = b"r" * 64 + bytes([3, 0, 29, 32]) + b"k" * 32


def private_keys(tern, folder):
    """keys signs what handshakes sign, each key for its own side, and gives no key away."""
    keys = t.wait_for(lambda: tern.pid_of("keys"), 10) if once(tern, "chains", 0) else None
    t.ok(keys, "keys runs")
    ecdsa, rsa = keys_of(tern)[:2]
    client = keys_of(tern, 1)[0]
    lines = once(tern, "chains", 0) or []
    t.ok(len(lines) == 2 and all(line.startswith("key ") and "private" not in line for line in lines), "certificates, not keys", lines)
    # 0x0403 ecdsa_secp256r1_sha256, 0x0804 rsa_pss_rsae_sha256, 0x0401 rsa_pkcs1_sha256, 0x0807 ed25519
    for key, scheme, content, wanted, what in (
            (ecdsa, 0x0403, SERVER_13, "signed", "what TLS 1.3 signs (so it can be the server while it lives)"),
            (rsa, 0x0804, SERVER_13, "signed", "the same with RSA"),
            (rsa, 0x0401, SERVER_12, "signed", "what TLS 1.2 signs"),
            (client, 0x0807, CLIENT_13, "signed", "the client's key for a client's handshake"),
            (ecdsa, 0x0403, CLIENT_13, "refused", "a client's handshake by the server's key"),
            (client, 0x0807, SERVER_13, "refused", "a server's handshake by the client's key"),
            (ecdsa, 0x0403, b"I owe you a million" * 5, "refused", "a letter"),
            (rsa, 0x0401, bytes.fromhex("3082010a") + b"0" * 266, "refused", "a certificate"),
            (rsa, 0x0401, b"h" * 32, "refused", "a digest"),
            (rsa, 0x0401, b"", "refused", "nothing"),
            (rsa, 0x0201, SERVER_13, "refused", "by SHA-1"),
            (rsa, 0x0403, SERVER_13, "refused", "by another kind's scheme"),
            (rsa, 0, SERVER_13, "refused", "by no scheme"),
            ("00" * 32, 0x0403, SERVER_13, "refused", "with a key that is not there"),
            ("", 0x0403, SERVER_13, "refused", "with a key without a name")):
        answer = once(tern, "sign", key or "-", scheme, hexed(content) or "-", 1) or ["lost"]
        t.ok(answer[0].startswith(wanted), f"keys: {what}: {wanted}", answer)
    t.ok(tern.wait_log("refused to sign for the service"), "the log tells of what was refused")
    t.is_(once(tern, "tickets"), ["not taken"], "ticket keys of the attacker's are not taken")
    with unharmed(tern, "keys' memory"):
        for call in ("ptrace", "process_vm_readv", "process_vm_writev", "pidfd_open", "kill", "tgkill", "move_pages"):
            answer = once(tern, "call", call, keys)
            t.ok(attacks.is_refused(answer), f"{call} on keys is refused", answer)
    with tern.smtp() as session:
        session.ehlo()
        session.starttls()
        t.is_(session.docmd("NOOP", "")[0], 250, "a session with TLS")
        pid = int((once(tern, "hello") or ["x x 0"])[0].split()[2])
        processes = [process for name, process in tern.pids() if name == str(tern.smtp_port)] + [pid]
        for path in (folder / "ecdsa.key", folder / "rsa.key"):
            for name, number in attacks.key_numbers(path.read_text()).items():
                for form, needle in attacks.key_forms(number):
                    t.is_([process for process in processes if memory_has(process, needle)], [], f"no smtpd has {path.name}'s {name}{form}")
                t.ok(any(memory_has(keys, needle) for _, needle in attacks.key_forms(number)), f"(and keys has {path.name}'s {name})")
    with Hijacked(tern, timeout=240) as hijacked:
        asked = [hijacked.attack("sign", rsa, 0x0804, hexed(SERVER_13), 3000) for _ in range(3)]
        print(f"# {asked}")
        begun = time.monotonic()
        answer = once(tern, "sign", ecdsa, 0x0403, hexed(SERVER_13), 1) or ["lost"]
        took = time.monotonic() - begun
        t.ok(answer[0].startswith("signed") and took < 5, f"while one asks for signatures without end another gets his ({took:.2f} s)", answer)
    t.is_(tern.pid_of("keys"), keys, "keys is the same")


def make_certificates(tern):
    folder = tern.top / "certificates"
    folder.mkdir(mode=0o700)
    for name, kind in (("ecdsa", ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]), ("rsa", ["rsa:2048"]), ("client", ["ed25519"])):
        subprocess.run(["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-keyout", folder / f"{name}.key", "-out",
                        folder / f"{name}.crt", "-days", "90", "-subj", "/CN=example.test"], check=True, capture_output=True)
        (folder / f"{name}.key").chmod(0o600)
    tern.set(f"smtpd_tls_chain_files = {folder}/ecdsa.key, {folder}/ecdsa.crt, {folder}/rsa.key, {folder}/rsa.crt")
    tern.set(f"smtp_tls_chain_files = {folder}/client.key, {folder}/client.crt")
    tern.set("smtpd_tls_security_level = may")
    return folder


def other_services(tern):
    attacks.connections(lambda *words: once(tern, *words), ("qmgr", "local", "virtual", "bounce", "smtp", "relay", "lmtp", "pickup", "log", "master", "x"),
                        ("cleanup", "lookup", "keys", "auth"))
    for path in ("public/qmgr", str(tern.spool / "public" / "qmgr"), "/run/systemd/private", "private/lmtp"):
        answer = once(tern, "connect-path", path) or ["nothing"]
        t.ok(answer[0].startswith("refused"), f"nor to the socket {path.rsplit('/', 2)[-1]}", answer)


def control_socket(tern):
    master = tern.pid_of("master")
    with unharmed(tern, "master's socket"):
        for kind in ("short", "noise", "long", "drain", "hello", "open", "cut", "with-descriptor"):
            t.is_(once(tern, "control", kind), None, f"control socket: {kind} costs the process its life")
        t.is_(once(tern, "control-flood", 3000), None, "so do wishes without end")
    t.is_(tern.pid_of("master"), master, "master is the same")


def all_types(tern):
    for service in ("cleanup", "lookup", "keys", "auth"):
        with unharmed(tern, f"every type of message to {service}"):
            attacks.every_type(lambda *words: once(tern, *words), service)


def passwords(tern):
    """It may try passwords, as smtpd must; but it learns no hash, and each account bears few tries."""
    with unharmed(tern, "guesses at passwords"):
        t.is_(once(tern, "wishes", "anna@example.test"), ["bans failed", "lift failed", "ban failed"],
              "who is kept out is no business of smtpd's")
        lines = once(tern, "guess", "bob@example.test", "secret", 0) or ["lost"]
        t.is_(lines, ["granted 1 denied 0 later 0 lost 0 hashes 0"], "a right password is right")
        lines = once(tern, "guess", "anna@example.test", "secret", 120) or ["lost"]
        counts = dict(zip(lines[0].split()[::2], lines[0].split()[1::2]))
        print(f"# {lines}")
        t.ok(counts.get("lost") == "0" and int(counts.get("denied", 999)) <= 41, "an account bears few guesses, wherever from", lines)
        t.is_((counts.get("granted"), counts.get("hashes")), ("0", "0"), "then even the right one is not taken, and no hash is seen")
        t.ok(any(b"anna@example.test" in line.encode() and "kept out" in line for line in tern.log().splitlines()), "the log says so")


def queue_files(tern, sink):
    def outcome(kind, *rest):
        return once(tern, "queue", kind, "keeper@sink.test", *rest) or ["lost"]

    lines = outcome("read")
    for name in ("read", "map", "map-write", "truncate", "chmod", "link", "lock", "fallocate"):
        line = next((line for line in lines if line.startswith(name + " ")), "missing")
        t.ok(line.split()[-1] in ("EPERM", "EACCES", "EBADF"), f"its own queue file: {name} is refused", line)
    t.ok(any(line.startswith("cleanup_committed") for line in lines), "but it can inject a message", lines)
    t.ok(lines[-1].startswith("refused"), "which after the commit is no longer its own", lines)
    for kind, why in (("copy", "while it keeps a descriptor"), ("length", "with another length than it said")):
        lines = outcome(kind)
        t.ok(lines[0].startswith("refused"), f"no commit {why}", lines)
    lines = outcome("header")
    t.ok(lines[0].startswith(("refused", "cleanup_committed")), "a header of its own is overwritten", lines)
    lines = outcome("flight")
    t.ok(lines[0].startswith(("refused", "cleanup_committed")), "a descriptor on its way to another service", lines)
    once(tern, "release")
    committed = 0
    for writes in (0, 1, 10, 100, 1000, 3000, 10000, 30000, 100000, 300000):
        lines = outcome("race", writes)
        t.ok(lines[0].startswith(("refused", "cleanup_committed")), f"a race of {writes} writes with the commit", lines)
        committed += lines[0].startswith("cleanup_committed")
    print(f"# {committed} races were committed")
    lines = outcome("huge")
    print(f"# huge: {lines}")
    t.ok(len(lines) > 1 and int(lines[0].split()[-1]) < 1 << 30, "a file without end is not to be had", lines)
    t.ok(t.wait_for(lambda: not tern.queued("tmp"), 20), "nothing is left in tmp/")
    t.is_(tern.queued("corrupt"), [], "what was committed is what was summed")
    t.ok(t.wait_for(lambda: len(sink.messages) >= 2 + committed - 1, 20), "what was committed is sent", len(sink.messages))


def other_files(tern, sink):
    """A file that another connection writes, and those that are queued."""
    with unharmed(tern, "other connections' files"):
        with tern.smtp() as session:
            session.mail("s@example.test")
            session.rcpt("anna@example.test")
            session.putcmd("data")
            session.getreply()
            session.send(b"Subject: under way\r\n\r\n" + b"too large to stay in memory\r\n" * 15000)
            writing = t.wait_for(lambda: tern.queued("tmp"))
            for queue_id in writing + tern.queued():
                lines = once(tern, "other", queue_id) or ["lost"]
                t.ok(lines[-1].startswith("refused"), f"a file of another connection: {queue_id}", lines)
            session.send(b"still whole\r\n.\r\n")
            t.is_(session.getreply()[0], 250, "the one that was being written is accepted")
        came = t.wait_for(lambda: any(b"still whole" in message for message in tern.stored("anna")), 20)
        t.ok(came, "and delivered")
    t.ok(not any("thief@sink.test" in recipients for _, recipients, _ in sink.messages), "the attacker gets nothing of it")


def memory(tern, sink):
    """Content that comes in memory: what is committed cannot be changed, and has a name of its own."""
    queued = tern.queued()
    with unharmed(tern, "content in memory"):
        for kind in ("unsealed", "writing", "growing", "pipe", "longer"):
            lines = once(tern, "memory", kind) or ["lost"]
            t.ok(len(lines) == 3 and lines[0].startswith("refused") and lines[2].startswith("refused"), f"memory: {kind}", lines)
        before = len(tern.stored("bob"))
        lines = once(tern, "memory", "sealed") or ["lost"]
        t.ok(lines[0].startswith("cleanup_committed"), "sealed content is accepted", lines)
        t.is_(lines[1], "unchanged", "and is the writer's no more")
        t.ok(lines[2].startswith("refused"), "its name is used up", lines)
        for queue_id in [*queued, "0", "../../x", "zzzzzzzzzzzzzzz"]:
            lines = once(tern, "memory", "sealed", queue_id) or ["lost"]
            t.ok(lines[0].startswith("refused"), f"a name that is not its own: {queue_id}", lines)
        t.ok(t.wait_for(lambda: len(tern.stored("bob")) > before, 20), "what was committed is delivered")
        t.is_(len(tern.stored("bob")), before + 1, "and nothing else")
    t.is_(sorted(tern.queued()), sorted(queued), "the queue is as it was")


def envelopes(tern, sink):
    """What an envelope of the attacker's can do further on: in logs, sessions and mailboxes."""
    forged = "x\nNov 27 22:00:00 host postfix/qmgr[1]: 4AAAA: removed\r\n6 1 1 forged"
    command = tern.top / "by-command"
    with unharmed(tern, "envelopes"):
        for field in ("sender", "helo", "client", "login", "protocol", "message_id", "envid", "hold"):
            limit = {"protocol": 16, "client": 60, "envid": 120}.get(field, 200)
            lines = once(tern, "inject", f"{field}={hexed(forged[:limit])}") or ["lost"]
            print(f"# {field}: {lines}")
        recipients = [
            f"|touch {command}", f"\"|touch {command}\"@example.test", f"|touch {command}@example.test", f"/{command}",
            f"{command}", f"\"{command}\"@localhost", ":include:/etc/shadow", "../../../bob@example.test", "anna+../../x@example.test",
            "anna@example.test/../../x", "x\r\nRCPT TO:<smuggled@sink.test>@sink.test", "x>\r\nRCPT TO:<smuggled@sink.test",
            "x@sink.test>\r\nRCPT TO:<smuggled@sink.test", "x@sink.test>\r\nDATA\r\nsmuggled\r\n.\r\nMAIL FROM:<a@b",
            forged, "x\0y@example.test", "@sink.test", "", "x@" + "d" * 300,
        ]
        for recipient in recipients:
            for plain in ((), ("plain=31",)):
                lines = once(tern, "inject", f"recipient={hexed(recipient)}", *plain) or ["lost"]
                print(f"# {recipient!r}: {lines}")
        for sender in ("x@sink.test>\r\nRCPT TO:<smuggled@sink.test", "x\r\nRSET\r\n", "a\nb@sink.test", "x> SIZE=1\r\nDATA\r\n.\r\n<"):
            lines = once(tern, "inject", f"sender={hexed(sender)}", f"recipient={hexed('y@sink.test')}") or ["lost"]
            print(f"# from {sender!r}: {lines}")
    t.ok(not command.exists(), "no recipient is a command or a file")
    everything = [(sender, recipients, content) for sender, recipients, content in sink.messages
                  if any("smuggled" in recipient for recipient in recipients) or b"smuggled" in content]
    t.is_(everything, [], "no envelope speaks SMTP to the next hop")


def log_lines(tern):
    """Every line begins as the log daemon begins lines; what is forged stands under smtpd's name or within another's line."""
    lines = ["6 1 1700000000000000 4AAAA: from=<forged@x>", "postfix/qmgr[7]: forged", "0 9 9 forged panic",
             "Nov 27 22:00:00 host postfix/qmgr[1]: 4AAAA: removed forged", "6 1 1 forged\rforged\x1b[2J\x85 forged"]
    with unharmed(tern, "log lines"):
        t.is_(once(tern, "log", hexed("\n".join(lines) + "\n")), ["log done", "error done"], "it writes to its log pipe")
        t.ok(tern.wait_log("forged", count=8), "which is logged")
    pattern = re.compile(r"^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ ([\w/.-]+)\[\d+\]: (.*)$")
    wrong, forged = [], []
    for line in tern.log().splitlines():
        match = pattern.match(line)
        if not match or re.search(r"[\x00-\x1f\x7f]", line):
            wrong.append(line)
        elif match.group(2).startswith(("4AAAA: removed", "forged")) and "smtpd" not in match.group(1):
            forged.append(line)
    t.is_(wrong, [], "every line of the log is one, and printable")
    t.is_(forged, [], "no line under another service's name")


def floods(tern):
    """What is taken is bounded, comes back when the attacker's connection ends, and leaves room for others."""
    with unharmed(tern, "floods over"):
        with Hijacked(tern, timeout=240) as hijacked:
            with unharmed(tern, f"{OPENS} files open"):
                lines = hijacked.attack("open", OPENS) or ["lost"]
                print(f"# {lines}")
                t.ok(lines[0].startswith("opened"), "files without end: bounded", lines)
            hijacked.attack("release")
            t.ok(t.wait_for(lambda: not tern.queued("tmp"), 60), "they are gone when the connection is")
            for service in ("cleanup", "lookup"):
                with unharmed(tern, f"connections to {service}"):
                    lines = hijacked.attack("connections", service, 2000) or ["lost"]
                    print(f"# {lines}")
                    t.ok(lines[0].startswith("made"), "connections without end", lines)
                    alive = int(lines[0].split()[-1]) if lines[0].startswith("made") else 9999
                    t.ok(alive <= 64, f"{service} takes a few of them", lines)
                hijacked.attack("release")
            with unharmed(tern, "answers that nobody takes"):
                print(f"# {hijacked.attack('unread', 30000)}")
            hijacked.attack("release")
            with unharmed(tern, "commits all at once"):
                lines = hijacked.attack("commits", 5000) or ["lost"]
                print(f"# {lines}")
                t.is_(lines, ["opened 5000 sent 5000 answered 5000"], "commits all at once are answered")
            with unharmed(tern, "recipients ahead"):
                print(f"# {hijacked.attack('ahead', 100, 8)}")
            hijacked.attack("release")


def listening_socket(tern):
    """The one that it shares with master, and with the processes that come after it."""
    with unharmed(tern, "its listening socket"):
        t.is_(once(tern, "unlisten"), None, "it shuts the socket down and ends")
        t.ok(t.wait_for(lambda: once(tern, "hello"), 20), "the next process serves on it")
    t.ok(tern.wait_log("it listens again"), "master says so")


def deaf(tern):
    """A process that does not hear that it is to end."""
    before = tern.pid_of("master")
    session = Hijacked(tern, timeout=5)
    threading.Thread(target=session.attack, args=("deaf",), daemon=True).start()
    with unharmed(tern, "a deaf process"):
        pass
    t.ok(tern.run("reload").returncode == 0, "a reload gets by it")
    t.ok(t.wait_for(lambda: once(tern, "hello"), 20), "its successor serves")
    t.is_(tern.pid_of("master"), before, "master is the same")
    t.ok(tern.stop().returncode == 0, "it cannot hold up a stop")
    t.is_(tern.pids(), [], "nothing is left")


def main():
    sink = t.Sink(lambda stage, text: "450 4.2.0 later" if stage == "rcpt" and text.startswith("later") else None)
    settings = ["disable_dns_lookups=yes", "smtp_host_lookup=native", "service_throttle_time=1s", "service_stop_time=10s",
                "smtpd_sasl_auth_enable=yes", "auth_failure_delay=0", "auth_account_failures=2"]
    with t.Instance(settings=settings, daemons={"smtpd": HIJACKED}) as tern:
        tern.set(f"relayhost = [127.0.0.1]:{sink.port}")
        tern.set(f"smtp_sasl_password_maps = texthash:{tern.file('relays', 'relay.test user:' + SECRET)}")
        for user in ("anna", "bob"):
            tern.add_user(user)
        folder = make_certificates(tern)
        tern.start()
        # Stored, deferred, on hold: by pickup, so that smtpd never had it.
        sendmail(tern, "anna@example.test", SECRET)
        sendmail(tern, "later@sink.test", SECRET)
        sendmail(tern, "later2@sink.test", SECRET)
        t.ok(tern.wait_stored("anna"), "there is stored mail")
        t.ok(t.wait_for(lambda: len(tern.queued("cur")) == 2), "and deferred mail")
        held = tern.queued("cur")[0]
        tern.queue_tool("ternsuper", "-h", held)
        t.ok(t.wait_for(lambda: tern.queued("hold") == [held]), "and mail on hold")
        hello = once(tern, "hello") or ["not hijacked"]
        t.ok(hello[0].startswith("hijacked"), "smtpd is in the attacker's hands", hello)
        kept = {path: digest for path, digest in digests(tern).items() if "/hold/" in path or "/Maildir/" in path or "/cur/" in path}

        system_calls(tern)
        secrets(tern)
        private_keys(tern, folder)
        other_services(tern)
        control_socket(tern)
        all_types(tern)
        passwords(tern)
        queue_files(tern, sink)
        other_files(tern, sink)
        memory(tern, sink)
        envelopes(tern, sink)
        log_lines(tern)
        floods(tern)
        listening_socket(tern)
        now = digests(tern)
        t.is_({path: now.get(path) for path in kept}, kept, "what was stored and queued before is as it was")
        deaf(tern)
    sink.close()


main()
t.done()
