#!/usr/bin/env python3
"""What the kernel says about every process of an instance run by root: who it is,
what it may, and where its root directory is."""

import imaplib
import os
import poplib
import subprocess

import tern_test as t

t.need("tern", *t.DAEMONS)
if not t.is_root():
    t.skip_all("wants root: an ordinary user's instance has no accounts to become")

# name: (account's suffix, None for root; root directory below queue_directory, "/" for all; sandboxed)
ROLES = {
    "master": (None, "/", False),
    "smtpd": ("smtpd", "empty", True),
    "cleanup": ("queue", "queue", True),
    "qmgr": ("queue", "queue", True),
    "smtp": ("smtp", "empty", True),
    "local": (None, "/", True),
    "local-commands": (None, "/", False),
    "local-worker": ("mail", "/", True),
    "bounce": ("bounce", "empty", True),
    "pickup": ("pickup", "maildrop", True),
    "lookup": ("lookup", "/", True),
    "keys": ("keys", "empty", True),
    "keys-reader": ("keys", "/", True),
    "fetch": ("fetch", "../data/fetch", True),
    "tlsrpt": ("tlsrpt", "../data/tlsrpt", True),
    "auth": ("auth", "/", True),
    "pam": ("pam", "empty", True),
    "pam-checker": (None, "/", False),
    "imapd": ("imapd", "empty", True),
    "pop3d": ("pop3d", "empty", True),
    "mailbox": (None, "/", True),
    "log": ("log", None, True),
}
# An account's processes that have one of root's powers all the same.
KEPT_CAPABILITIES = {"keys-reader": {"dac_read_search"}}
# Root, but only to become somebody: what it takes to do that, and nothing else.
FORKER_CAPABILITIES = {"chown", "dac_override", "kill", "setgid", "setuid"}
CAPABILITY_NAMES = {0: "chown", 1: "dac_override", 2: "dac_read_search", 3: "fowner", 5: "kill", 6: "setgid", 7: "setuid"}


def processes(tern):
    """{name: [pid]} of all whose program lies in this instance."""
    found = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{entry}/exe").startswith(str(tern.libexec)):
                with open(f"/proc/{entry}/comm") as file:
                    found.setdefault(file.read().strip(), []).append(int(entry))
        except OSError:
            pass
    return found


def status(pid):
    with open(f"/proc/{pid}/status") as file:
        return {line.split(":", 1)[0]: line.split(":", 1)[1].split() for line in file}


def capabilities(fields):
    bits = int(fields["CapEff"][0], 16)
    return {CAPABILITY_NAMES.get(bit, str(bit)) for bit in range(64) if bits >> bit & 1}


def account(suffix):
    import pwd
    return 0 if suffix is None else pwd.getpwnam(f"tern-{suffix}").pw_uid


def check(tern, name, pid):
    suffix, root, locked = ROLES[name]
    fields = status(pid)
    t.is_([int(uid) for uid in fields["Uid"]], [account(suffix)] * 4, f"{name}: it runs as {suffix or 'root'}, and cannot change back")
    groups = {int(group) for group in fields["Groups"]}
    own = {int(group) for group in fields["Gid"]}
    t.ok(len(own) == 1 and groups <= own | ({0} if suffix is None else set()), f"{name}: no groups but its own", (own, groups))
    if suffix is not None:
        t.ok(0 not in own, f"{name}: not root's group", own)
        kept = KEPT_CAPABILITIES.get(name, set())
        t.is_(capabilities(fields), kept, f"{name}: no capabilities but {kept or 'none'}")
        for kind in ("CapInh", "CapAmb") if kept else ("CapPrm", "CapInh", "CapAmb"):
            t.is_(int(fields[kind][0], 16), 0, f"{name}: {kind} is empty")
    elif locked:
        t.ok(capabilities(fields) <= FORKER_CAPABILITIES, f"{name}: only what becoming a user takes", capabilities(fields))
    if locked:
        t.is_(fields["NoNewPrivs"], ["1"], f"{name}: no new privileges")
        t.is_(fields["Seccomp"], ["2"], f"{name}: a system call filter")
    link = os.readlink(f"/proc/{pid}/root")
    if root == "/":
        t.is_(link, "/", f"{name}: it sees /")
    else:
        wanted = os.path.normpath(tern.spool / root) if root else str(tern.log_file.parent)
        t.is_(link, wanted, f"{name}: its root directory")
    if name not in ("master", "local-commands"):
        open_paths = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        strange = [path for path in open_paths if path.startswith(str(tern.mail)) or path.endswith((".passwd", "shadow"))]
        t.is_(strange, [], f"{name}: no open file that is none of its business")


def make_certificate(tern):
    """Root's alone, below a directory that is root's alone."""
    folder = tern.top / "certificates"
    folder.mkdir(mode=0o700)
    chain = folder / "chain.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-keyout", chain, "-out", folder / "crt.pem",
                    "-days", "9", "-subj", "/CN=example.test"], check=True, capture_output=True)
    chain.write_bytes(chain.read_bytes() + (folder / "crt.pem").read_bytes())
    chain.chmod(0o600)
    tern.set(f"smtpd_tls_chain_files = {chain}")
    tern.set("smtpd_tls_security_level = may")


def check_session_process(name, pid, own_files):
    fields = status(pid)
    t.is_([int(uid) for uid in fields["Uid"]], [account("mail")] * 4, f"{name}: it runs as the mailbox's owner, and cannot change back")
    t.ok("0" not in fields["Groups"] + fields["Gid"], f"{name}: not in root's group", (fields["Groups"], fields["Gid"]))
    for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
        t.is_(int(fields[kind][0], 16), 0, f"{name}: {kind} is empty")
    t.is_((fields["NoNewPrivs"], fields["Seccomp"]), (["1"], ["2"]), f"{name}: no new privileges, a system call filter")
    paths = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    strange = [path for path in paths if path.startswith("/") and not path.startswith((*own_files, "/dev/"))]
    t.is_(strange, [], f"{name}: no open file but of its mailbox")


def check_session(tern, protocol, leave):
    """A session of IMAP or POP3; its mailbox is its business, so it is looked at by itself, and gone before the others are.
    The same of its process when it is over."""
    name, waits = f"{protocol}-session", f"{protocol}-waits"
    pids = processes(tern).get(name, [])
    t.is_(len(pids), 1, f"{name}: one process")
    for pid in pids:
        check_session_process(name, pid, (str(tern.mail / "example.test" / "anna"),))
    leave()
    t.ok(t.wait_for(lambda: name not in processes(tern)), f"{name}: it ends with its client")
    t.is_(processes(tern).get(waits), pids, f"{waits}: its process waits for another session of the account")
    for pid in pids:
        check_session_process(waits, pid, ())
    tern.run("kick", "anna@example.test")
    t.ok(t.wait_for(lambda: waits not in processes(tern)), f"{waits}: it ends when it is not wanted any more")


def check_sessions(tern):
    client = imaplib.IMAP4("127.0.0.1", tern.port_base + 143, timeout=30)
    client.login("anna@example.test", "secret")
    client.select()
    check_session(tern, "imap", client.logout)
    client = poplib.POP3("127.0.0.1", tern.port_base + 110, timeout=30)
    client.user("anna@example.test")
    client.pass_("secret")
    client.stat()
    check_session(tern, "pop3", client.quit)


def main():
    sink = t.Sink(lambda stage, text: "550 5.1.1 no" if stage == "rcpt" and text.startswith("no@") else None)
    with t.Instance(settings=["disable_dns_lookups=yes", "smtp_host_lookup=native", "smtpd_sasl_auth_enable=yes",
                              "smtpd_tls_auth_only=no", "auth_failure_delay=0", "mailbox_linger_time=600s"]) as tern:
        tern.set("auth_sources = passwd-file:$config_directory/users.passwd, pam:tern")
        tern.set(f"relayhost = [127.0.0.1]:{sink.port}")
        tern.set("auth_sources = passwd-file:$config_directory/users.passwd, pam:tern-test")
        tern.add_user("anna")
        make_certificate(tern)
        tern.start()
        # So that each kind of process runs: in, out, local, and back.
        tern.send("anna@example.test", ["anna@example.test", "r@sink.test", "no@sink.test"], b"Subject: all\n\nx\n")
        t.ok(tern.wait_stored("anna", 2), "a message and a bounce came")
        tern.command("sendmail", "-C", tern.etc, "-i", "anna@example.test", input="Subject: s\n\nx\n")
        t.ok(tern.wait_stored("anna", 3), "and one by sendmail")
        with tern.smtp() as session:  # whom PAM does not know, or cannot be asked about: its processes run
            t.ok(session.docmd("AUTH", "PLAIN AG5vYm9keQB4")[0] in (454, 535), "nobody does not get in")
        with tern.smtp() as client:
            client.ehlo()
            client.starttls()
        subprocess.run([t.BUILD / "t" / "e2e" / "fetch_probe", tern.spool / "private" / "fetch", "", "policy", "localhost"],
                       stdout=subprocess.DEVNULL, timeout=60, check=True)
        tern.run("auth", "test", "nobody", input="x\n")  # who is in no file is asked of PAM
        check_sessions(tern)
        found = processes(tern)
        t.is_(sorted(set(found) - set(ROLES)), [], "no process of an unknown kind")
        t.is_(sorted(set(ROLES) - set(found)), [], "every kind of process runs")
        for name in sorted(found):
            for pid in found[name]:
                if name in ROLES:
                    check(tern, name, pid)
        kinds = {}
        for name, pids in found.items():
            for pid in pids:
                kinds.setdefault(int(status(pid)["Uid"][0]), set()).add(name)
        shared = {uid: names for uid, names in kinds.items() if uid != 0 and len(names) > 1 and names not in ({"cleanup", "qmgr"}, {"keys", "keys-reader"})}
        t.is_(shared, {}, "no account has two kinds of process, but for the queue's and the keys'")
    sink.close()


main()
t.done()
