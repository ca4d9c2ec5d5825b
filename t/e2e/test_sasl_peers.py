#!/usr/bin/env python3
"""smtp logs in at a real Postfix whose accounts are Dovecot's, by each mechanism that Dovecot has. TAP.

Both are private instances with their own directories, on loopback."""

import subprocess
import tempfile

import mail_peers as peers
import tern_test as t
from postfix_server import Postfix, need

need()
DOVECOT = peers.find_program("dovecot")
if not DOVECOT:
    t.skip_all("Dovecot is not installed")
t.need("tern", "master", "smtpd", "qmgr", "cleanup", "lookup", "smtp", "ternqueue")

MECHANISMS = ["SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN"]
PASSWORD = "s3cret pass,=word"

MASTER_CF = """
127.0.0.1:{port} inet n - n - - smtpd
"""
MAIN_CF = """
mynetworks =
default_transport = discard
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {top}/auth
smtpd_sasl_security_options = noanonymous
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_client_connection_rate_limit = 0
"""
DOVECOT_CONF = """
protocols =
base_dir = {top}/dovecot
state_dir = {top}/dovecot
log_path = {top}/dovecot.log
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login cram-md5 scram-sha-1 scram-sha-256
auth_failure_delay = 0
default_internal_user = {dovecot_user}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {top}/accounts
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home=/nonexistent
}}
service auth {{
  unix_listener {top}/auth {{
    mode = 0666
  }}
}}
"""


class Peer(Postfix):
    def __init__(self):
        super().__init__(tempfile.mkdtemp(prefix="tern-peer-"), MASTER_CF, MAIN_CF)
        (self.top / "accounts").write_text(f"relay:{{PLAIN}}{PASSWORD}::::::\n")
        (self.top / "dovecot.conf").write_text(DOVECOT_CONF.format(top=self.top, dovecot_user="dovecot"))

    def start(self):
        self.dovecot = subprocess.Popen([DOVECOT, "-F", "-c", str(self.top / "dovecot.conf")], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if not t.wait_for(lambda: (self.top / "auth").exists(), 20):
            raise RuntimeError("Dovecot does not start: " + (self.top / "dovecot.log").read_text())
        super().start()

    def stop(self):
        super().stop()
        self.dovecot.terminate()
        self.dovecot.wait(20)


def send(tern, number):
    tern.send("a@example.test", [f"x{number}@away.test"], b"Subject: x\n\nx\n")


peer = Peer()
peer.start()
try:
    with t.Instance() as tern:
        table = tern.file("sasl_passwd", f"[127.0.0.1]:{peer.port} relay:{PASSWORD}\n")
        for line in (f"relayhost = [127.0.0.1]:{peer.port}", "smtp_sasl_auth_enable = yes",
                     "smtp_sasl_security_options = noanonymous", f"smtp_sasl_password_maps = texthash:{table}",
                     "smtp_tls_security_level = none", "minimal_backoff_time = 600s"):
            tern.set(line)
        tern.start()
        send(tern, 0)
        t.ok(t.wait_for(lambda: "sasl_method=SCRAM-SHA-256, sasl_username=relay" in peer.log()),
             "of all that Dovecot offers SCRAM-SHA-256 is taken", peer.log())
        for number, mechanism in enumerate(MECHANISMS):
            tern.set(f"smtp_sasl_mechanism_filter = {mechanism.lower()}")
            tern.run("reload", check=True)
            send(tern, number + 1)
            t.ok(tern.wait_log(f"to=<x{number + 1}@away.test>, relay=127.0.0.1[127.0.0.1]:{peer.port}") and
                 t.wait_for(lambda: f"sasl_method={mechanism}, sasl_username=relay" in peer.log()), mechanism, peer.log())
        t.is_(tern.log().count("status=sent"), 6, "all of it was taken")
        table.write_text(f"[127.0.0.1]:{peer.port} relay:wrong\n")
        tern.set("smtp_sasl_mechanism_filter =")
        tern.run("reload", check=True)
        send(tern, 90)
        t.ok(tern.wait_log("status=deferred (SASL authentication failed; server 127.0.0.1[127.0.0.1] said: 535 5.7.8 "),
             "a wrong password is deferred")
        t.ok(t.wait_for(lambda: "SASL SCRAM-SHA-256 authentication failed" in peer.log()), "Postfix saw it", peer.log())
        table.write_text(f"[127.0.0.1]:{peer.port} relay:{PASSWORD}\n")
        t.ok(t.wait_for(lambda: tern.command("ternqueue", "-f").returncode == 0 and
                        f"to=<x90@away.test>" in tern.log() and tern.log().count("status=sent") == 7, 30, 0.5),
             "and sent once the table is right")
finally:
    peer.stop()
t.done()
