#!/usr/bin/env python3
"""smtp as a client that logs in: every mechanism, whom it logs in as, what it says when it cannot, what nobody gets
to see. The servers are scripted here. TAP."""

import base64
import hashlib
import hmac
import os

import tern_test as t

t.need("tern", "master", "smtpd", "qmgr", "cleanup", "lookup", "smtp", "ternqueue")
PASSWORD = "sEcret,=pass w\u00f6rd".encode()


def b64(data):
    return base64.b64encode(data).decode()


class Server(t.Sink):
    """A next hop that offers mechanisms; accounts: {user: password}. logins has who logged in on each connection, in
    the order of messages in senders."""

    def __init__(self, mechanisms, accounts, lie=False, answer=None):
        self.mechanisms, self.accounts, self.lie = mechanisms, accounts, lie
        self.logins, self.tries, self.by_connection = [], 0, []
        super().__init__(answer)

    def _say(self, connection, stage, text, good):
        if stage == "helo":
            good = "250-relay.test\r\n250-PIPELINING\r\n"
            good += f"250-AUTH {self.mechanisms}\r\n" if self.mechanisms else ""
            good += "250 8BITMIME"
        return super()._say(connection, stage, text, good)

    def _dialogue(self, connection, lines):
        user = [None]

        def watched():
            for line in lines:
                if line[:5].upper() == b"AUTH ":
                    self.tries += 1
                    words = line.decode().split()
                    user[0] = self._auth(connection, lines, words[1].upper(), words[2] if len(words) > 2 else None)
                    if user[0]:
                        self.logins.append(user[0])
                        connection.sendall(b"235 2.7.0 welcome\r\n")
                    else:
                        connection.sendall(b"535 5.7.8 Error: authentication failed: no such luck\r\n")
                    continue
                if line[:5].upper() == b"MAIL ":
                    self.by_connection.append((id(connection), user[0]))
                yield line
        super()._dialogue(connection, watched())

    def _ask(self, connection, lines, challenge):
        connection.sendall(b"334 " + base64.b64encode(challenge) + b"\r\n")
        answer = next(lines).strip()
        return None if answer == b"*" else base64.b64decode(answer)

    def _auth(self, connection, lines, mechanism, initial):
        initial = base64.b64decode(initial) if initial else b""
        if mechanism == "PLAIN":
            _, user, password = initial.split(b"\0")
            return user.decode() if self.accounts.get(user.decode()) == password else None
        if mechanism == "LOGIN":
            user = self._ask(connection, lines, b"Username:").decode()
            return user if self.accounts.get(user) == self._ask(connection, lines, b"Password:") else None
        if mechanism == "CRAM-MD5":
            challenge = b"<%d@relay.test>" % os.getpid()
            user, digest = self._ask(connection, lines, challenge).decode().rsplit(" ", 1)
            wanted = hmac.new(self.accounts.get(user, b"?"), challenge, "md5").hexdigest()
            return user if digest == wanted else None
        return self._scram(connection, lines, "sha1" if mechanism == "SCRAM-SHA-1" else "sha256", initial)

    def _scram(self, connection, lines, digest, initial):
        gs2, bare = initial[:3], initial[3:]
        if gs2 != b"n,,":
            return None
        fields = dict(part.split(b"=", 1) for part in bare.split(b","))
        user = fields[b"n"].replace(b"=2C", b",").replace(b"=3D", b"=").decode()
        nonce, salt = fields[b"r"] + b"server", os.urandom(16)
        first = b"r=" + nonce + b",s=" + base64.b64encode(salt) + b",i=4096"
        final = self._ask(connection, lines, first)
        without, proof = final.rsplit(b",p=", 1)
        salted = hashlib.pbkdf2_hmac(digest, self.accounts.get(user, b"?"), salt, 4096)
        key = hmac.new(salted, b"Client Key", digest).digest()
        message = bare + b"," + first + b"," + without
        signature = hmac.new(hashlib.new(digest, key).digest(), message, digest).digest()
        if bytes(a ^ b for a, b in zip(key, signature)) != base64.b64decode(proof) or without != b"c=biws,r=" + nonce:
            return None
        server = hmac.new(hmac.new(salted, b"Server Key", digest).digest(), message, digest).digest()
        if self.lie:
            server = bytes(reversed(server))
        return user if self._ask(connection, lines, b"v=" + base64.b64encode(server)) == b"" else None


def send(tern, recipient, sender="a@example.test"):
    tern.send(sender, [recipient], b"Subject: x\n\nx\n")


accounts = {"relay@user": PASSWORD}
servers = {name: Server(name, accounts) for name in ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256")}
all_of_them = Server("LOGIN PLAIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256 GSSAPI", accounts)
without = Server("", accounts)
wrong = Server("PLAIN", {"relay@user": b"another"})
liar = Server("SCRAM-SHA-256", accounts, lie=True)
shared = Server("PLAIN", {"ann": b"pa", "bob": b"pb", "relay": b"pr"})
strict = Server("PLAIN LOGIN", accounts)
route = {f"{name.lower()}.test": server for name, server in servers.items()}
route.update({"all.test": all_of_them, "without.test": without, "wrong.test": wrong, "liar.test": liar,
              "shared.test": shared, "unknown.test": (unknown := Server("PLAIN", accounts))})


def configure(tern, table, **more):
    tern.file("transport", "".join(f"{domain} smtp:[127.0.0.1]:{server.port}\n" for domain, server in route.items()))
    path = tern.file("sasl_passwd", table)
    tern.set(f"transport_maps = texthash:{tern.etc}/transport")
    tern.set(f"smtp_sasl_password_maps = texthash:{path}")
    for name, value in more.items():
        tern.set(f"{name} = {value}")


def entry(server, account):
    return f"[127.0.0.1]:{server.port} {account}\n"


known = [*servers.values(), all_of_them, without, wrong, liar]
table = "".join(entry(server, "relay@user:" + PASSWORD.decode()) for server in known)
table += entry(shared, "relay:pr") + "ann@example.test ann:pa\n@other.test bob:pb\n"

with t.Instance() as tern:
    configure(tern, table, smtp_sasl_auth_enable="yes", smtp_sasl_security_options="noanonymous",
              smtp_sender_dependent_authentication="yes", smtp_sasl_auth_cache_name="any",
              smtp_tls_security_level="none")
    tern.start()
    for name, server in servers.items():
        send(tern, f"x@{name.lower()}.test")
        t.ok(t.wait_for(lambda: server.messages) and server.logins == ["relay@user"], f"{name}", (server.logins, server.tries))
    send(tern, "x@all.test")
    t.ok(t.wait_for(lambda: all_of_them.messages) and all_of_them.tries == 1, "of many one is chosen", all_of_them.tries)
    send(tern, "x@without.test")
    t.ok(t.wait_for(lambda: without.messages), "a server without AUTH gets its mail without")
    send(tern, "x@unknown.test")
    t.ok(t.wait_for(lambda: unknown.messages) and unknown.tries == 0, "so does one for which there is no account")

    send(tern, "x@wrong.test")
    words = ("dsn=4.7.8, status=deferred (SASL authentication failed; server 127.0.0.1[127.0.0.1] said: 535 5.7.8 Error: "
             "authentication failed: no such luck)")
    t.ok(tern.wait_log(words), "a wrong password: deferred, in Postfix's words")
    tern.command("ternqueue", "-f", check=True)
    t.ok(tern.wait_log("SASL [CACHED] authentication failed; server 127.0.0.1[127.0.0.1] said: 535 5.7.8"),
         "is not tried again for a while")
    t.ok(wrong.tries == 1 and not wrong.messages, "the server was asked once", wrong.tries)
    send(tern, "x@liar.test")
    t.ok(tern.wait_log("SASL authentication failed; cannot authenticate to server 127.0.0.1[127.0.0.1]: the server does "
                       "not know the password"), "SCRAM: a server that does not know the password gets no mail")
    t.ok(not liar.messages, "none at all")

    # ---- by sender, and a connection each
    for sender in ("ann@example.test", "bob@other.test", "carl@third.test", "ann@example.test", "b2@other.test"):
        before = len(shared.messages)
        send(tern, "x@shared.test", sender)
        t.wait_for(lambda: len(shared.messages) > before)
    t.is_([user for _, user in shared.by_connection], ["ann", "bob", "relay", "ann", "bob"], "each sender's own account")
    t.is_(shared.logins, ["ann", "bob", "relay"], "a connection is used again, and only for the same account")

    # ---- secrets
    log = tern.log()
    seen = [secret for secret in ("sEcret", b64(b"\0relay@user\0" + PASSWORD)[8:], "pa\n", "ann:pa") if secret in log]
    t.is_(seen, [], "no password is in the log")
    sealed = "".join(str(line) for line in tern.command("ternconf", "-c", tern.etc, "smtp_sasl_password_maps").stdout)
    t.ok("sEcret" not in sealed, "nor in the configuration")

    tern.set("smtp_sasl_auth_soft_bounce = no")
    tern.set("smtp_sasl_auth_cache_name =")
    tern.run("reload", check=True)
    tern.command("ternqueue", "-f", check=True)
    t.ok(tern.wait_log("dsn=5.7.8, status=bounced (SASL authentication failed; server"), "soft_bounce off: returned")

with t.Instance() as tern:
    route["strict.test"] = strict
    configure(tern, entry(strict, "relay@user:" + PASSWORD.decode()), smtp_sasl_auth_enable="yes",
              smtp_tls_security_level="none")
    tern.start()
    send(tern, "x@strict.test")
    t.ok(tern.wait_log("dsn=4.7.0, status=deferred (SASL authentication failed: server 127.0.0.1[127.0.0.1] offered no "
                       "compatible authentication mechanisms for this type of connection security)"),
         "without TLS no password is sent in clear by default")
    t.is_(strict.tries, 0, "it was not even tried")
    tern.set("smtp_sasl_password_maps = texthash:/nonexistent/sasl_passwd")
    tern.run("reload", check=True)
    send(tern, "x@strict.test")
    t.ok(tern.wait_log("the account for 127.0.0.1 cannot be looked up"), "a table that does not open: deferred")
    t.ok("status=bounced" not in tern.log(), "and nothing is returned for it")
t.done()
