# A daemon as this project's are: sockets by LISTEN_FDS, READY=1, lifeline. Sends each client "NAME PID" and closes, or keeps
# the connection for `-hold`. Other words: -crash (end with 1 at once), -stubborn (ignore SIGTERM), -mute (never ready),
# -chatter (status messages without end).
import json, os, select, signal, socket, sys, threading

words = sys.argv[1:]


def say(text):
    sys.stderr.write("ours: " + text + "\n")
    sys.stderr.flush()


if "-crash" in words:
    say("crashing")
    sys.exit(1)
assert os.environ["LISTEN_PID"] == str(os.getpid())
listeners = json.loads(os.environ["MURDER_LISTENERS"])
names = os.environ["LISTEN_FDNAMES"].split(":")
assert names == [listener["name"] for listener in listeners]
sockets = {socket.socket(fileno=3 + i): listener for i, listener in enumerate(listeners)}
lifeline = int(os.environ["MURDER_LIFELINE"])
control = socket.socket(fileno=int(os.environ["MURDER_CONTROL"]))
assert int(os.environ["MURDER_CONTROL"]) == 3 + len(names) and lifeline == 4 + len(names)


def finish(*_):
    say("%d drained" % os.getpid())
    sys.exit(0)


signal.signal(signal.SIGTERM, signal.SIG_IGN if "-stubborn" in words else finish)
signal.signal(signal.SIGHUP, lambda *_: say("%d reloaded" % os.getpid()))
say("%d serves %s with %s" % (os.getpid(), ",".join(names), " ".join(words[: words.index("-C")])))
if "-mute" not in words:
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    name = os.environ["NOTIFY_SOCKET"]
    name = "\0" + name[1:] if name.startswith("@") else name
    notify.sendto(b"READY=1" if "-fixed" in words else b"READY=1\nX_CONTROL=1", name)


def chatter():
    while True:
        notify.sendto(b"STATUS=busy", name)


if "-chatter" in words:
    threading.Thread(target=chatter, daemon=True).start()


def change():
    global sockets
    text, fds, _, _ = socket.recv_fds(control, 100000, 250)
    before = {listener["address"]: each for each, listener in sockets.items()}
    sockets = {}
    for line in json.loads(text):
        each = before.pop(line["address"]) if line["kept"] else socket.socket(fileno=fds.pop(0))
        sockets[each] = line
    say("%d now serves %s" % (os.getpid(), ",".join(line["name"] for line in sockets.values())))


held = []
while True:
    ready, _, _ = select.select(list(sockets) + [lifeline, control], [], [])
    if control in ready:
        change()
        continue
    if lifeline in ready:
        say("%d: master died" % os.getpid())
        sys.exit(0)
    for each in ready:
        try:
            client, _ = each.accept()
        except OSError:
            # Closed by master, who is about to say so.
            continue
        client.sendall(("%s %d\n" % (sockets[each]["name"], os.getpid())).encode())
        if "-hold" in words:
            held.append(client)
        else:
            client.close()
