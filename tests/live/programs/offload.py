# Datagrams to the echo service with checksums of every kind, written to the interface named by the first argument
# (AF_PACKET, with a virtio header where it says something). Each carries its name; prints the names that come back.
import socket, struct, sys

interface, me, you = sys.argv[1], '192.0.2.1', '192.0.2.2'
SOL_PACKET, PACKET_VNET_HDR, NEEDS_CSUM, DATA_VALID = 263, 15, 1, 2


def total(data):
    data += b'\0' * (len(data) % 2)
    sum_ = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while sum_ >> 16:
        sum_ = (sum_ & 0xffff) + (sum_ >> 16)
    return sum_


def ip4(payload):
    head = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(payload), 7, 0, 64, 17, 0,
                       socket.inet_aton(me), socket.inet_aton(you))
    return head[:10] + struct.pack('!H', ~total(head) & 0xffff) + head[12:] + payload


def udp(text, field):
    """field: from the sums of the pseudo-header and of the whole to what stands in the checksum field."""
    data = struct.pack('!HHHH', port, 7, 8 + len(text), 0) + text
    pseudo = socket.inet_aton(me) + socket.inet_aton(you) + struct.pack('!HH', 17, len(data))
    sum_ = field(total(pseudo), ~total(pseudo + data) & 0xffff)
    return data[:6] + struct.pack('!H', sum_) + data[8:]


answers = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
answers.bind((me, 0))
port = answers.getsockname()[1]
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)


def send(name, field, flags=0, start=0, offset=0):
    header = struct.pack('=BBHHHH', flags, 0, 0, 0, start, offset)
    out.sendto(header + ip4(udp(name.encode(), field)), (interface, 0x0800))


send('right', lambda pseudo, whole: whole)
send('wrong', lambda pseudo, whole: whole ^ 1)
send('partial', lambda pseudo, whole: pseudo, NEEDS_CSUM, 20, 6)
send('partial, wrong', lambda pseudo, whole: pseudo ^ 1, NEEDS_CSUM, 20, 6)
send('partial, and nobody says so', lambda pseudo, whole: pseudo)
send('end', lambda pseudo, whole: whole)

answers.settimeout(20)
while True:
    name = answers.recv(100).decode()
    print(name)
    if name == 'end':
        break
