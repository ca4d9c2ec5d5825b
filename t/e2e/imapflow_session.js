// What test_imapflow.py has imapflow do: node imapflow_session.js MODULE PORT tls|starttls|plain.
// Prints a line of JSON for each thing that was looked at: {name, good, got}.
'use strict';
const util = require('util');
const { ImapFlow } = require(process.argv[2]);
const port = Number(process.argv[3]);
const mode = process.argv[4];

const settings = {
    host: '127.0.0.1', port, secure: mode === 'tls', doSTARTTLS: mode === 'starttls', logger: false, qresync: true,
    auth: { user: 'ada@example.test', pass: 'secret' }, tls: { rejectUnauthorized: false, servername: 'example.test' }
};
const check = (name, good, got) => console.log(JSON.stringify({ name, good: Boolean(good), got: got === undefined ? null : util.inspect(got, { depth: 5, breakLength: Infinity }).slice(0, 500) }));
const letter = (number, more = '') => Buffer.from(`From: Ann <ann@example.test>\r\nTo: ada@example.test\r\nSubject: =?utf-8?q?n=C3=BAmero?= ${number}\r\n` +
    `Message-ID: <${number}@example.test>\r\nDate: Sat, 28 Nov 2026 06:00:00 +0000\r\n${more || `\r\nwords ${number}\r\n`}`);
const parts = 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n' +
    'Content-Transfer-Encoding: quoted-printable\r\n\r\ncaf=C3=A9\r\n--b\r\nContent-Type: application/octet-stream; name="a.bin"\r\n' +
    'Content-Disposition: attachment; filename="a.bin"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAwQ=\r\n--b--\r\n';
const collect = async stream => { const pieces = []; for await (const piece of stream) pieces.push(piece); return Buffer.concat(pieces); };
const uidsOf = async (client, range = '1:*', query = {}) => { const found = []; for await (const message of client.fetch(range, { uid: true, ...query })) found.push(message); return found; };

async function folders(client) {
    await client.mailboxCreate('Työ/日本語');
    await client.mailboxCreate('Työ/日本語/R&D');
    const listed = await client.list({ statusQuery: { messages: true, unseen: true, uidNext: true } });
    const byPath = Object.fromEntries(listed.map(row => [row.path, row]));
    check('list: names in UTF-8', byPath['Työ/日本語'] && byPath['Työ/日本語/R&D'], Object.keys(byPath));
    check('list: special use', listed.some(row => row.specialUse === '\\Sent') && listed.some(row => row.specialUse === '\\Trash'), listed.map(row => row.specialUse));
    check('list: status', byPath.INBOX.status && byPath.INBOX.status.messages === 0, byPath.INBOX.status);
    await client.mailboxSubscribe('Työ/日本語');
    check('subscribed', (await client.list()).find(row => row.path === 'Työ/日本語').subscribed);
    await client.mailboxRename('Työ/日本語/R&D', 'Kept');
    check('rename', (await client.list()).some(row => row.path === 'Kept'));
    await client.mailboxDelete('Kept');
    check('delete', !(await client.list()).some(row => row.path === 'Kept'));
}

async function messages(client) {
    const answer = await client.append('INBOX', letter(1), ['\\Seen', '$Forwarded'], new Date('2026-11-01T10:00:00Z'));
    check('append: UIDPLUS', answer.uid > 0 && answer.uidValidity, answer);
    for (let number = 2; number <= 9; number++) await client.append('INBOX', letter(number));
    const mixed = await client.append('INBOX', letter(10, parts));
    const box = await client.mailboxOpen('INBOX');
    check('open: EXISTS, HIGHESTMODSEQ, MAILBOXID', box.exists === 10 && box.highestModseq > 0n && box.mailboxId, { exists: box.exists, id: box.mailboxId });
    const first = await client.fetchOne('1', { envelope: true, flags: true, internalDate: true, size: true, bodyStructure: true, source: true });
    check('envelope', first.envelope.subject === 'número 1' && first.envelope.from[0].address === 'ann@example.test', first.envelope);
    check('flags', first.flags.has('\\Seen') && first.flags.has('$Forwarded'), [...first.flags]);
    check('internal date', first.internalDate.toISOString() === '2026-11-01T10:00:00.000Z', first.internalDate);
    check('source', first.source.equals(letter(1)) && first.size === letter(1).length, first.size);
    check('EMAILID', first.emailId, first.emailId);
    const whole = await client.fetchOne(String(mixed.uid), { bodyStructure: true }, { uid: true });
    check('bodystructure', whole.bodyStructure.type === 'multipart/mixed' && whole.bodyStructure.childNodes[1].dispositionParameters.filename === 'a.bin', whole.bodyStructure);
    const text = await client.download(String(mixed.uid), '1', { uid: true });
    check('download: text', (await collect(text.content)).toString() === 'café', text.meta);
    const file = await client.download(String(mixed.uid), '2', { uid: true });
    check('download: attachment', (await collect(file.content)).equals(Buffer.from([0, 1, 2, 3, 4])), file.meta);
    await client.messageFlagsAdd('2:4', ['\\Flagged', 'Todo']);
    check('search: keyword', (await client.search({ keyword: 'Todo' }, { uid: true })).length === 3);
    check('search: subject in UTF-8', (await client.search({ subject: 'número 7' }, { uid: true })).length === 1);
    check('search: or', (await client.search({ or: [{ subject: 'mero 5' }, { flagged: true }] })).length === 4);
    check('search: header, not', (await client.search({ header: { 'message-id': '<3@example.test>' }, seen: false })).length === 1);
    const changed = await uidsOf(client, '1:*', { flags: true });
    check('fetch all', changed.length === 10, changed.length);
    const copy = await client.messageCopy('1:3', 'Työ/日本語');
    check('copy: UIDs', copy.uidMap && copy.uidMap.size === 3, copy);
    const moved = await client.messageMove('9', 'Trash');
    check('move: UIDs', moved.uidMap && moved.uidMap.size === 1, moved);
    await client.messageDelete('8');
    const left = await uidsOf(client); // with QRESYNC it counts nothing down itself
    check('delete', left.length === 8 && !left.some(message => message.uid === 8 || message.uid === 9), left.map(message => message.uid));
    check('status', (await client.status('Työ/日本語', { messages: true, highestModseq: true, uidNext: true })).messages === 3);
    check('quota', (await client.getQuota('INBOX')) !== undefined);
}

async function pushed(client, other) {
    const heard = new Promise(resolve => client.once('exists', resolve));
    client.idle().catch(() => false);
    await new Promise(resolve => setImmediate(resolve));
    await other.append('INBOX', letter('pushed'));
    const event = await Promise.race([heard, new Promise(resolve => setTimeout(resolve, 20000))]);
    check('idle: a new message is told', event && event.count === 9, event);
    const gone = new Promise(resolve => client.once('expunge', resolve));
    const flags = new Promise(resolve => client.once('flags', resolve));
    client.idle().catch(() => false);
    await other.mailboxOpen('INBOX');
    await other.messageFlagsAdd('1', ['\\Answered']);
    const told = await Promise.race([flags, new Promise(resolve => setTimeout(resolve, 20000))]);
    check('idle: flags are told', told && told.flags.has('\\Answered'), told && [...told.flags]);
    client.idle().catch(() => false);
    await other.messageDelete('2');
    const removed = await Promise.race([gone, new Promise(resolve => setTimeout(resolve, 20000))]);
    check('idle: what is gone is told', removed, removed);
}

async function main() {
    const client = new ImapFlow(settings), other = new ImapFlow(settings);
    client.on('error', error => check('no error', false, error.message));
    await client.connect();
    await other.connect();
    check('capabilities', ['CONDSTORE', 'QRESYNC', 'OBJECTID', 'MOVE', 'UIDPLUS', 'IDLE', 'COMPRESS=DEFLATE'].every(name => client.capabilities.has(name)), [...client.capabilities.keys()]);
    check('enabled', client.enabled.has('QRESYNC'), [...client.enabled]);
    check('encryption', client.secureConnection === (mode !== 'plain'), client.secureConnection);
    check('ID', client.serverInfo && client.serverInfo.name === 'tern', client.serverInfo);
    await folders(client);
    await messages(client);
    await pushed(client, other);
    await other.logout();
    await client.logout();
    const wrong = new ImapFlow({ ...settings, auth: { user: 'ada@example.test', pass: 'wrong' } });
    wrong.on('error', () => false);
    const error = await wrong.connect().then(() => null, error => error);
    check('a wrong password', error && error.authenticationFailed && error.serverResponseCode === 'AUTHENTICATIONFAILED', error && error.serverResponseCode);
    check('to its end', true);
}

main().then(() => process.exit(0), error => { check('no exception', false, error.stack + ' ' + (error.responseText || '')); process.exit(1); });
