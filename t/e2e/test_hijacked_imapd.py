#!/usr/bin/env python3
"""What an attacker can do who runs code of his own in imapd: hijacked_imapd.c is put in its place, in an instance that
root runs. He sees what passes by; but he opens no mailbox and gets no session without a login, cannot make or alter
the state of a session that idles, learns no key and no hash, and touches no other process."""

import os
import re
import signal
import socket
import ssl

import attacks
import tern_test as t
from attacks import Unharmed, memory_has
from imap_client import Client

HIJACKED = t.BUILD / "t" / "e2e" / "hijacked_imapd"
t.need("tern", *t.DAEMONS)
if not HIJACKED.is_file():
    t.skip_all("hijacked_imapd is not built")
if not t.is_root():
    t.skip_all("wants root: an ordinary user's instance has no accounts to become")

SECRET = b"a-stored-secret-c0ffee"


class Hijacked:
    """A connection before the login, with the attacker's code."""

    def __init__(self, tern):
        self.client = Client(tern.port_base + 143)
        self.client.socket.settimeout(120)

    def attack(self, *words):
        """The lines that an attack answers; None if the process ended over it."""
        lines = []
        try:
            self.client.send(("!" + " ".join(str(word) for word in words) + "\r\n").encode())
            while (line := self.client.line()) != b"end":
                lines.append(line.decode(errors="replace"))
        except (OSError, EOFError):
            return None
        return lines

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()


def once(tern, *words):
    return attacks.once(lambda: Hijacked(tern), words)


def log_in(tern, user="anna", password="secret"):
    client = Client(tern.port_base + 143)
    result, _ = client.command(f"LOGIN {user}@example.test {password}")
    return client, result


def own(tern):
    """The services that are imapd's."""
    return {str(tern.port_base + 143), str(tern.port_base + 993)}


def unharmed(tern, what):
    def logs_in():
        try:
            client, result = log_in(tern, "bob")
            good = result.startswith(b"OK") and client.command("SELECT INBOX")[0].startswith(b"OK")
            client.close()
            return good
        except (OSError, EOFError):
            return False
    return Unharmed(tern, what, own(tern), lambda: (t.wait_for(logs_in, 30), "users log in", ""))


# ---- the attacks

def system_calls(tern):
    victim, attack = tern.pid_of("mailbox"), lambda *words: once(tern, *words)
    with unharmed(tern, "system calls"):
        # A pair of sockets is how it lends TLS connections.
        outcomes = attacks.system_calls(attack, victim, "imapd", allowed=("socketpair",))
        for name in ("ptrace", "process_vm_readv", "process_vm_writev", "execve", "open_by_handle_at", "mount"):
            if outcomes.get(name):
                t.is_(once(tern, "call", name, victim), None, f"{name} costs the process its life")
        for process in ("auth", "keys", "master", "mailbox"):
            for name in ("kill", "tgkill", "pidfd_open"):
                answer = once(tern, "call", name, tern.pid_of(process))
                t.ok(attacks.is_refused(answer), f"{name} on {process} is refused", answer)
    attacks.descriptors(attack, directory=False)


def other_services(tern):
    attack = lambda *words: once(tern, *words)
    attacks.connections(attack, ("cleanup", "lookup", "qmgr", "local", "virtual", "smtp", "pam", "fetch", "log", "master", "pickup"),
                        ("auth", "keys", "mailbox"))
    with unharmed(tern, "every type of message to mailbox"):
        attacks.every_type(attack, "mailbox")


def counts(line):
    """{"opened": 0, ...} of a line."""
    return {name: int(number) for name, number in re.findall(r"(opened|refused|lost) (\d+)", line)}


def no_session(tern, owner):
    """owner: the user of the mailboxes."""
    client, result = log_in(tern)  # the ticket of this login is used up
    t.ok(result.startswith(b"OK"), "a user logs in through the attacker's process", result)
    client.close()
    for line, least in zip(once(tern, "tickets", 500) or ["lost"] * 2, (500, 34)):
        found = counts(line)
        t.ok(found.get("opened") == 0 and found.get("lost") == 0 and found.get("refused", 0) >= least, "no ticket made up, or used: " + line)
    for user, path in ((0, "/root"), (owner, str(tern.mail / "example.test" / "bob" / "Maildir"))):
        lines = once(tern, "admit", "bob@example.test", user, path) or ["lost"]
        t.is_(lines, ["admit failed", "ticket opened 0 refused 1 lost 0"], f"it admits nobody as user {user}")
    initial = {"PLAIN": b"\0bob@example.test\0wrong", "EXTERNAL": b"", "ANONYMOUS": b"x", "LOGIN": b"bob@example.test"}
    for mechanism, text in initial.items():
        for certificate in ("-", "bob@example.test"):
            for protocol in ("imap", "pop3", "smtp", "IMAP"):
                lines = once(tern, "login", mechanism, text.hex() or "00"[:0], certificate, protocol) if text else \
                    once(tern, "login", mechanism, "-", certificate, protocol)
                t.ok(lines and not lines[0].endswith("ticket") and "hash" not in lines[0],
                     f"{mechanism}, certificate {certificate}, as {protocol}: no ticket", lines)
    lines = once(tern, "login", "PLAIN", b"\0bob@example.test\0secret".hex(), "-", "imap")
    t.is_(lines, ["granted ticket"], "(a right password gets one)")
    t.is_(once(tern, "wishes", "bob@example.test"), ["list failed", "kick failed", "account failed", "bans failed", "ban failed"],
          "an operator's wishes are not its business")


def states(tern):
    client, _ = log_in(tern)
    client.command("SELECT INBOX")
    client.send(b"i IDLE\r\n")
    t.ok(client.answer().startswith(b"+"), "a client idles")
    with unharmed(tern, "altered states"):
        lines = t.wait_for(lambda: [line for line in [once(tern, "states", "anna@example.test", "bob@example.test")]
                                    if line and line[0] != "octets 0"], 30)
        lines = lines[0] if lines else ["octets 0"]
        octets = int(lines[0].split()[1])
        t.ok(octets > 100, f"its state is in the attacker's hands: {octets} octets", lines)
        for line, least in zip(lines[1:], (octets, octets, 4, 256)):
            found = counts(line)
            t.ok(found["opened"] == 0 and found["refused"] >= least, f"altered, nothing is opened: {line}")
    t.is_(once(tern, "genuine"), ["genuine opened 1 refused 0 lost 0"], "(as it was saved it is one)")
    client.send(b"DONE\r\n")
    result, _ = client.wait(b"i")
    t.ok(result.startswith(b"OK"), "the client goes on", result)
    t.ok(client.command("FETCH 1 FLAGS")[0].startswith(b"OK"), "in its mailbox")
    client.close()


REFUSED = ["genuine opened 0 refused 1 lost 0"]


def idles(tern, client=None):
    """A client whose state the attacker has."""
    before = once(tern, "saved")
    if not client:
        client, _ = log_in(tern)
        client.command("SELECT INBOX")
    client.send(b"i IDLE\r\n")
    client.answer()
    t.ok(t.wait_for(lambda: once(tern, "saved") not in (before, None), 30), "a client idles, the attacker has its state")
    return client


def wakes(client):
    client.send(b"DONE\r\n")
    t.ok(client.wait(b"i")[0].startswith(b"OK"), "the client goes on")


def nobody_left(tern):
    return t.wait_for(lambda: not tern.run("who", "anna@example.test").stdout, 30)


def kill_mailbox(tern):
    """The next one comes when somebody asks."""
    victim = t.wait_for(lambda: tern.pid_of("mailbox"))
    os.kill(victim, signal.SIGKILL)
    t.wait_for(lambda: tern.pid_of("mailbox") != victim)


def used_states(tern):
    """A state is good once, and as long as its session lasts."""
    client = idles(tern)
    wakes(client)
    t.is_(once(tern, "genuine"), REFUSED, "a state whose session has been woken is refused")
    client.command("LOGOUT")
    t.ok(nobody_left(tern), "the client logs out")
    t.is_(once(tern, "genuine"), REFUSED, "then as well")
    idles(tern).close()
    t.ok(nobody_left(tern), "a client goes without a word")
    t.is_(once(tern, "genuine"), REFUSED, "its state is refused")
    client = idles(tern)
    tern.run("kick", "anna@example.test")
    t.is_(once(tern, "genuine"), REFUSED, "that of a client that has been kicked is refused")
    t.ok(nobody_left(tern), "who is gone")
    t.is_(once(tern, "genuine"), REFUSED, "then as well")
    client.close()
    for what, renew in (("a reload", lambda: tern.run("reload")), ("the forker's death", lambda: kill_mailbox(tern))):
        lasting = idles(tern)
        wakes(lasting)
        idles(tern, lasting)
        renew()
        wakes(lasting)
        t.is_(t.wait_for(lambda: once(tern, "genuine"), 30), REFUSED, f"{what} makes no state of one that has been used")
        lasting.command("LOGOUT")
        idles(tern).close()
        t.ok(nobody_left(tern), "a client is gone")
        renew()
        t.is_(t.wait_for(lambda: once(tern, "genuine"), 30), REFUSED, f"{what} makes no state of one whose client is gone")
        idling = idles(tern)
        renew()
        renew()
        wakes(idling)
        t.ok(idling.command("FETCH 1 FLAGS")[0].startswith(b"OK"), f"{what}, twice, takes nothing from a client that idles")
        idling.close()


def secrets(tern):
    pid = int((once(tern, "hello") or ["x x 0"])[0].split()[2])
    raw = socket.create_connection(("127.0.0.1", tern.port_base + 993), timeout=30)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with context.wrap_socket(raw) as encrypted:
        client = Client(0, connection=encrypted)
        t.ok(client.command("LOGIN bob@example.test secret")[0].startswith(b"OK"), "a session with TLS")
        processes = {process for name, process in tern.pids() if name in own(tern)} | {pid}
        keys = tern.pid_of("keys")
        for name, number in attacks.key_numbers((tern.etc / "tls" / "chain.pem").read_text()).items():
            for form, needle in attacks.key_forms(number):
                t.is_([process for process in processes if memory_has(process, needle)], [], f"no imapd has the private key's {name}{form}")
            t.ok(any(memory_has(keys, needle) for _, needle in attacks.key_forms(number)), f"(keys has its {name})")
    seal = (tern.directory / "data" / "session-seal").read_bytes()
    for needle, what in ((SECRET, "a stored message"), (b"$y$j9T$", "a password's hash"), (seal[:16], "the seals' key")):
        t.is_([process for process in processes if memory_has(process, needle)], [], f"nor {what}")
    t.ok(memory_has(tern.pid_of("mailbox"), seal[:16]), "(the search finds what is there)")


def main():
    settings = ["service_throttle_time=1s", "auth_failure_delay=0", "auth_ban_exceptions=127.0.0.0/8", "auth_account_failures=1000000",
                "auth_mechanisms=plain, login, external", "mail_max_userip_connections=0"]
    with t.Instance(settings=settings, tls=True, daemons={"imapd": HIJACKED}) as tern:
        for user in ("anna", "bob"):
            tern.add_user(user)
        tern.start()
        tern.command("sendmail", "-C", tern.etc, "-i", "-f", "local@example.test", "anna@example.test",
                     input=f"Subject: x\n\n{SECRET.decode()}\n", timeout=30)
        t.ok(tern.wait_stored("anna"), "there is stored mail")
        hello = once(tern, "hello") or ["not hijacked"]
        t.ok(hello[0].startswith("hijacked"), "imapd is in the attacker's hands", hello)
        secrets(tern)
        owner = (tern.mail / "example.test" / "anna").stat().st_uid
        no_session(tern, owner)
        states(tern)
        used_states(tern)
        other_services(tern)
        system_calls(tern)


main()
t.done()
