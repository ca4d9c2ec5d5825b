#!/usr/bin/env python3
"""Sources of accounts that ask somebody else, one at a time, against the real thing:
PostgreSQL, SQLite, slapd, an OAuth issuer, Dovecot's auth service. What they know, what
names made by an attacker come to, and what happens while they are down or hang."""

import base64
import json
import os
import pathlib
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time

import account_peers as peers
import tern_test as t

PROBE = t.BUILD / "t" / "e2e" / "source_probe"
if not os.access(PROBE, os.X_OK):
    t.skip_all("not built: t/e2e/source_probe (make check builds it)")

# Names that would say something in SQL, in LDAP, or to a shell; nobody has them.
INJECTIONS = ["' OR '1'='1", "anna@example.test' OR '1'='1", "anna@example.test'--", "x' UNION SELECT 'anna','y','z'--",
              "anna@example.test\\", "\\' OR 1=1 --", "$1", "%u", "%25u", "*", "a*", "anna@example.tes*", "anna@example.test)(uid=*",
              "*)(objectClass=*", "*))(|(uid=*", "anna@example.test,dc=test", "$(id)", "`id`", "anna@example.test;DROP TABLE users",
              "anna@example.test\x01", "../anna", "anna@example.test\u202e"]


class Probe:
    """One source, asked as auth would."""

    def __init__(self, source):
        self.process = subprocess.Popen([str(PROBE), source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        stderr=subprocess.PIPE)
        self.hello = self.process.stdout.readline().rstrip("\n").split("\t")

    def say(self, *words):
        self.process.stdin.write("\t".join(words) + "\n")
        self.process.stdin.flush()

    def read(self):
        return self.process.stdout.readline().rstrip("\n").split("\t")

    def ask(self, *words):
        self.say(*words)
        return self.read()

    def fields(self, *words):
        answer = self.ask(*words)
        return answer[0], dict(word.split("=", 1) for word in answer[1:] if "=" in word)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        try:
            _, errors = self.process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, errors = self.process.communicate()
        if self.hello == ["open"]:
            t.ok(self.process.returncode == 0, "the process ended well", errors)


def timed(function):
    begun = time.monotonic()
    return function(), time.monotonic() - begun


def write(name, text):
    path = TOP / name
    path.write_text(text)
    os.chmod(path, 0o644)
    return path


def refuse_injections(probe, verb="look", *more, wanted=("UNKNOWN",)):
    """None of them is found, and the source goes on."""
    answers = {name: probe.ask(verb, name, *more)[0] for name in INJECTIONS}
    wrong = {name: answer for name, answer in answers.items() if answer not in wanted}
    t.ok(not wrong, f"no name made by an attacker is found ({len(INJECTIONS)} tried)", wrong)


# ---- settings

def test_settings():
    print("# settings", flush=True)
    for kind in ("pgsql", "sqlite", "ldap", "oauth"):
        with Probe(f"{kind}:{write('bad.cf', 'qurey = x')}") as probe:
            t.ok(probe.hello[0] == "cannot open" and 'line 1: "qurey" is no setting' in probe.hello[1],
                 f"{kind}: a misspelt setting is said with its line", probe.hello)
        with Probe(f"{kind}:{TOP}/none.cf") as probe:
            t.ok("No such file" in probe.hello[-1], f"{kind}: a file that is not there is said", probe.hello)
    with Probe("ldap:relative") as probe:
        t.ok("begins with /" in probe.hello[-1], "a relative name is refused", probe.hello)
    with Probe(f"sqlite:{write('bad.cf', 'dbpath = /x' + chr(10) + 'query = SELECT 1')}") as probe:
        t.ok("no place for the user" in probe.hello[-1], "a query that asks for nobody is refused", probe.hello)
    with Probe("dovecot:x") as probe:
        t.ok("the path of its socket" in probe.hello[-1], "dovecot: without a path", probe.hello)
    with Probe("pam:../x") as probe:
        t.ok("PAM service" in probe.hello[-1], "pam: no path for a service", probe.hello)


# ---- SQL

TABLE = """CREATE TABLE users (login text, password text, home text, quota text, disabled text, app_passwords text);
INSERT INTO users VALUES ('anna@example.test', '{SHA256}x', '/home/anna', '1G', 'f', 'phone={SHA256}y');
INSERT INTO users VALUES ('bert@example.test', '$6$salt$hash', NULL, NULL, 't', NULL);
INSERT INTO users VALUES ('o''hara@example.test', 'plain', NULL, NULL, NULL, NULL);
INSERT INTO users VALUES ('twice@example.test', 'a', NULL, NULL, NULL, NULL);
INSERT INTO users VALUES ('twice@example.test', 'b', NULL, NULL, NULL, NULL);"""
QUERY = "query = SELECT login, password, home, quota, disabled, app_passwords\n  FROM users WHERE login = '%u'\n"


def ask_table(probe):
    answer, fields = probe.fields("look", "anna@example.test")
    t.is_((answer, fields), ("FOUND", {"login": "anna@example.test", "secret": "{SHA256}x", "home": "/home/anna",
                                       "quota": "1G", "app_secrets": "phone={SHA256}y"}), "columns become the account")
    t.is_(probe.ask("look", "bert@example.test"), ["DISABLED", "the account is disabled"], "a disabled account")
    t.is_(probe.fields("look", "o'hara@example.test")[1].get("secret"), "{CLEARTEXT}plain",
          "a quote in a name is a letter, and default_pass_scheme is put before a secret without one")
    t.is_(probe.ask("look", "nobody@example.test"), ["UNKNOWN", ""], "an account that is not there")
    t.is_(probe.ask("look", "twice@example.test"), ["RETRY", "the query gives more than one row"], "two rows are a mistake")
    t.is_(probe.ask("look", "anna@elsewhere.test")[0], "UNKNOWN", "another domain is not asked for")
    refuse_injections(probe)


def test_pgsql():
    print("# pgsql", flush=True)
    server = peers.PostgreSQL(TOP)
    server.start()
    try:
        server.sql(TABLE)
        server.sql("CREATE USER mail PASSWORD 'mailpw'; GRANT SELECT ON users TO mail")
        head = f"hosts = unix:{server.directory}\nuser = mail\ndbname = postgres\n"
        cf = write("pgsql.cf", head + "password = mailpw\ntimeout = 2s\nconnections = 3\ndomain = example.test\n"
                                      "default_pass_scheme = CLEARTEXT\n" + QUERY)
        with Probe(f"pgsql:{cf}") as probe:
            t.is_(probe.hello, ["open"], "pgsql: opens")
            ask_table(probe)
            for _ in range(40):
                probe.say("&look", "anna@example.test")
            answers = [probe.read() for _ in range(40)]
            t.ok(all(answer[1] == "FOUND" for answer in answers), "40 questions at once over 3 connections", answers)
            server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mail'")
            t.is_(probe.ask("look", "anna@example.test")[0], "FOUND", "connections that were lost are made anew")
            server.stop()
            answer, seconds = timed(lambda: probe.ask("look", "anna@example.test"))
            t.ok(answer[0] == "RETRY" and "onnection" in answer[1] and seconds < 1, "a server that is down: at once", answer)
            server.start()
            t.ok(t.wait_for(lambda: probe.ask("look", "anna@example.test")[0] == "FOUND", 10), "it is back, and found again")
            server.hang()
            answer, seconds = timed(lambda: probe.ask("look", "anna@example.test"))
            t.ok(answer == ["RETRY", "the server does not answer in time"] and 1.5 < seconds < 6,
                 "a server that hangs: in its time", (answer, seconds))
            answer, seconds = timed(lambda: probe.ask("look", "bert@example.test"))
            t.ok(answer[0] == "RETRY" and seconds < 1, "who comes right after it does not wait again", (answer, seconds))
            server.go_on()
            t.ok(t.wait_for(lambda: probe.ask("look", "anna@example.test")[0] == "FOUND", 10), "it goes on")
        with Probe(f"pgsql:{write('wrong.cf', head + 'password = wrong' + chr(10) + QUERY)}") as probe:
            answer = probe.ask("look", "anna@example.test")
            t.ok(answer[0] == "RETRY" and "password authentication failed" in answer[1] and "wrong" not in answer[1],
                 "a wrong password of its own is trouble, not an unknown account", answer)
        text = head + "password = mailpw\nquery = DELETE FROM users WHERE login = '%u' RETURNING login"
        with Probe(f"pgsql:{write('delete.cf', text)}") as probe:
            t.is_(probe.ask("look", "anna@example.test")[0], "RETRY", "a query that changes something is refused by the server")
        text = (head + "password = mailpw\nquery = SELECT '%n' AS local, '%d' AS domain, '%n at %d' AS both, 7 %% 4 AS rest, "
                       "%P AS protocol, '100%%' AS all")
        with Probe(f"pgsql:{write('places.cf', text)}") as probe:
            t.is_(probe.fields("look", "a'b@example.test")[1].get("both"), "a'b at example.test", "places within a text")
        text = text.replace("'%n'", "'%n'::text").replace("'%d'", "'%d'::text").replace("'%n at %d'", "'%n at %d'::text").replace("%P", "%P::text")
        with Probe(f"pgsql:{write('places.cf', text.replace(' AS all', ' AS whole'))}") as probe:
            t.is_(probe.fields("look", "a'b@example.test"),
                  ("FOUND", {"login": "a'b@example.test", "local": "a'b", "domain": "example.test", "both": "a'b at example.test",
                             "rest": "3", "protocol": "smtp", "whole": "100%"}), "all places")
            t.is_(probe.ask("look", "anna")[0], "UNKNOWN", "a name without a domain where the query asks for it")
        dead = write("dead.cf", head.replace("hosts = ", f"hosts = /nowhere 127.0.0.1:{peers.free_port()} ") + "password = mailpw\n" + QUERY)
        with Probe(f"pgsql:{dead}") as probe:
            t.is_(probe.ask("look", "anna@example.test")[0], "FOUND", "hosts that do not answer are passed over")
    finally:
        server.stop()


def test_sqlite():
    print("# sqlite", flush=True)
    file = TOP / "users.db"
    database = sqlite3.connect(file, isolation_level=None)
    database.executescript(TABLE)
    os.chmod(file, 0o644)
    cf = write("sqlite.cf", f"dbpath = {file}\ntimeout = 1s\ndomain = example.test\ndefault_pass_scheme = CLEARTEXT\n" + QUERY)
    with Probe(f"sqlite:{cf}") as probe:
        t.is_(probe.hello, ["open"], "sqlite: opens")
        ask_table(probe)
        for _ in range(20):
            probe.say("&look", "anna@example.test")
        t.ok(all(probe.read()[1] == "FOUND" for _ in range(20)), "20 questions at once")
        database.execute("UPDATE users SET home = '/srv/anna' WHERE login = 'anna@example.test'")
        t.is_(probe.fields("look", "anna@example.test")[1].get("home"), "/srv/anna", "a change is seen at once")
        database.execute("BEGIN EXCLUSIVE")
        answer, seconds = timed(lambda: probe.ask("look", "anna@example.test"))
        t.ok(answer == ["RETRY", "database is locked"] and 0.5 < seconds < 4, "a locked database: in its time", (answer, seconds))
        database.execute("COMMIT")
        t.ok(t.wait_for(lambda: probe.ask("look", "anna@example.test")[0] == "FOUND", 5), "it is free again")
        other = sqlite3.connect(TOP / "new.db")
        other.executescript(TABLE.replace("/home/anna", "/new/anna"))
        other.close()
        os.rename(TOP / "new.db", file)
        t.is_(probe.fields("look", "anna@example.test")[1].get("home"), "/new/anna", "another file under the name is opened")
        os.rename(file, TOP / "away.db")
        t.is_(probe.ask("look", "anna@example.test")[0], "RETRY", "a file that is not there is trouble")
        (file).write_bytes(b"no database at all, but as long as the beginning of one would be" * 20)
        answer = probe.ask("look", "anna@example.test")
        t.ok(answer[0] == "RETRY" and "not a database" in answer[1], "so is one that is none", answer)
        os.rename(TOP / "away.db", file)
        t.is_(probe.ask("look", "anna@example.test")[0], "FOUND", "it is back")
    database.close()
    wal = sqlite3.connect(TOP / "wal.db", isolation_level=None)
    wal.execute("PRAGMA journal_mode = WAL")
    wal.executescript(TABLE)
    with Probe(f"sqlite:{write('wal.cf', f'dbpath = {TOP}/wal.db' + chr(10) + QUERY)}") as probe:
        t.is_(probe.ask("look", "anna@example.test")[0], "FOUND", "a database in WAL mode")
    wal.close()
    for query, wanted in (("DELETE FROM users WHERE login = %u", "changes nothing"), ("SELECT 1 WHERE %u; SELECT 2", "one statement"),
                          ("SELECT missing FROM users WHERE login = %u", "no such column")):
        with Probe(f"sqlite:{write('bad.cf', f'dbpath = {file}' + chr(10) + 'query = ' + query)}") as probe:
            answer = probe.ask("look", "anna@example.test")
            t.ok(answer[0] == "RETRY" and wanted in answer[1], f"query: {wanted}", answer)


# ---- LDAP

PEOPLE = """dn: dc=test
objectClass: dcObject
objectClass: organization
o: test
dc: test

dn: cn=reader,dc=test
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: readerpw

dn: ou=people,dc=test
objectClass: organizationalUnit
ou: people
"""
PERSON = """
dn: uid={uid},ou=people,dc=test
objectClass: inetOrgPerson
objectClass: posixAccount
uid: {uid}
cn: {uid}
sn: {uid}
mail: {mail}
uidNumber: 1000
gidNumber: 1000
homeDirectory: /home/x
userPassword: {password}
"""


def ldap_cf(name, server, text):
    return write(name, f"server_host = {server.url}\nsearch_base = ou=people,dc=test\ntimeout = 2s\n" + text)


def test_ldap():
    print("# ldap", flush=True)
    server = peers.Slapd(TOP)
    server.start()
    try:
        people = [("anna", "anna@example.test", peers.PASSWORD), ("bert", "bert@example.test", "{SSHA}abc"),
                  ("o\\2chara", "o,hara@example.test", "comma")]
        people += [(f"two{i}", "two@example.test", "x") for i in range(2)] + [("locked", "locked@example.test", peers.PASSWORD)]
        text = "".join(PERSON.format(uid=uid, mail=mail, password=password) for uid, mail, password in people)
        server.add(PEOPLE + text.replace("uid: o\\2chara", "uid: o,hara") + "description: yes\n")
        bind = ldap_cf("bind.cf", server, "bind = no\nquery_filter = (&(objectClass=posixAccount)(mail=%u))\n"
                                          "result_attribute = mail=login, homeDirectory=home, uidNumber=uid, description=disabled\n")
        with Probe(f"ldap:{bind}") as probe:
            t.is_(probe.hello, ["open"], "ldap: opens")
            t.is_(probe.fields("verify", "anna@example.test", peers.PASSWORD),
                  ("FOUND", {"login": "anna@example.test", "home": "/home/x", "uid": "1000"}), "a right password, by binding")
            t.is_(probe.ask("verify", "anna@example.test", "wrong")[0], "WRONG", "a wrong one")
            t.is_(probe.ask("verify", "anna@example.test", "")[0], "WRONG", "an empty one, which the server would take")
            t.is_(probe.ask("verify", "o,hara@example.test", "comma")[0], "FOUND", "a name with a comma in its entry")
            t.is_(probe.ask("verify", "nobody@example.test", "x")[0], "UNKNOWN", "an account that is not there")
            t.is_(probe.ask("verify", "two@example.test", "x"), ["RETRY", "more than one entry fits"], "two entries are a mistake")
            t.is_(probe.ask("verify", "locked@example.test", peers.PASSWORD)[0], "DISABLED", "a disabled account")
            t.is_(probe.ask("verify", "locked@example.test", "wrong")[0], "WRONG", "of which only its owner is told")
            refuse_injections(probe, "verify", peers.PASSWORD)
            t.is_(probe.ask("look", "anna@example.test")[1], "this source cannot do that", "passwords cannot be looked up")
            for _ in range(20):
                probe.say("&verify", "anna@example.test", peers.PASSWORD)
            t.ok(all(probe.read()[1] == "FOUND" for _ in range(20)), "20 questions at once")
            server.stop()
            answer, seconds = timed(lambda: probe.ask("verify", "anna@example.test", peers.PASSWORD))
            t.ok(answer[0] == "RETRY" and seconds < 1, "a server that is down: at once", (answer, seconds))
            server.start()
            t.ok(t.wait_for(lambda: probe.ask("verify", "anna@example.test", peers.PASSWORD)[0] == "FOUND", 10), "it is back")
            server.hang()
            answer, seconds = timed(lambda: probe.ask("verify", "anna@example.test", peers.PASSWORD))
            t.ok(answer[0] == "RETRY" and 1 < seconds < 6, "a server that hangs: in its time", (answer, seconds))
            answer, seconds = timed(lambda: probe.ask("verify", "anna@example.test", peers.PASSWORD))
            t.ok(answer[0] == "RETRY" and seconds < 1, "who comes right after it does not wait again", (answer, seconds))
            server.go_on()
            t.ok(t.wait_for(lambda: probe.ask("verify", "anna@example.test", peers.PASSWORD)[0] == "FOUND", 10), "it goes on")
        reader = "bind_dn = cn=reader,dc=test\nbind_pw = readerpw\nauth_bind = no\nquery_filter = (mail=%u)\n"
        with Probe(f"ldap:{ldap_cf('read.cf', server, reader)}") as probe:
            t.is_(probe.fields("look", "bert@example.test")[1].get("secret"), "{SSHA}abc", "the password's hash is read")
            t.is_(probe.fields("look", "anna@example.test")[1].get("secret"), "{CLEARTEXT}" + peers.PASSWORD, "or the password")
            refuse_injections(probe)
        with Probe(f"ldap:{ldap_cf('read.cf', server, reader.replace('readerpw', 'wrong'))}") as probe:
            answer = probe.ask("look", "bert@example.test")
            t.ok(answer[0] == "RETRY" and "bind as bind_dn: Invalid credentials" in answer[1], "a wrong password of its own", answer)
        plain = "bind = no\ndomain = example.test\nauth_bind_userdn = uid=%n,ou=people,dc=test\n"
        with Probe(f"ldap:{ldap_cf('userdn.cf', server, plain)}") as probe:
            t.is_(probe.ask("verify", "anna@example.test", peers.PASSWORD)[0], "FOUND", "auth_bind_userdn: without a search")
            t.is_(probe.ask("verify", "anna@example.test", "wrong")[0], "WRONG", "auth_bind_userdn: a wrong password")
            t.is_(probe.ask("verify", "o,hara@example.test", "comma")[0], "FOUND", "auth_bind_userdn: a comma is a letter")
            refuse_injections(probe, "verify", peers.PASSWORD, wanted=("UNKNOWN", "WRONG"))
        ask_with_tls(server, "bind = no\nquery_filter = (mail=%u)\n")
    finally:
        server.stop()


def ask_with_tls(server, text):
    for name, url, more in (("STARTTLS", f"ldap://127.0.0.1:{server.port}", "start_tls = yes\n"),
                            ("ldaps", f"ldaps://127.0.0.1:{server.tls_port}", "")):
        for authority, wanted in (("ca", "FOUND"), ("other", "RETRY")):
            cf = ldap_cf("tls.cf", server, text + f"{more}tls_ca_cert_file = {server.directory}/{authority}.pem\n")
            cf.write_text(cf.read_text().replace(server.url, url))
            with Probe(f"ldap:{cf}") as probe:
                answer = probe.ask("verify", "anna@example.test", peers.PASSWORD)
                t.ok(answer[0] == wanted, f"{name}, the authority {authority}: {wanted}", answer)


# ---- OAuth

def oauth_cf(name, text):
    return write(name, "issuers = https://id.test\naudience = mail\n" + text)


def test_oauth():
    print("# oauth", flush=True)
    issuer = peers.Issuer()
    keys = [peers.Key(TOP, "one"), peers.Key(TOP, "two", "EC"), peers.Key(TOP, "three", "OKP")]
    stranger = peers.Key(TOP, "stranger")
    issuer.keys = keys
    cf = oauth_cf("oauth.cf", f"jwks_uri = http://127.0.0.1:{issuer.port}/keys\nscope = mail\n")
    with Probe(f"oauth:{cf}") as probe:
        claims = issuer.claims(scope="openid mail")
        ask = lambda token, user="anna@example.test": probe.ask("token", user, token)
        t.is_(probe.hello, ["open"], "oauth: opens")
        for key in keys:
            t.is_(ask(key.token(claims)), ["FOUND", "login=anna@example.test"], f"a good token ({key.kind})")
        t.is_(ask(keys[0].token(claims), ""), ["FOUND", "login=anna@example.test"], "the token says who it is")
        t.is_(ask(keys[0].token(claims), "ANNA@example.test")[0], "FOUND", "however the client writes the name")
        t.is_(ask(keys[0].token(claims), "bert@example.test"), ["WRONG", "the token is another user's"], "another user's token")
        t.is_(issuer.requests, {"/keys": 1}, "the keys were asked for once")
        forged = stranger.token(claims, {"alg": "RS256", "kid": "one"})
        t.is_(ask(forged), ["WRONG", "the token's signature is wrong"], "another key under a good name")
        t.is_(ask(peers.forged_token(claims, {"alg": "none"}))[0], "WRONG", "no signature")
        t.is_(ask(peers.forged_token(claims, {"alg": "HS256", "kid": "one"}, keys[0].der))[0], "WRONG",
              "the public key as a shared secret")
        good = keys[0].token(claims)
        head, middle, signature = good.split(".")
        t.is_(ask(f"{head}.{peers.url64(json.dumps(issuer.claims('bert@example.test', scope='mail')).encode())}.{signature}",
                  "bert@example.test")[0], "WRONG", "claims that were exchanged")
        for name, more in (("expired", {"exp": time.time() - 100}), ("not valid yet", {"nbf": time.time() + 100}),
                           ("audience", {"aud": "web"}), ("scope", {"scope": "openid"})):
            answer = ask(keys[0].token({**claims, **more}))
            t.ok(answer[0] == "WRONG" and name in answer[1], f"refused: {name}", answer)
        t.is_(ask(keys[0].token({**claims, "iss": "https://evil.test"}))[0], "UNKNOWN", "another issuer's is for another source")
        t.is_(ask(keys[0].token({**claims, "email": "anna\nx"}))[0], "WRONG", "a user that could be no name")
        t.is_(ask("opaque")[0], "UNKNOWN", "a token that is not signed")
        t.is_(ask("a b")[0], "UNKNOWN", "what is no token at all")
        refuse_injections(probe, "token", good, wanted=("WRONG", "UNKNOWN"))
        t.is_(issuer.requests, {"/keys": 1}, "all that made nobody ask for keys again")
        t.is_(ask(stranger.token(claims)), ["WRONG", "the token is signed by an unknown key"], "a key of an unknown name")
        for _ in range(20):
            ask(stranger.token(claims))
        t.is_(issuer.requests, {"/keys": 1}, "unknown names do not make us ask more than once a minute")
    with Probe(f"oauth:{cf}") as probe:  # a new one has no keys yet
        issuer.keys = keys[1:]
        issuer.broken = True
        answer = probe.ask("token", "", keys[1].token(claims))
        t.ok(answer[0] == "RETRY" and "HTTP status 500" in answer[1], "an issuer that is down is trouble, not a wrong token", answer)
        issuer.broken = False
        t.ok(t.wait_for(lambda: probe.ask("token", "", keys[1].token(claims))[0] == "FOUND", 15, 0.2), "it is back")
    (TOP / "keys.json").write_text(json.dumps({"keys": [key.jwk() for key in keys]}))
    with Probe(f"oauth:{oauth_cf('file.cf', f'jwks_file = {TOP}/keys.json')}") as probe:
        t.is_(probe.ask("token", "", keys[1].token(issuer.claims()))[0], "FOUND", "keys in a file")
        renewed = peers.Key(TOP, "renewed", "EC")
        (TOP / "keys.json").write_text(json.dumps({"keys": [renewed.jwk()]}))
        t.is_(probe.ask("token", "", renewed.token(issuer.claims()))[0], "FOUND", "a new key is looked for when its name is unknown")
    ask_about_tokens(issuer)
    issuer.stop()


def ask_about_tokens(issuer):
    cf = oauth_cf("introspect.cf", f"introspection_url = http://127.0.0.1:{issuer.port}/introspect\nclient_id = tern:x\n"
                                   "client_secret = s&cret\nusername_attribute = username\naudience =\n")
    issuer.tokens = {"good-token": {"active": True, "username": "anna@example.test"},
                     "old-token": {"active": True, "username": "anna@example.test", "exp": 1},
                     "odd-token": {"active": "true", "username": "anna@example.test"},
                     "foreign-token": {"active": True, "username": "anna@example.test", "iss": "https://evil.test"}}
    with Probe(f"oauth:{cf}") as probe:
        t.is_(probe.ask("token", "", "good-token"), ["FOUND", "login=anna@example.test"], "introspection: an active token")
        t.is_(issuer.credentials[-1], "Basic " + base64.b64encode(b"tern%3Ax:s%26cret").decode(), "with our own name and secret")
        t.is_(probe.ask("token", "bert@example.test", "good-token")[0], "WRONG", "introspection: another user's")
        t.is_(probe.ask("token", "", "no-token"), ["WRONG", "the token is not active"], "introspection: no such token")
        t.is_(probe.ask("token", "", "old-token")[0], "WRONG", "introspection: it has expired")
        t.is_(probe.ask("token", "", "odd-token")[0], "WRONG", "introspection: active has to be true")
        t.is_(probe.ask("token", "", "foreign-token")[0], "UNKNOWN", "introspection: another issuer")
        issuer.broken = True
        t.is_(probe.ask("token", "", "good-token")[0], "RETRY", "introspection: a server that is down")
        issuer.broken = False


# ---- Dovecot

def encode(data):
    return base64.b64encode(data).decode()


def scram(probe, user, password):
    client = peers.Scram(user, password)
    answer = probe.ask("begin", "SCRAM-SHA-256", encode(client.first()))
    if answer[0] != "GO_ON":
        return answer
    answer = probe.ask("respond", encode(client.final(base64.b64decode(answer[1]))))
    if answer[0] == "GO_ON":  # its proof is a challenge of its own
        t.is_(base64.b64decode(answer[1]).decode(), "v=" + client.server, "SCRAM: the server proves itself")
        answer = probe.ask("respond", "")
    elif answer[0] == "GRANTED":
        t.is_(base64.b64decode(answer[1]).decode(), "v=" + client.server, "SCRAM: the server proves itself")
    return answer


class FakeDovecot:
    """Says hello and then what it is told to say."""

    HELLO = b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nDONE\n"

    def __init__(self, path, hello=HELLO, reply=b""):
        self.hello, self.reply = hello, reply
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(10)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection):
        with connection:
            try:
                connection.sendall(self.hello)
                while line := connection.recv(4096):
                    if b"AUTH\t" in line:
                        connection.sendall(self.reply)
            except OSError:
                pass


def test_dovecot():
    print("# dovecot", flush=True)
    server = peers.Dovecot(TOP, "carl@example.test:{PLAIN}x::::::nologin\ntab@example.test:{PLAIN}a b\n")
    server.start()
    try:
        with Probe(f"dovecot:{server.socket}") as probe:
            t.is_(probe.hello, ["open"], "dovecot: opens")
            t.is_(probe.ask("mechanisms"), ["PLAIN LOGIN SCRAM-SHA-256 CRAM-MD5"], "its mechanisms")
            t.is_(probe.fields("verify", "anna@example.test", peers.PASSWORD), ("FOUND", {"login": "anna@example.test"}), "a right password")
            t.is_(probe.ask("verify", "anna@example.test", "wrong")[0], "WRONG", "a wrong one")
            t.is_(probe.ask("verify", "anna@example.test", "")[0], "WRONG", "an empty one")
            t.is_(probe.ask("verify", "tab@example.test", "a b")[0], "FOUND", "one with a blank")
            t.is_(probe.ask("verify", "nobody@example.test", "x")[0], "WRONG", "it does not say that an account is not there")
            refuse_injections(probe, "verify", peers.PASSWORD, wanted=("WRONG", "UNKNOWN"))
            for _ in range(50):
                probe.say("&verify", "anna@example.test", peers.PASSWORD)
            t.ok(all(probe.read()[1] == "FOUND" for _ in range(50)), "50 questions at once over one connection")
            t.is_(scram(probe, "anna@example.test", peers.PASSWORD)[0], "GRANTED", "SCRAM is relayed")
            t.is_(scram(probe, "anna@example.test", "wrong")[0], "REFUSED", "SCRAM with a wrong password")
            server.stop()
            answer, seconds = timed(lambda: probe.ask("verify", "anna@example.test", peers.PASSWORD))
            t.ok(answer[0] == "RETRY" and seconds < 1, "it is down: at once", (answer, seconds))
            server.start()
            t.ok(t.wait_for(lambda: probe.ask("verify", "anna@example.test", peers.PASSWORD)[0] == "FOUND", 10), "it is back")
    finally:
        server.stop()
    for name, hello, reply, wanted in (
            ("another version", b"VERSION\t2\t0\nDONE\n", b"", "another version"),
            ("a hello without end", b"VERSION\t1\t2\n", b"", "does not answer in time"),
            ("a line without end", b"x" * 40000, b"", "too long"),
            ("garbage", b"OK\tx\n", b"", "without its number"),
            ("temporary trouble", FakeDovecot.HELLO, b"FAIL\t1\tuser=a\ttemp\n", "do not answer"),
            ("a half answer", FakeDovecot.HELLO, b"OK\t1\tresp=eA==\n", "not understood"),
            ("a challenge", FakeDovecot.HELLO, b"CONT\t1\teA==\n", "more than PLAIN")):
        path = TOP / f"fake{len(list(TOP.glob('fake*')))}"
        fake = FakeDovecot(path, hello, reply)
        with Probe(f"dovecot:{path}") as probe:
            answer, seconds = timed(lambda: probe.ask("verify", "anna@example.test", "x"))
            t.ok(answer[0] == "RETRY" and wanted in answer[1] and seconds < 8, f"a server that says {name}", (answer, seconds))
        fake.listener.close()


TESTS = {"settings": test_settings, "pgsql": test_pgsql, "sqlite": test_sqlite, "ldap": test_ldap, "oauth": test_oauth,
         "dovecot": test_dovecot}
NEEDS = {"pgsql": lambda: list(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres")), "ldap": lambda: peers.sbin("slapd"),
         "oauth": lambda: shutil.which("openssl"), "dovecot": lambda: peers.sbin("dovecot")}

with tempfile.TemporaryDirectory(prefix="tern-sources-") as top:
    TOP = pathlib.Path(top)
    os.chmod(TOP, 0o755)
    for test in os.environ.get("SOURCES", " ".join(TESTS)).split():
        if test in NEEDS and not NEEDS[test]():
            t.ok(True, f"{test} # SKIP its server is not installed")
            continue
        TESTS[test]()
t.done()
