#!/usr/bin/env python3
"""smtp logs in by OAuth access tokens: had from a token server over HTTPS with a refresh token, kept, asked for anew
when refused, and what happens when there is none. TAP."""

import base64
import json
import pathlib
import tempfile
import urllib.parse

import mail_peers as peers
import tern_test as t
import tls_peers as tls
import web_peers as web

t.need("tern", "master", "fetch", "smtp", "lookup", "qmgr", "ternqueue")
if not peers.find_program("openssl"):
    t.skip_all("openssl is not installed")

TOP = pathlib.Path(tempfile.mkdtemp(prefix="tern-tokens-"))
authority = tls.Authority(TOP / "authority")
certificates = {"token.test": authority.issue("token.test"), "default": authority.issue("default.test")}
issued, refusing = [], []


def give_token(method, host, path, headers, body):
    form = dict(urllib.parse.parse_qsl(body.decode()))
    if refusing:
        return refusing[0]
    if (method, path, form.get("refresh_token"), form.get("client_id"), form.get("client_secret"), form.get("scope"),
            form.get("grant_type"), headers["Content-Type"]) != (
            "POST", "/token", "1//refresh", "the client", "s&cret", None, "refresh_token",
            "application/x-www-form-urlencoded"):
        return 400, {"Content-Type": "application/json"}, b'{"error":"invalid_request"}'
    issued.append(f"access.token-{len(issued) + 1}")
    answer = {"access_token": issued[-1], "expires_in": 3600, "token_type": "Bearer"}
    return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()


class Server(t.Sink):
    """Takes the newest token alone, by the mechanism it offers."""

    def __init__(self, mechanism):
        self.mechanism, self.tries, self.valid = mechanism, [], lambda token: token == issued[-1]
        super().__init__()

    def _say(self, connection, stage, text, good):
        return super()._say(connection, stage, text, f"250-relay.test\r\n250 AUTH {self.mechanism}" if stage == "helo" else good)

    def _dialogue(self, connection, lines):
        def watched():
            for line in lines:
                if line[:5].upper() != b"AUTH ":
                    yield line
                    continue
                _, mechanism, initial = line.decode().split()
                text = base64.b64decode(initial).decode()
                self.tries.append((mechanism, text))
                token = text.split("Bearer ")[1].split("\1")[0]
                if self.valid(token):
                    connection.sendall(b"235 2.7.0 welcome\r\n")
                    continue
                connection.sendall(b"334 " + base64.b64encode(b'{"status":"invalid_token"}') + b"\r\n")
                self.tries.append(("answer", base64.b64decode(next(lines)).decode()))
                connection.sendall(b"535 5.7.8 token is no good\r\n")
        super()._dialogue(connection, watched())


page = web.WebServer(certificates, give_token)
dns = web.NameServer({("token.test", "A"): ["127.0.0.1"]})
bearer, xoauth = Server("PLAIN OAUTHBEARER"), Server("PLAIN LOGIN XOAUTH2")
with t.Instance(settings=[dns.setting, f"fetch_ca_file={authority.file}", "smtp_sasl_auth_enable=yes",
                          "smtp_sasl_security_options=noanonymous", "smtp_tls_security_level=none",
                          "minimal_backoff_time=600s"]) as tern:
    grant = (f"endpoint=https://token.test:{page.port}/token client_id=the%20client client_secret=s&cret "
             "refresh_token=1//refresh")
    tern.set(f"smtp_sasl_oauth2_maps = texthash:{tern.file('grants', 'google ' + grant + chr(10))}")
    rows = "".join(f"[127.0.0.1]:{server.port} me@token.test:{{oauth2}}google\n" for server in (bearer, xoauth))
    tern.set(f"smtp_sasl_password_maps = texthash:{tern.file('sasl_passwd', rows)}")
    tern.set(f"transport_maps = inline:{{bearer.test=smtp:[127.0.0.1]:{bearer.port}, xoauth.test=smtp:[127.0.0.1]:{xoauth.port}}}")
    tern.start()

    def send(domain):
        tern.send("a@example.test", [f"x@{domain}"], b"Subject: x\n\nx\n")

    def flush(deferrals):
        """Tries again what has been deferred so often in all."""
        t.wait_for(lambda: tern.log().count("status=deferred") == deferrals and tern.queued("cur"))
        tern.command("ternqueue", "-f", check=True)

    send("bearer.test")
    t.ok(t.wait_for(lambda: bearer.messages, 15), "OAUTHBEARER: a token is fetched and taken", (issued, page.requests))
    t.is_(bearer.tries, [("OAUTHBEARER", f"n,a=me@token.test,\1host=127.0.0.1\1port={bearer.port}\1"
                                         "auth=Bearer access.token-1\1\1")], "as RFC 7628 has it")
    send("xoauth.test")
    t.ok(t.wait_for(lambda: xoauth.messages), "XOAUTH2")
    t.is_(xoauth.tries, [("XOAUTH2", "user=me@token.test\1auth=Bearer access.token-1\1\1")], "as Google has it")
    t.is_(len(issued), 1, "one token serves both: it is kept")

    xoauth.valid = lambda token: token == "access.token-2"
    tern.run("reload", check=True)  # the kept connection, and the token with it, go
    issued.clear()
    send("xoauth.test")
    t.ok(tern.wait_log("SASL authentication failed; server 127.0.0.1[127.0.0.1] said: 535 5.7.8 token is no good"),
         "a token that is refused: deferred")
    t.is_(xoauth.tries[-1], ("answer", ""), "after an empty answer to the server's reasons")
    flush(1)
    t.ok(t.wait_for(lambda: len(xoauth.messages) == 2) and issued[-1] == "access.token-2", "the next attempt has a fresh one",
         (issued, xoauth.tries))

    bearer.valid = lambda token: False
    tern.run("reload", check=True)
    send("bearer.test")
    t.ok(t.wait_for(lambda: ("answer", "\1") in bearer.tries), "OAUTHBEARER answers ^A", bearer.tries)
    refusing.append((400, {"Content-Type": "application/json"}, b'{"error":"invalid_grant","error_description":"revoked"}'))
    flush(2)
    t.ok(tern.wait_log("SASL authentication failed; no access token for server 127.0.0.1[127.0.0.1]: the token server said 400 "
                       "invalid_grant"), "a grant that was revoked: deferred, with the reason")
    refusing[:] = [None]
    flush(3)
    t.ok(tern.wait_log("no access token for server", count=2), "a token server that hangs up: deferred")
    log = tern.log()
    t.is_([secret for secret in ("1//refresh", "s&cret", "access.token") if secret in log], [], "no secret is in the log")
    t.ok("status=bounced" not in log, "nothing was returned")
page.close()
t.done()
