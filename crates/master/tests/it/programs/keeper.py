# A program of DAEMON: `keeper NAME [wait]`. With `wait` it says ok on descriptor 3 once it runs.
import os, signal, sys


def say(text):
    sys.stderr.write("%s %s\n" % (sys.argv[1], text))
    sys.stderr.flush()


def finish(*_):
    say("%d ends" % os.getpid())
    os._exit(0)


assert os.environ["CYRUS_ISDAEMON"] == "1" and os.environ["CYRUS_SERVICE"] == sys.argv[1]
signal.signal(signal.SIGTERM, finish)
say("runs as %d" % os.getpid())
if "wait" in sys.argv:
    os.write(3, b"ok\r\n")
    os.close(3)
while True:
    signal.pause()
