# Sends as many random bytes as the last argument says to the echo service at each of the addresses before it, and reads
# what comes back at the same time.
import os, socket, sys, threading

*hosts, size = sys.argv[1:]
for host in hosts:
    data = os.urandom(int(size))
    peer = socket.create_connection((host, 7))

    def send():
        peer.sendall(data)
        peer.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    got = bytearray()
    while piece := peer.recv(1 << 20):
        got += piece
    sender.join()
    print(host, 'intact' if got == data else 'damaged: %d bytes' % len(got))
