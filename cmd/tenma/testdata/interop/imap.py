# Every call of Python's imaplib, beside the relay: port, password, certificate,
# port with STARTTLS.
import imaplib, socket, ssl, sys, time

socket.setdefaulttimeout(90)  # rather than wait for ever
port, password, cert, starttls = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
context = ssl.create_default_context(cafile=cert)


def good(answer):
    assert answer[0] == "OK", answer
    return answer[1]


def connect():
    m = imaplib.IMAP4_SSL("localhost", port, ssl_context=context)
    good(m.login("py@ours.test", password))
    return m


# Without TLS nobody logs in; with STARTTLS by AUTHENTICATE PLAIN.
m = imaplib.IMAP4("localhost", starttls)
assert "LOGINDISABLED" in m.capabilities and "STARTTLS" in m.capabilities
try:
    m.login("py@ours.test", password)
    raise SystemExit("logged in without TLS")
except imaplib.IMAP4.error:
    pass
good(m.starttls(context))
assert "LOGINDISABLED" not in m.capabilities and "AUTH=PLAIN" in m.capabilities
try:
    m.authenticate("PLAIN", lambda _: b"\0py@ours.test\0wrong")
    raise SystemExit("logged in with a wrong password")
except imaplib.IMAP4.error as e:
    assert "AUTHENTICATIONFAILED" in str(e), e
good(m.authenticate("PLAIN", lambda _: b"\0py@ours.test\0" + password.encode()))
m.logout()

m = connect()
good(m.noop())
assert good(m.namespace())[0].startswith(b'(("" "/"))')
good(m.xatom("ID", '("name" "imaplib")'))
good(m.create("Work"))
good(m.create("Work/Deep"))
good(m.create("Gr&APwA3w-e"))
good(m.subscribe("Work"))
good(m.subscribe("Work/Deep"))
good(m.unsubscribe("Work/Deep"))
assert m.create("Work")[0] == "NO"
names = [l.decode().split(' "/" ')[1].strip('"') for l in good(m.list())]
assert {"INBOX", "Work", "Work/Deep", "Gr&APwA3w-e", "Sent", "Trash", "Drafts", "Junk"} <= set(names), names
assert len(good(m.list("Work", "/%"))) == 1
subscribed = [l.decode().split(' "/" ')[1].strip('"') for l in good(m.lsub())]
assert "Work" in subscribed and "Work/Deep" not in subscribed, subscribed
good(m.rename("Work/Deep", "Work/Deeper"))
assert m.select("Work/Deep")[0] == "NO"

# APPEND: what comes with bare LF is kept with CRLF, and has a last line end.
text = b"From: Bob <bob@far.test>\r\nTo: py@ours.test\r\nSubject: %s\r\nDate: Mon, 5 Jan 2026 10:00:00 +0000\r\n\r\n%s\r\n"
date = imaplib.Time2Internaldate(1767600000)
messages = [text % (b"one", b"first words"), text % (b"two", b"second"), text % (b"three", b"x" * 100000)]
for n, msg in enumerate(messages):
    code = good(m.append("INBOX", ["", r"(\Seen)", r"(\Flagged $Label1)"][n], date, msg))[0]
    assert b"APPENDUID" in code, code
line_ends = imaplib.MapCRLF
imaplib.MapCRLF = __import__("re").compile(b"$^")  # it would mend line ends by itself
good(m.append("INBOX", None, None, b"Subject: four\n\nbare\nlast line"))
imaplib.MapCRLF = line_ends
assert m.append("Nowhere", None, None, b"x")[0] == "NO"
messages.append(b"Subject: four\r\n\r\nbare\r\nlast line\r\n")

assert good(m.select()) == [b"4"]
assert m.response("UIDVALIDITY")[1][0].isdigit()
for n, msg in enumerate(messages, 1):
    data = good(m.fetch(str(n), "(UID RFC822.SIZE INTERNALDATE BODY.PEEK[])"))
    assert data[0][1] == msg, (n, data[0][1][:300])
    assert b"RFC822.SIZE %d " % len(msg) in data[0][0] + data[1], data[0][0]
assert b"FLAGS (\\Flagged $Label1" in good(m.fetch("3", "(FLAGS)"))[0], m.fetch("3", "(FLAGS)")
assert good(m.search(None, "SUBJECT", "two")) == [b"2"]
assert good(m.search(None, "FROM", '"bob@far"', "SEEN")) == [b"2"]
assert good(m.search(None, "TEXT", '"first words"')) == [b"1"]
assert good(m.search(None, "KEYWORD", "$Label1")) == [b"3"]
assert good(m.search(None, "SINCE", "4-Jan-2026", "BEFORE", "6-Jan-2026")) == [b"1 2 3"]
assert good(m.search("UTF-8", "NOT", "ANSWERED")) == [b"1 2 3 4"]
m.literal = "gr\u00fc\u00dfe".encode()
assert good(m.search("UTF-8", "SUBJECT")) == [b""]
assert good(m.sort("(REVERSE SIZE)", "UTF-8", "ALL")) == [b"3 1 2 4"], m.sort("(REVERSE SIZE)", "UTF-8", "ALL")
assert good(m.thread("REFERENCES", "UTF-8", "ALL"))
good(m.store("1", "+FLAGS", r"(\Answered)"))
assert b"\\Answered" in good(m.fetch("1", "(FLAGS)"))[0]
good(m.store("1", "-FLAGS", r"(\Answered)"))
assert b"\\Answered" not in good(m.fetch("1", "(FLAGS)"))[0]
good(m.uid("STORE", "1", "FLAGS", r"(\Draft)"))

good(m.copy("1:2", "Work"))
assert m.copy("1", "Nowhere")[0] == "NO"
good(m.uid("MOVE", "2", "Work/Deeper"))
good(m.noop())
assert b"MESSAGES 3" in good(m.status("INBOX", "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN SIZE)"))[0]
assert b"MESSAGES 2" in good(m.status("Work", "(MESSAGES RECENT)"))[0]
good(m.store("1", "+FLAGS", r"(\Deleted)"))
assert good(m.expunge())[-1:] == [b"1"]  # what MOVE expunged may stand before
assert good(m.check())
good(m.close())

assert good(m.select("Work/Deeper", readonly=True)) == [b"1"]
assert good(m.fetch("1", "(BODY[])"))[0][1] == messages[1]
assert m.xatom("STORE", "1", "+FLAGS", r"(\Deleted)")[0] == "NO"
good(m.unselect())
good(m.delete("Work/Deeper"))
assert m.select("Work/Deeper")[0] == "NO"
assert good(m.getquotaroot("INBOX"))

# UTF8=ACCEPT: names are UTF-8 from then on.
m._get_capabilities()  # it asks before the login only
assert "UTF8=ACCEPT" in m.capabilities
good(m.enable("UTF8=ACCEPT"))
names = b"".join(l for l in good(m.list()))
assert "Gr\u00fc\u00dfe".encode() in names, names
good(m.append("INBOX", None, None, "Subject: gr\u00fc\u00dfe\r\n\r\nx\r\n".encode()))
assert good(m.select()) == [b"3"]

# IDLE by hand; another session brings a message, and takes it away.
def until(m, start):
    line = b""
    while not line.startswith(start):
        line = m.readline()
        assert line, "the connection ended before %r" % start


m.send(b"i1 IDLE\r\n")
until(m, b"+")
other = connect()
good(other.append("INBOX", None, None, b"Subject: new\r\n\r\nx\r\n"))
until(m, b"* 4 EXISTS\r\n")
good(other.select())
good(other.store("4", "+FLAGS.SILENT", r"(\Deleted)"))
good(other.expunge())
until(m, b"* 4 EXPUNGE\r\n")
m.send(b"DONE\r\n")
until(m, b"i1 OK")
other.logout()
assert m.logout()[0] == "BYE"
