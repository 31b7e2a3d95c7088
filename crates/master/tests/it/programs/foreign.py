# A service process as Cyrus's are: status messages on descriptor 3, listener on 4. Sends each client "SERVICE ID PID", and
# serves it until it hangs up. A client that says "die" makes it die while busy. Words: -crash (end with 1 while ready).
import os, signal, socket, struct, sys


def tell(code):
    os.write(3, struct.pack("=ii", code, os.getpid()))


if "-crash" in sys.argv:
    sys.exit(1)
if "-flood" in sys.argv:
    while True:
        tell(3)
assert "LISTEN_PID" not in os.environ and not os.path.exists("/proc/self/fd/5")
busy = False


def hangup(*_):
    global leaving
    leaving = True
    if not busy:
        sys.exit(0)


leaving = False
signal.signal(signal.SIGHUP, hangup)
listener = socket.socket(fileno=4)
sys.stderr.write("foreign: %d waits\n" % os.getpid())
while not leaving:
    client, _ = listener.accept()
    busy = True
    tell(2)
    tell(3)
    client.sendall(("%s %s %d\n" % (os.environ["CYRUS_SERVICE"], os.environ["CYRUS_ID"], os.getpid())).encode())
    while True:
        text = client.recv(100)
        if text == b"die":
            os.kill(os.getpid(), signal.SIGKILL)
        if not text:
            break
    client.close()
    busy = False
    tell(1)
