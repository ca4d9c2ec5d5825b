#!/usr/bin/env python3
"""Roundcube, as Debian has it, with PHP's own web server and SQLite, reads and sends mail by tern: its requests are made
here as its pages make them. TAP."""

import html
import http.cookiejar
import json
import os
import pathlib
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import tern_test as t

SITE = pathlib.Path("/var/lib/roundcube/public_html")
t.need("tern", *t.DAEMONS)
if not shutil.which("php") or not SITE.is_dir():
    t.skip_all("Roundcube or php-cli is not installed")
SETTINGS = """<?php
$config = [];
$config['db_dsnw'] = 'sqlite:///{top}/roundcube.sqlite?mode=0600';
$config['imap_host'] = 'ssl://127.0.0.1:{imaps}';
$config['imap_conn_options'] = ['ssl' => ['verify_peer' => false, 'verify_peer_name' => false]];
$config['smtp_host'] = 'tls://127.0.0.1:{submission}';
$config['smtp_conn_options'] = ['ssl' => ['verify_peer' => false, 'verify_peer_name' => false]];
$config['smtp_user'] = '%u';
$config['smtp_pass'] = '%p';
$config['des_key'] = 'twenty-four-letters-here';
$config['mail_domain'] = 'example.test';
$config['log_driver'] = 'file';
$config['log_dir'] = '{top}/logs';
$config['temp_dir'] = '{top}/temp';
$config['plugins'] = [];
$config['skin'] = 'elastic';
$config['language'] = 'en_US';
$config['enable_installer'] = false;
$config['autoload'] = false;
$config['create_default_folders'] = false;
$config['drafts_mbox'] = 'Drafts';
$config['sent_mbox'] = 'Sent';
$config['trash_mbox'] = 'Trash';
$config['junk_mbox'] = 'Junk';
"""


class Browser:
    """Somebody at Roundcube's pages."""

    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}/"
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        self.token = ""

    def page(self, query="", data=None, headers=None):
        url = self.base + ("?" + urllib.parse.urlencode(query) if query else "")
        body = urllib.parse.urlencode(data).encode() if data is not None else None
        try:
            answer = self.opener.open(urllib.request.Request(url, body, headers or {}), timeout=60)
        except urllib.error.HTTPError as error:  # 401 of a failed login
            answer = error
        with answer:
            self.url = answer.geturl()
            text = answer.read().decode(errors="replace")
        if match := re.search(r'"request_token":"(\w+)"', text):
            self.token = match[1]
        return text

    def ask(self, action, data=None, task="mail", **query):
        """A request of a script: the commands that it gets to run, and the rest of the answer."""
        headers = {"X-Requested-With": "XMLHttpRequest", "X-Roundcube-Request": self.token}
        words = {"_task": task, "_action": action, "_remote": 1, "_unlock": 0, **query}
        if data is not None:
            data = {"_token": self.token, "_remote": 1, **data}
        answer = json.loads(self.page(words, data, headers))
        return answer.get("exec", ""), answer

    def log_in(self, user, password):
        form = self.page()
        token = re.search(r'name="_token" value="(\w+)"', form)[1]
        return self.page({"_task": "login"}, {"_token": token, "_task": "login", "_action": "login", "_timezone": "UTC", "_url": "",
                                              "_user": user, "_pass": password})

    def rows(self, folder, **query):
        """{UID: the rest} of what the list of a folder shows."""
        commands, _ = self.ask("list", _mbox=folder, **query)
        return rows_of(commands)

    def send(self, recipient, subject, text):
        form = self.page({"_task": "mail", "_action": "compose"})
        compose = re.search(r"_id=(\w+)", self.url)[1]
        sender = re.search(r'<option value="(\d+)"[^>]*>[^<]*@example.test', form)
        sender = sender[1] if sender else re.search(r'name="_from"[^>]*value="(\d+)"', form)[1]
        return self.page({"_task": "mail", "_action": "send", "_unlock": "loading1", "_framed": 1},
                         {"_token": self.token, "_task": "mail", "_action": "send", "_id": compose, "_from": sender, "_to": recipient, "_subject": subject,
                          "_message": text, "_is_html": 0, "_store_target": "Sent", "_draft_saveid": "", "_attachments": ""})


def rows_of(commands):
    return {int(uid): json.loads(rest) for uid, rest in re.findall(r"add_message_row\((\d+),(\{.*?\}),\{", commands)}


def site(top, tern):
    """Roundcube on a port of the instance's; the web server's process."""
    for name in ("logs", "temp"):
        (top / name).mkdir()
    (top / "config.inc.php").write_text(SETTINGS.format(top=top, imaps=tern.port_base + 993, submission=tern.submission_port))
    shutil.copy("/etc/roundcube/defaults.inc.php", top)
    (top / "mimetypes.php").write_text("<?php return [];")
    port = tern.port_base + 31
    with open(top / "php.log", "wb") as log:
        process = subprocess.Popen(["php", "-S", f"127.0.0.1:{port}", "-t", SITE], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   env={**os.environ, "ROUNDCUBE_CONFIG_DIR": str(top), "PHP_CLI_SERVER_WORKERS": "2"}, start_new_session=True)
    t.ok(t.wait_for(lambda: t.accepts(port), 20), "Roundcube's pages are served", (top / "php.log").read_text()[-1000:])
    return port, process


def read(browser, tern):
    for number in range(1, 6):
        tern.send("ann@example.test", ["ada@example.test"], f"From: ann@example.test\nTo: ada@example.test\nSubject: number {number} h\xc3\xa9\n"
                  .encode("latin-1") + f"Message-ID: <{number}@example.test>\n\nwords {number}\n".encode())
    rows = t.wait_for(lambda: (found := browser.rows("INBOX")) if len(found := browser.rows("INBOX")) == 5 else None, 20) or {}
    t.is_(len(rows), 5, "list: what came is there")
    uid = next((uid for uid, row in rows.items() if "number 3" in row["subject"]), 0)
    page = html.unescape(browser.page({"_task": "mail", "_action": "show", "_uid": uid, "_mbox": "INBOX"}))
    t.ok("words 3" in page and "ann@example.test" in page, "show: its words", page[-1000:])
    commands, _ = browser.ask("search", _mbox="INBOX", _q="number 4", _headers="subject", _scope="base", _interval="")
    t.ok(["number 4" in row["subject"] for row in rows_of(commands).values()] == [True], "search", commands[-1000:])
    rows = browser.rows("INBOX", _sort="subject_ASC")
    t.is_([int(re.search(r"number (\d)", row["subject"])[1]) for row in rows.values()], [1, 2, 3, 4, 5], "sorted by subject")
    return {int(re.search(r"number (\d)", row["subject"])[1]): uid for uid, row in rows.items()}


def change(browser, uids):
    browser.ask("mark", {"_uid": uids[1], "_mbox": "INBOX", "_flag": "flagged"})
    commands, _ = browser.ask("search", _mbox="INBOX", _q="", _filter="FLAGGED", _scope="base", _headers="subject")
    t.is_(list(rows_of(commands)), [uids[1]], "the filter finds what is flagged")
    page = browser.page({"_task": "settings", "_action": "save-folder", "_framed": 1},
                        {"_token": browser.token, "_mbox": "", "_name": "Pr\u00f3xima & m\u00e1s", "_parent": ""})
    t.ok("successfully" in page.lower() or "confirmation" in page, "a folder is made", page[-600:])
    browser.ask("move", {"_uid": f"{uids[1]},{uids[2]}", "_mbox": "INBOX", "_target_mbox": "Pr&APM-xima &- m&AOE-s"})
    t.is_(len(browser.rows("Pr&APM-xima &- m&AOE-s")), 2, "move")
    browser.ask("copy", {"_uid": uids[3], "_mbox": "INBOX", "_target_mbox": "Drafts"})
    t.is_(len(browser.rows("Drafts")), 1, "copy")
    browser.ask("move", {"_uid": uids[3], "_mbox": "INBOX", "_target_mbox": "Trash"})
    t.is_((len(browser.rows("INBOX")), len(browser.rows("Trash"))), (2, 1), "delete: into the trash")
    browser.ask("delete", {"_uid": uids[4], "_mbox": "INBOX"})
    t.is_(list(browser.rows("INBOX")), [uids[5]], "delete: for good")
    browser.ask("purge", {"_mbox": "Trash"})
    t.is_(len(browser.rows("Trash")), 0, "the trash is emptied")
    _, answer = browser.ask("check-recent", _mbox="INBOX", _list=1, _folderlist=1)
    t.ok("exec" in answer, "a look for news")


def main():
    with t.Instance(tls=True, settings=["auth_failure_delay=0", "auth_ban_exceptions=127.0.0.0/8"]) as tern:
        for user in ("ada", "bob"):
            tern.add_user(user)
        tern.start()
        top = tern.top / "roundcube"
        top.mkdir()
        port, process = site(top, tern)
        try:
            browser = Browser(port)
            t.ok('name="_pass"' in browser.log_in("ada@example.test", "wrong"), "a wrong password does not log in")
            page = browser.log_in("ada@example.test", "secret")
            t.ok("_task=logout" in page and "messagelist" in page, "login", page[-1500:])
            change(browser, read(browser, tern))
            page = browser.send("bob@example.test", "by Roundcube", "words of ada")
            t.ok("sent_successfully" in page, "send", page[-1500:])
            t.ok(t.wait_for(lambda: any(b"Subject: by Roundcube" in raw for raw in tern.stored("bob")), 20), "it arrives")
            t.is_(len(browser.rows("Sent")), 1, "and is kept in Sent")
            browser.page({"_task": "logout", "_token": browser.token})
            t.ok('name="_pass"' in browser.page({"_task": "mail"}), "logout")
            errors = top / "logs" / "errors.log"
            t.is_([line for line in (errors.read_text().splitlines() if errors.exists() else []) if "wrong" not in line and "Login failed" not in line][:5],
                  [], "Roundcube has no complaint")
        finally:
            process.terminate()
            process.wait()
        tern.stop()


main()
t.done()
