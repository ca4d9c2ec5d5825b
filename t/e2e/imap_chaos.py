"""Clients that keep account of everything an IMAP server tells and promises, for test_imap_faults.py.

Each message has a token, from which its bytes can be made again. Its first letter is its kind:
    s  stays where it is: never moved or deleted; every client puts flags of its own on it
    m  is moved between INBOX and Work, and copied, by the client that it belongs to alone
    x  may be deleted
A Mailbox is what all clients of one user know: which UID has which token, and what was answered OK."""

import hashlib
import random
import re
import socket
import threading
import time

from imap_client import Client

FOLDERS = ("INBOX", "Work")
TOKEN = re.compile(rb"X-Token: ([smx][\w.]+)")
LOST = (EOFError, OSError)


def message(token):
    """The bytes of a token's message, with CR LF."""
    chance = random.Random(token)
    lines = [f"line {number} of {token} " + "x" * chance.randrange(60) for number in range(chance.choice((1, 5, 30, 200)))]
    return (f"From: ann@example.test\r\nDate: Sat, 28 Nov 2026 06:00:00 +0000\r\nSubject: {token}\r\nMessage-ID: <{token}@example.test>\r\nX-Token: {token}\r\n\r\n"
            + "\r\n".join(lines) + "\r\n").encode()


def digest(text):
    return hashlib.sha256(text).hexdigest()


def numbers(text):
    """The numbers of a sequence set without a star, in its order."""
    found = []
    for part in text.split(b","):
        first, _, last = part.partition(b":")
        first, last = int(first), int(last or first)
        found += range(first, last + 1) if first <= last else range(first, last - 1, -1)
    return found


class Mailbox:
    """What is known of one user's mail."""

    def __init__(self, user):
        self.user = user
        self.lock = threading.Lock()
        self.faults = []        # broken promises
        self.validity = {}      # folder -> UIDVALIDITY
        self.tokens = {}        # (folder, UID) -> token
        self.promised = {}      # token -> folder where it was, for those that must be there
        self.maybe = set()      # tokens whose APPEND was not answered
        self.deleted = set()    # (folder, UID) whose expunge was answered
        self.marked = set()     # tokens that may be gone: x, \Deleted was tried
        self.moving = set()     # tokens whose MOVE was not answered: one copy or two
        self.flags = {}         # (folder, UID, flag) -> set of what may be: True, False
        self.own = {}           # the same for messages that move: (token, flag)
        self.said = {}          # by the same keys: when it was last stored, how, and what was told
        self.counts = {}

    def fault(self, text):
        with self.lock:
            self.faults.append(text)

    def count(self, what):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    def saw_validity(self, folder, validity):
        with self.lock:
            if self.validity.setdefault(folder, validity) != validity:
                self.faults.append(f"{self.user} {folder}: UIDVALIDITY {self.validity[folder]} became {validity}")

    def saw(self, folder, uid, token):
        """Whoever sees a UID must see the same message under it."""
        with self.lock:
            known = self.tokens.setdefault((folder, uid), token)
            if known != token:
                self.faults.append(f"{self.user} {folder}: UID {uid} was {known} and is {token}")

    def token(self, folder, uid):
        with self.lock:
            return self.tokens.get((folder, uid))


class Watcher(Client):
    """A connection that keeps its own list of a selected folder, and compares."""

    def __init__(self, port, mailbox, qresync):
        super().__init__(port, connection=self.connect(port))
        self.mailbox, self.qresync = mailbox, qresync
        self.folder = None
        self.uids = []       # by sequence number; None: not known yet
        self.flags = {}      # UID -> flags as last told
        self.confirmed = {}  # UID -> flags told since the command began
        self.modseq = 0      # all that came before is known
        self.recent_code = b""
        self.said = []       # the last commands, for what goes wrong

    def send(self, data):
        if hasattr(self, "said"):
            self.said = [*self.said[-5:], data[:80]]
        super().send(data)

    @staticmethod
    def connect(port):
        connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def wrong(self, text):
        self.mailbox.fault(f"{self.mailbox.user} {self.folder}: {text}; after {self.said[-3:]}")

    def log_in(self, password):
        result, _ = self.command(f"LOGIN {self.mailbox.user} {password}")
        if not result.startswith(b"OK"):
            self.close()
            raise EOFError(result)
        if self.qresync:
            self.command("ENABLE QRESYNC")

    def select(self, folder, past=None):
        """past: (UIDs, flags, modseq) as they were known once, of which the rest is made."""
        self.folder, self.uids, self.flags = folder, [], {}
        words = f" (QRESYNC ({self.mailbox.validity[folder]} {past[2]}))" if past else ""
        if past:
            self.folder = None
        result, answers = self.command(f"SELECT {folder}{words}")
        if not result.startswith(b"OK"):
            self.wrong(f"SELECT: {result}")
            raise EOFError
        text = b"\r\n".join(answers)
        self.mailbox.saw_validity(folder, int(re.search(rb"UIDVALIDITY (\d+)", text)[1]))
        self.modseq = int(re.search(rb"HIGHESTMODSEQ (\d+)", text)[1])
        self.folder = folder
        if past:
            self.come_back(past, answers)
        return answers

    def come_back(self, past, answers):
        """What QRESYNC tells, put upon what was known."""
        uids, self.flags = set(past[0]), dict(past[1])
        for answer in answers:
            if match := re.match(rb"\* VANISHED \(EARLIER\) (\S+)", answer):
                gone = set(numbers(match[1]))
                uids -= gone
                for uid in gone:
                    self.flags.pop(uid, None)
            elif match := re.match(rb"\* \d+ FETCH \(.*?UID (\d+)", answer):
                uids.add(int(match[1]))
                self.flags[int(match[1])] = flags_of(answer)
            elif match := re.match(rb"\* (\d+) EXISTS", answer):
                count = int(match[1])
        self.uids = sorted(uids)
        if len(self.uids) != count:
            self.wrong(f"QRESYNC leaves {len(self.uids)} messages of {count}")

    def answer(self):
        answer = super().answer()
        if getattr(self, "folder", None) and answer.startswith(b"* "):
            self.hear(answer)
        return answer

    def hear(self, answer):
        if match := re.match(rb"\* (\d+) EXISTS", answer):
            count = int(match[1])
            if count < len(self.uids):
                self.wrong(f"EXISTS {count} after {len(self.uids)}")
            self.uids += [None] * (count - len(self.uids))
        elif match := re.match(rb"\* (\d+) EXPUNGE", answer):
            number = int(match[1])
            if not 1 <= number <= len(self.uids):
                self.wrong(f"EXPUNGE {number} of {len(self.uids)}")
            else:
                self.flags.pop(self.uids.pop(number - 1), None)
        elif match := re.match(rb"\* VANISHED (\S+)$", answer):
            for uid in numbers(match[1]):
                if uid in self.uids:
                    self.uids.remove(uid)
                elif (place := self.unknown_place(uid)) is not None:
                    self.uids.pop(place)
                else:
                    self.wrong(f"VANISHED {uid}, which is not there: {answer}, of {self.uids}")
                self.flags.pop(uid, None)
        elif match := re.match(rb"\* (\d+) FETCH \((.*)", answer, re.S):
            self.hear_fetch(int(match[1]), match[2], answer)

    def unknown_place(self, uid):
        """Where a UID that was never told can stand."""
        after = next((place for place, known in enumerate(self.uids) if known and known > uid), len(self.uids))
        return after - 1 if after > 0 and self.uids[after - 1] is None else None

    def hear_fetch(self, number, items, answer):
        if not 1 <= number <= len(self.uids):
            self.wrong(f"FETCH {number} of {len(self.uids)}")
            return
        if match := re.search(rb"(?:^| )UID (\d+)", items):
            uid = int(match[1])
            if self.uids[number - 1] not in (None, uid):
                self.wrong(f"FETCH {number} is UID {uid}, and was {self.uids[number - 1]}")
            before = [known for known in self.uids[:number - 1] if known]
            if before and before[-1] >= uid:
                self.wrong(f"FETCH {number}: UID {uid} after {before[-1]}")
            self.uids[number - 1] = uid
        uid = self.uids[number - 1]
        if uid and b"FLAGS (" in items:
            self.flags[uid] = self.confirmed[uid] = flags_of(answer)
        if uid and (match := TOKEN.search(items)):
            self.mailbox.saw(self.folder, uid, match[1].decode())

    def checked(self, text, allow_no=False):
        """A command that must be answered OK (or NO); what it said, without the tag."""
        self.confirmed = {}
        result, _ = self.command(text)
        self.recent_code = result
        if not result.startswith(b"OK") and not (allow_no and result.startswith(b"NO")):
            self.wrong(f"{text[:60]!r}: {result}")
        return result.startswith(b"OK")

    def learn(self):
        """UIDs, flags and tokens of what is new."""
        for _ in range(20):
            if None not in self.uids:
                return
            first = self.uids.index(None) + 1
            self.checked(f"FETCH {first}:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (X-Token)])", allow_no=True)
            if self.recent_code.startswith(b"NO [EXPUNGEISSUED]"):
                self.command("NOOP")  # another has expunged some of them
            elif self.recent_code.startswith(b"NO"):
                self.wrong(f"FETCH: {self.recent_code}")
        self.wrong("there are messages that cannot be fetched and do not go")

    def state(self):
        return ([uid for uid in self.uids if uid], dict(self.flags), self.modseq)


def flags_of(answer):
    match = re.search(rb"FLAGS \(([^)]*)\)", answer)
    return frozenset(flag for flag in match[1].decode().split() if flag != "\\Recent") if match else frozenset()


class Actor(threading.Thread):
    """A client with a load of its own, until .over is set."""

    def __init__(self, port, mailbox, number, seed, password, over):
        super().__init__(daemon=True)
        self.port, self.mailbox, self.number, self.password, self.over = port, mailbox, number, password, over
        self.chance = random.Random(f"{seed} {number}")
        self.keyword = f"c{number}"
        self.qresync = number % 2 == 1
        self.made = 0
        self.mine = {}        # token of a message that moves -> (folder, UID)
        self.states = {}      # folder -> what was known when the connection was lost
        self.longest = 0.0
        self.reconnects = 0
        self.trouble = None

    def run(self):
        try:
            while not self.over.is_set():
                self.session()
        except Exception as problem:  # noqa: the test must hear of it
            import traceback
            self.trouble = traceback.format_exc()
            self.mailbox.fault(f"client {self.number}: {problem!r}: {self.trouble}")

    def session(self):
        client = None
        try:
            client = Watcher(self.port, self.mailbox, self.qresync)
            client.log_in(self.password)
            client.select(self.chance.choice(FOLDERS))
            while not self.over.is_set():
                begun = time.monotonic()
                client.learn()
                self.act(client)
                if self.qresync and self.chance.random() < 0.1:
                    client.learn()
                    self.states[client.folder] = client.state()
                self.longest = max(self.longest, time.monotonic() - begun)
                if self.chance.random() < 0.03:
                    client.select(self.chance.choice(FOLDERS))
                time.sleep(self.chance.random() * 0.03)
            client.command("LOGOUT")
        except TimeoutError:
            self.mailbox.fault(f"client {self.number}: no answer within a minute: {getattr(client, 'said', None)}, {getattr(client, 'input', None)}")
        except LOST:
            self.reconnects += 1
            time.sleep(0.05 + self.chance.random() * 0.2)
        finally:
            if client:
                client.close()

    def act(self, client):
        act = self.chance.choices((self.append, self.flag, self.flag_number, self.star, self.move, self.copy, self.expunge, self.read, self.idle),
                                  (15, 20, 8, 8, 10, 5, 10, 12, 6))[0]
        act(client)
        self.mailbox.count(act.__name__)

    # ---- what is done

    def append(self, client, kind=None):
        self.made += 1
        token = f"{kind or self.chance.choice('smx')}{self.number}.{self.made}"
        folder, text = self.chance.choice(FOLDERS), message(token)
        box = self.mailbox
        with box.lock:
            box.maybe.add(token)
        if not client.checked(b"APPEND %s {%d+}\r\n%s" % (folder.encode(), len(text), text)):
            return
        match = re.search(rb"APPENDUID (\d+) (\d+)", client.recent_code)
        box.saw_validity(folder, int(match[1]))
        box.saw(folder, int(match[2]), token)
        with box.lock:
            box.maybe.discard(token)
            box.promised[token] = folder
        if token[0] == "m":
            self.mine[token] = (folder, int(match[2]))

    def pick(self, client, kinds):
        """A UID of the selected folder whose message is of one of these kinds."""
        with self.mailbox.lock:
            found = [uid for uid in client.uids if uid and (self.mailbox.tokens.get((client.folder, uid)) or "?")[0] in kinds]
        return self.chance.choice(found) if found else None

    def store(self, client, uid, words, flag, value):
        """A flag that nobody else touches: what may be there is in the account before, what is there after the answer."""
        box, key = self.mailbox, (client.folder, uid, flag)
        with box.lock:
            box.flags[key] = box.flags.get(key, {False}) | {value}
        if not client.checked(words):
            return
        told = client.confirmed.get(uid)
        if told is not None and (flag in told) != value:
            client.wrong(f"{words}: told {sorted(told)}")
        with box.lock:
            box.flags[key] = {value}
            box.said[key] = (time.strftime("%H:%M:%S"), words, told and sorted(told), client.said[-4:], self.reconnects)

    def flag(self, client):
        uid = self.pick(client, "s")
        if uid:
            value = self.chance.random() < 0.6
            self.store(client, uid, f"UID STORE {uid} {'+' if value else '-'}FLAGS{self.chance.choice(('', '.SILENT'))} ({self.keyword})", self.keyword, value)

    def flag_number(self, client):
        """By sequence number: it must be the message that the client thinks it is."""
        uid = self.pick(client, "s")
        if uid:
            value = self.chance.random() < 0.6
            self.store(client, uid, f"STORE {client.uids.index(uid) + 1} {'+' if value else '-'}FLAGS ({self.keyword})", self.keyword, value)

    def star(self, client):
        """A flag that everybody sets and nobody takes away."""
        uid = self.pick(client, "s")
        if uid:
            with self.mailbox.lock:
                was = self.mailbox.flags.setdefault((client.folder, uid, "\\Flagged"), {False, True})
            if client.checked(f"UID STORE {uid} +FLAGS (\\Flagged)"):
                with self.mailbox.lock:
                    was.discard(False)

    def own(self, client):
        found = [token for token, (folder, uid) in self.mine.items() if folder == client.folder and uid in client.uids]
        return self.chance.choice(found) if found else None

    def move(self, client):
        token = self.own(client)
        if not token:
            return
        box, uid, target = self.mailbox, self.mine.pop(token)[1], FOLDERS[client.folder == FOLDERS[0]]
        key = (token, self.keyword)
        if self.chance.random() < 0.5:
            value = self.chance.random() < 0.7
            with box.lock:
                box.own[key] = box.own.get(key, {False}) | {value}
            if not client.checked(f"UID STORE {uid} {'+' if value else '-'}FLAGS ({self.keyword})"):
                return
            with box.lock:
                box.own[key] = {value}
                box.said[key] = (time.strftime("%H:%M:%S"), uid, client.folder, self.reconnects)
        with box.lock:
            box.moving.add(token)
        result, answers = client.command(f"UID MOVE {uid} {target}")
        code = re.search(rb"COPYUID (\d+) (\d+) (\d+)", b"\r\n".join(answers))
        if not result.startswith(b"OK") or not code or int(code[2]) != uid:
            client.wrong(f"UID MOVE {uid}: {result} {answers}")
            return
        if uid in client.uids:
            client.wrong(f"UID MOVE {uid}: it is still there")
        box.saw_validity(target, int(code[1]))
        box.saw(target, int(code[3]), token)
        with box.lock:
            box.moving.discard(token)
            box.deleted.add((client.folder, uid))
        self.mine[token] = (target, int(code[3]))

    def copy(self, client):
        uid = self.pick(client, "s")
        if not uid:
            return
        token = self.mailbox.token(client.folder, uid)
        if client.checked(f"UID COPY {uid} Copies"):
            match = re.search(rb"COPYUID (\d+) (\d+) (\d+)", client.recent_code)
            self.mailbox.saw_validity("Copies", int(match[1]))
            self.mailbox.saw("Copies", int(match[3]), token)
            with self.mailbox.lock:
                self.mailbox.flags[("Copies", int(match[3]), "")] = {True}  # it is there

    def expunge(self, client):
        uid = self.pick(client, "x")
        if not uid:
            return
        box = self.mailbox
        with box.lock:
            box.marked.add(box.tokens[(client.folder, uid)])
        client.checked(f"UID STORE {uid} +FLAGS.SILENT (\\Deleted)")
        if client.checked(f"UID EXPUNGE {uid}"):
            if uid in client.uids:
                client.command("NOOP")
            if uid in client.uids:
                client.wrong(f"UID EXPUNGE {uid}: it is still there")
            with box.lock:
                box.deleted.add((client.folder, uid))

    def read(self, client):
        if not client.uids:
            return
        number = self.chance.randrange(len(client.uids)) + 1
        _, answers = client.command(f"FETCH {number} (UID BODY.PEEK[])")
        uid = client.uids[number - 1] if number <= len(client.uids) else None
        for answer in answers:
            match = re.match(rb"\* %d FETCH \(.*?BODY\[\] \{(\d+)\}\r\n" % number, answer)
            if match and (token := TOKEN.search(answer)):
                text = answer[match.end():match.end() + int(match[1])]
                if not text.endswith(message(token[1].decode())):
                    client.wrong(f"UID {uid}: torn or altered: {text[:300]!r} ... {text[-100:]!r}")

    def idle(self, client):
        client.count += 1
        tag = b"i%d" % client.count
        client.send(tag + b" IDLE\r\n")
        ends = time.monotonic() + self.chance.random()
        while not client.answer().startswith(b"+"):
            pass
        while (left := ends - time.monotonic()) > 0:
            client.socket.settimeout(left)
            try:
                client.answer()
            except TimeoutError:
                break
            finally:
                client.socket.settimeout(60)
        client.send(b"DONE\r\n")
        result, _ = client.wait(tag)
        if not result.startswith(b"OK"):
            client.wrong(f"IDLE: {result}")


# ---- at the end

def everything(port, mailbox, password, folder):
    """{UID: (flags, bytes)} by a fresh session."""
    client = Watcher(port, mailbox, False)
    client.log_in(password)
    client.select(folder)
    found = {}
    if client.uids:
        _, answers = client.command("FETCH 1:* (UID FLAGS BODY.PEEK[])")
        for answer in answers:
            if match := re.search(rb"UID (\d+) .*?BODY\[\] \{(\d+)\}\r\n", answer, re.S):
                found[int(match[1])] = (flags_of(answer), answer[match.end():match.end() + int(match[2])])
    if len(found) != len(client.uids):
        mailbox.fault(f"{mailbox.user} {folder}: {len(found)} of {len(client.uids)} messages were given")
    client.command("LOGOUT")
    client.close()
    return found


def check_mailbox(port, mailbox, password, delivered=()):
    """Compares what is there with what was promised. Gives how many copies there are of tokens that have too many."""
    there = {folder: everything(port, mailbox, password, folder) for folder in (*FOLDERS, "Copies")}
    places = {}
    for folder, messages in there.items():
        for uid, (flags, text) in messages.items():
            match = TOKEN.search(text)
            if not match or not text.endswith(message(match[1].decode())):
                mailbox.fault(f"{mailbox.user} {folder}: UID {uid} is torn or altered: {text[:80]!r}")
                continue
            token = match[1].decode()
            mailbox.saw(folder, uid, token)
            if (folder, uid) in mailbox.deleted:
                mailbox.fault(f"{mailbox.user} {folder}: UID {uid} ({token}) came back after its expunge was answered")
            if folder in FOLDERS:
                places.setdefault(token, []).append((folder, uid, flags))
    wanted = dict(mailbox.promised)
    wanted.update((token, "INBOX") for token in delivered)
    for token, folder in wanted.items():
        found = places.get(token, [])
        if not found and token not in mailbox.marked:
            mailbox.fault(f"{mailbox.user}: {token} is lost, of {folder}")
        if len(found) > (2 if token in mailbox.moving else 1) and token not in delivered:
            mailbox.fault(f"{mailbox.user}: {token} is there {len(found)} times: {found}")
    for (folder, uid, flag), may in mailbox.flags.items():
        message_there = there[folder].get(uid)
        if not message_there:
            mailbox.fault(f"{mailbox.user} {folder}: UID {uid} ({mailbox.tokens.get((folder, uid))}) is gone")
        elif flag and (flag in message_there[0]) not in may:
            mailbox.fault(f"{mailbox.user} {folder}: UID {uid} has {sorted(message_there[0])}, and {flag} should be {may}: {mailbox.said.get((folder, uid, flag))}")
    for (token, flag), may in mailbox.own.items():
        found = places.get(token, [])
        right = [flag in flags for _, _, flags in found if (flag in flags) in may]
        # The copy of a MOVE that was cut short and never answered may be a file only, which has no keywords.
        if found and len(right) < (1 if token in mailbox.moving else len(found)):
            mailbox.fault(f"{mailbox.user}: {token} is {found}, and {flag} should be {may}: {mailbox.said.get((token, flag))}")
    return sum(len(places.get(token, [])) > 1 for token in delivered)


def check_states(port, mailbox, actors, password):
    """QRESYNC from what each client knew once, and the folder as it is: they must agree. How many were compared."""
    compared = 0
    for actor in actors:
        for folder, past in actor.states.items():
            client = Watcher(port, mailbox, True)
            client.log_in(password)
            client.select(folder, past)
            known, flags = list(client.uids), dict(client.flags)
            client.checked("UID FETCH 1:* (FLAGS)")
            now = {uid: client.flags[uid] for uid in client.uids}
            if known != client.uids or {uid: flags.get(uid) for uid in known} != now:
                odd = [(uid, flags.get(uid), now.get(uid)) for uid in sorted(set(known) | set(now)) if flags.get(uid) != now.get(uid)]
                mailbox.fault(f"{mailbox.user} {folder}: QRESYNC from {past[2]} misses {odd[:5]}")
            compared += 1
            client.command("LOGOUT")
            client.close()
    return compared
