# A service process as Cyrus's are: status messages on descriptor 3, listener on 4. Sends each client "SERVICE ID PID", and
# serves it until it hangs up. A client that says "die" makes it die while busy. Words: -crash (end with 1 while ready), -crash0 (so for the first
# address only), -flood
# (status messages without end), -once STATUS (end so after the first client), -udp (answer datagrams), -self (greet with the
# limit of open files, the user, the capabilities and the group, too).
import os, resource, select, signal, socket, struct, sys


def tell(code):
    os.write(3, struct.pack("=ii", code, os.getpid()))


if "-crash" in sys.argv or "-crash" + os.environ["CYRUS_ID"] in sys.argv:
    sys.exit(1)
if "-flood" in sys.argv:
    while True:
        tell(3)
assert "LISTEN_PID" not in os.environ and not os.path.exists("/proc/self/fd/5")


def hangup(*_):
    global leaving
    leaving = True


leaving = False
signal.signal(signal.SIGHUP, hangup)
listener = socket.socket(fileno=4)
greeting = [os.environ["CYRUS_SERVICE"], os.environ["CYRUS_ID"]]
if "-self" in sys.argv:
    capabilities = [line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")]
    greeting += [resource.getrlimit(resource.RLIMIT_NOFILE)[0], os.getuid(), capabilities[0], os.getgid()]
greeting = " ".join(map(str, greeting + [os.getpid()]))
while "-udp" in sys.argv:
    _, sender = listener.recvfrom(1000)
    listener.sendto(greeting.encode(), sender)
# A client that was accepted is served, whatever signal comes at the same time.
woken, wake = os.pipe2(os.O_NONBLOCK)
signal.set_wakeup_fd(wake)
listener.setblocking(False)
sys.stderr.write("foreign: %d waits\n" % os.getpid())
while not leaving:
    if listener not in select.select([listener, woken], [], [])[0] or leaving:
        continue
    try:
        client, _ = listener.accept()
    except BlockingIOError:
        continue
    client.setblocking(True)
    tell(2)
    tell(3)
    client.sendall((greeting + "\n").encode())
    while True:
        text = client.recv(100)
        if text == b"die":
            os.kill(os.getpid(), signal.SIGKILL)
        if not text:
            break
    client.close()
    tell(1)
    if "-once" in sys.argv:
        sys.exit(int(sys.argv[sys.argv.index("-once") + 1]))
