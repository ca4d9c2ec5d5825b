"""A private Postfix for tests: its own directories, on loopback."""

import os
import pathlib
import pwd
import subprocess

import mail_peers as peers
import tern_test as t

POSTFIX = peers.find_program("postfix")
MASTER_CF = """
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
tlsmgr    unix - - n 1000? 1 tlsmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
smtp      unix - - n - - smtp
lmtp      unix - - n - - lmtp
error     unix - - n - - error
retry     unix - - n - - error
discard   unix - - n - - discard
local     unix - n n - - local
virtual   unix - n n - - virtual
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""
MAIN_CF = """
compatibility_level = 3.6
config_directory = {top}/etc
queue_directory = {top}/spool
data_directory = {top}/data
maillog_file = {top}/log
maillog_file_prefixes = {top}
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.postfix.test
mydestination =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_peername_lookup = no
"""


def need():
    if not POSTFIX or not pathlib.Path("/usr/lib/postfix/sbin/smtpd").exists():
        t.skip_all("Postfix is not installed")
    if not t.is_root():
        t.skip_all("Postfix's master needs root")


class Postfix:
    """services: rows of master.cf that come before the usual ones, with {port} or what else is in ports; settings: lines of
    main.cf. Both know {top}, and what is given besides."""

    def __init__(self, top, services, settings, ports=("port",), **words):
        self.top = pathlib.Path(top)
        self.ports = {name: peers.free_port() for name in ports}
        for name in ("", "etc", "spool", "data"):
            (self.top / name).mkdir(mode=0o755, exist_ok=True)
            os.chmod(self.top / name, 0o755)
        owner = pwd.getpwnam("postfix")
        os.chown(self.top / "data", owner.pw_uid, owner.pw_gid)
        words = {"top": self.top, **self.ports, **words}
        (self.top / "etc" / "main.cf").write_text((MAIN_CF + settings).format(**words))
        (self.top / "etc" / "master.cf").write_text((services + MASTER_CF).format(**words))

    @property
    def port(self):
        return self.ports["port"]

    def run(self, word):
        return subprocess.run([POSTFIX, "-c", str(self.top / "etc"), word], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=60)

    def start(self):
        started = self.run("start")
        if started.returncode != 0 or not t.wait_for(lambda: all(t.accepts(port) for port in self.ports.values()), 20):
            raise RuntimeError(f"Postfix does not start: {started.stderr} {self.log()}")

    def stop(self):
        self.run("stop")

    def log(self):
        try:
            return (self.top / "log").read_text(errors="replace")
        except OSError:
            return ""
