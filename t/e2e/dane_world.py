"""A DNS world with all that can be right and wrong with DANE, and the servers behind it: each host is a server at an address of
its own on loopback, all on one port. For test_dane and test_dane_postfix.

Importing it starts the servers; dane_world.start() the name servers."""

import os
import pathlib
import shutil
import tempfile

import mail_peers as peers
import tls_peers as tls
from tls_peers import DEFERRED, SENT, TlsServer

tls.need_signed_world()

TOP = pathlib.Path(tempfile.mkdtemp(prefix="tern-dane-"))
os.chmod(TOP, 0o755)
PORT = peers.free_port()
ours = tls.Authority(TOP / "ours")
plain = ours.issue("whatever.test")                                           # usage 3 does not look at names
old = ours.issue("old.test", dates=("20200101000000Z", "20200201000000Z"))    # nor at dates
anchored = ours.issue("mx.ta.test", with_authority=True)
by_domain = ours.issue("domain.test", with_authority=True)
other_name = ours.issue("elsewhere.test", with_authority=True)
own = ours.issue("own.test", own=True)
WRONG = "3 1 1 " + "07" * 32


def records(name, *data):
    return "".join(f"_{PORT}._tcp.{name} TLSA {x}\n" for x in data)


# domain below test.: (certificate, TLSA data of mx), at an address of its own
HOSTS = {
    "good": (plain, [plain.tlsa()]),
    "sha512": (plain, [plain.tlsa(3, 1, 2)]),
    "certsum": (plain, [plain.tlsa(3, 0, 1)]),
    "wholecert": (plain, [plain.tlsa(3, 0, 0)]),
    "wholekey": (plain, [plain.tlsa(3, 1, 0)]),
    "several": (plain, [WRONG, plain.tlsa(), "0 1 1 " + "08" * 32]),
    "old": (old, [old.tlsa()]),
    "own": (own, [own.tlsa()]),
    "ta": (anchored, [ours.certificate.tlsa(2, 0, 1)]),
    "takey": (ours.issue("mx.takey.test", with_authority=True), [ours.certificate.tlsa(2, 1, 2)]),
    "domain": (by_domain, [ours.certificate.tlsa(2, 0, 1)]),
    "taname": (other_name, [ours.certificate.tlsa(2, 0, 1)]),
    "tawrong": (anchored, [own.tlsa(2, 0, 1)]),
    "mismatch": (plain, [WRONG]),
    "unusable": (own, ["0 1 1 " + "09" * 32, "1 0 1 " + "09" * 32, "3 1 9 " + "09" * 32]),
    "none": (own, []),
}
SIGNED_ALIKE = {
    "stripped": ("127.0.20.1", records("mx", plain.tlsa())),
    "unusableplain": ("127.0.20.1", records("mx", "3 1 9 " + "09" * 32)),
    "plainhost": ("127.0.20.1", ""),
    "expired": ("127.0.20.2", records("mx", plain.tlsa())),
    "bogus": ("127.0.20.2", ""),
    "lostrecord": ("127.0.20.2", f"_{PORT}._tcp.mx CNAME tlsa.expired.test.\n"),
    "unsigned": ("127.0.20.2", records("mx", WRONG)),
}
zones, servers = {}, {}
for number, (name, (certificate, data)) in enumerate(HOSTS.items(), 1):
    address = f"127.0.10.{number}"
    zones[name] = f"@ MX 10 mx\nmx A {address}\n" + records("mx", *data)
    servers[name] = TlsServer(certificate, address=address, port=PORT)
for name, (address, data) in SIGNED_ALIKE.items():
    zones[name] = f"@ MX 10 mx\nmx A {address}\n{data}"
servers["stripped"] = TlsServer(plain, address="127.0.20.1", port=PORT, starttls=None)
servers["open"] = TlsServer(plain, address="127.0.20.2", port=PORT)
zones["expired"] += f"tlsa TLSA {plain.tlsa()}\n"
zones |= {
    "second": "@ MX 10 mx.lostrecord.test.\n@ MX 20 mx.good.test.\n",
    "backup": "@ MX 10 mx.mismatch.test.\n@ MX 20 mx.good.test.\n",
    "alias": "@ MX 10 alias\nalias CNAME mx.good.test.\n",
    "ownalias": "@ MX 10 alias\nalias CNAME mx.none.test.\n" + records("alias", own.tlsa()),
    "badalias": "@ MX 10 alias\nalias CNAME mx.good.test.\n" + records("alias", WRONG),
    "outalias": "@ MX 10 alias\nalias CNAME mx.unsigned.test.\n" + records("alias", WRONG),
    "outgood": "@ MX 10 alias\nalias CNAME mx.unsigned.test.\n" + records("alias", plain.tlsa()),
    "pointer": f"@ MX 10 mx\nmx A 127.0.10.1\n_{PORT}._tcp.mx CNAME _{PORT}._tcp.mx.good.test.\n",
    "nomx": "@ A 127.0.10.1\n" + records("@", plain.tlsa()).replace("._tcp.@", "._tcp"),
    "loose": "@ MX 10 mx.good.test.\n",
    "loosewrong": "@ MX 10 mx.mismatch.test.\n",
    "loosenone": "@ MX 10 mx.none.test.\n",
}

# domain, action, status, text, server that gets it (or "" for none), encrypted, word in the log
DANE_CASES = [
    ("good", SENT, "", "", "good", True, "Verified"),
    ("sha512", SENT, "", "", "sha512", True, "Verified"),
    ("certsum", SENT, "", "", "certsum", True, "Verified"),
    ("wholecert", SENT, "", "", "wholecert", True, "Verified"),
    ("wholekey", SENT, "", "", "wholekey", True, "Verified"),
    ("several", SENT, "", "", "several", True, "Verified"),
    ("old", SENT, "", "", "old", True, "Verified"),
    ("own", SENT, "", "", "own", True, "Verified"),
    ("ta", SENT, "", "", "ta", True, "Verified"),
    ("takey", SENT, "", "", "takey", True, "Verified"),
    ("domain", SENT, "", "", "domain", True, "Verified"),
    ("taname", DEFERRED, "4.7.5", "Server certificate not verified", "", True, "verification failed"),
    ("tawrong", DEFERRED, "4.7.5", "Server certificate not verified", "", True, "verification failed"),
    ("mismatch", DEFERRED, "4.7.5", "Server certificate not verified", "", True, "verification failed"),
    ("unusable", SENT, "", "", "unusable", True, "Untrusted"),
    ("unusableplain", DEFERRED, "4.7.4", "TLS is required, but was not offered", "", False, ""),
    ("none", SENT, "", "", "none", True, "Untrusted"),
    ("plainhost", SENT, "", "", "stripped", False, ""),
    ("stripped", DEFERRED, "4.7.4", "TLS is required, but was not offered", "", False, ""),
    ("expired", DEFERRED, "4.4.3", "try again", "", False, ""),
    ("bogus", DEFERRED, "4.4.3", "try again", "", False, ""),
    ("lostrecord", DEFERRED, "4.7.5", "TLSA lookup error for mx.lostrecord.test", "", False, "TLSA lookup error"),
    ("unsigned", SENT, "", "", "open", True, "Trusted"),
    ("second", SENT, "", "", "good", True, "Verified"),
    ("backup", SENT, "", "", "good", True, "Verified"),
    ("alias", SENT, "", "", "good", True, "Verified"),
    ("ownalias", SENT, "", "", "none", True, "Verified"),
    ("badalias", SENT, "", "", "good", True, "Verified"),       # the alias's target comes first
    ("outalias", DEFERRED, "4.7.5", "Server certificate not verified", "", True, "verification failed"),
    ("outgood", SENT, "", "", "open", True, "Verified"),
    ("pointer", SENT, "", "", "good", True, "Verified"),
    ("nomx", SENT, "", "", "good", True, "Verified"),
    ("loose", SENT, "", "", "good", True, "Trusted"),           # its name may have been forged
    ("loosewrong", DEFERRED, "4.7.5", "Server certificate not verified", "", True, "verification failed"),
    ("loosenone", SENT, "", "", "none", True, "Untrusted"),
]
UNSIGNED = ("unsigned", "loose", "loosewrong", "loosenone")


def start(resolver_port=None):
    return tls.SignedWorld(TOP / "dns", zones, unsigned=UNSIGNED, expired=("expired",), bogus=("bogus",), port=resolver_port)


def stop(world):
    world.close()
    for server in servers.values():
        server.close()
    shutil.rmtree(TOP, ignore_errors=True)
