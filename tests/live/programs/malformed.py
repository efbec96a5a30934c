# Packets that no kernel sends, written to the interface named by the first argument (AF_PACKET).
import random, socket, struct, sys, time

out = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
WHO = {4: (sys.argv[1], 0x0800), 6: (sys.argv[1], 0x86DD)}
ME4, YOU4 = socket.inet_aton('192.0.2.1'), socket.inet_aton('192.0.2.2')
ME6 = socket.inet_pton(socket.AF_INET6, '2001:db8::1')
YOU6 = socket.inet_pton(socket.AF_INET6, '2001:db8::2')
count = 0


def send(packet, version=4):
    global count
    count += 1
    # A TUN holds 500 packets and loses those beyond.
    if count % 50 == 0:
        time.sleep(0.01)
    try:
        out.sendto(packet, WHO[version])
    except OSError as error:
        # The interface itself refuses what is empty or too long.
        print(error, len(packet))


def checksum(data):
    data += b'\0' * (len(data) % 2)
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip4(payload, proto=6, src=ME4, dst=YOU4, flags=0, version=0x45, total=None, ttl=64, options=b'', ident=7):
    total = 20 + len(options) + len(payload) if total is None else total
    version += len(options) // 4
    head = struct.pack('!BBHHHBBH4s4s', version, 0, total, ident, flags, ttl, proto, 0, src, dst) + options
    return head[:10] + struct.pack('!H', checksum(head)) + head[12:] + payload


def ip6(payload, proto=6, src=ME6, dst=YOU6, length=None):
    length = len(payload) if length is None else length
    return struct.pack('!IHBB16s16s', 6 << 28, length, proto, 64, src, dst) + payload


def with_sum(segment, proto, src, dst, at):
    pseudo = src + dst + struct.pack('!HH', proto, len(segment)) if len(src) == 4 else \
        src + dst + struct.pack('!II', len(segment), proto)
    total = checksum(pseudo + segment)
    return segment[:at] + struct.pack('!H', total) + segment[at + 2:]


def tcp(flags, sport=4000, dport=7, seq=1, ack=0, options=b'', data=b'', offset=None, src=ME4, dst=YOU4):
    offset = 5 + len(options) // 4 if offset is None else offset
    segment = struct.pack('!HHIIBBHHH', sport, dport, seq, ack, offset << 4, flags, 1000, 0, 0) + options + data
    return with_sum(segment, 6, src, dst, 16)


def udp(data=b'', length=None, dport=7, src=ME4, dst=YOU4):
    datagram = struct.pack('!HHHH', 4000, dport, 8 + len(data) if length is None else length, 0) + data
    return with_sum(datagram, 17, src, dst, 6)


FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
good = tcp(SYN)

# Not even an IP header.
for packet in [b'\x45', b'\x45' * 19, b'\x05' * 40, b'\xf5' * 40, b'\0' * 20]:
    send(packet)
for cut in range(1, 40):
    send(ip4(good)[:cut])
    send(ip6(good)[:cut], 6)
# The header contradicts itself.
send(ip4(good, version=0x44))
send(ip4(good, version=0x4f))
send(ip4(good, total=10))
send(ip4(good, total=4000))
send(ip4(good, ttl=0))
send(ip6(good, length=4000), 6)
broken = bytearray(ip4(good)); broken[10] ^= 0xff
send(bytes(broken))
# Its addresses can't be.
send(ip4(tcp(SYN, src=YOU4), src=YOU4))                       # land
send(ip4(tcp(SYN, sport=7, src=YOU4), src=YOU4))
for src in ['0.0.0.0', '255.255.255.255', '224.0.0.1', '127.0.0.1', '192.0.2.255']:
    src = socket.inet_aton(src)
    send(ip4(tcp(SYN, src=src), src=src))
for dst in ['255.255.255.255', '224.0.0.1', '198.51.100.1', '192.0.2.255']:
    dst = socket.inet_aton(dst)
    send(ip4(tcp(SYN, dst=dst), dst=dst))
send(ip6(tcp(SYN, src=YOU6, dst=YOU6), src=YOU6), 6)
# TCP that is none.
bad = bytearray(good); bad[17] ^= 1
send(ip4(bytes(bad)))
for offset in [0, 4, 6, 15]:
    send(ip4(tcp(SYN, offset=offset)))
for flags in range(256):
    send(ip4(tcp(flags, sport=5000 + flags)))
    send(ip4(tcp(flags, sport=5000 + flags, dport=4)))
    send(ip6(tcp(flags, sport=5000 + flags, src=ME6, dst=YOU6)), 6)
for i, options in enumerate([b'\x02\x00\x00\x00', b'\x02\x01\x00\x00', b'\x02\xff\x00\x00', b'\x00\x02\x04\x05',
                             b'\x02\x04\x00\x00', b'\x03\x03\xff\x01', b'\x05\x03\x01\x01', b'\x08\x0a\x00\x00',
                             b'\xfd\x04\xf9\x89', b'\x01' * 40, b'\xff' * 40, b'\x05\x22' + b'\x11' * 34]):
    send(ip4(tcp(SYN, sport=6000 + i, options=options.ljust((len(options) + 3) // 4 * 4, b'\0'))))
send(ip4(tcp(SYN, sport=6100, data=b'early')))
send(ip4(tcp(SYN, sport=0)))
send(ip4(tcp(SYN, dport=0)))
# UDP that is none.
send(ip4(udp(b'hello', length=4), 17))
send(ip4(udp(b'hello', length=4000), 17))
send(ip4(udp(b'hello')[:6], 17))
bad = bytearray(udp(b'hello')); bad[7] ^= 1
send(ip4(bytes(bad), 17))
# ICMP that is none, errors about what never was, an answer to nobody's question.
for icmp in [b'', b'\x08', b'\x08\0\0\0', b'\x08\0\xf7\xff' + b'\0' * 4, b'\x03\x03\xfc\xfc', b'\x00\0\xff\xff' + b'\0' * 4,
             b'\x0d\0\xf2\xff' + b'\0' * 16]:
    send(ip4(icmp, 1))
    send(ip6(icmp, 58), 6)
about = b'\x03\x03\0\0\0\0\0\0' + ip4(udp(b'hello', src=YOU4, dst=ME4), 17, src=YOU4, dst=ME4)
send(ip4(about[:2] + struct.pack('!H', checksum(about)) + about[4:], 1))
# Fragments: alone, overlapping, too large, never whole, too many.
send(ip4(good, flags=0x2000, ident=1))
send(ip4(good, flags=0x1fff, ident=2))
send(ip4(b'\x11' * 8, flags=0x2000, ident=3))
send(ip4(good[:16], flags=0x2000, ident=4))
send(ip4(good[8:], flags=0x0001, ident=4))
send(ip4(b'\x22' * 1400, flags=0x3fff, ident=5))
send(ip4(b'\x33' * 7, flags=0x2000, ident=6))
for i in range(200):
    send(ip4(b'\x44' * 8, 17, flags=0x2001, ident=100 + i))
send(ip6(struct.pack('!BBHI', 6, 0, 1, 1) + good[:8], 44), 6)
send(ip6(struct.pack('!BBHI', 6, 0, 0xfff8, 2) + good, 44), 6)
send(ip6(struct.pack('!BBHI', 6, 0, 0, 3) + tcp(SYN, sport=6200, src=ME6, dst=YOU6), 44), 6)
send(ip6(b'\x06\0', 44), 6)
# Other options and extension headers of IP.
send(ip4(tcp(SYN, sport=6300), options=b'\x83\x07\x04\xc0\x00\x02\x01\x00'))
send(ip4(tcp(SYN, sport=6301), options=b'\x44\x00\x00\x00'))
segment = tcp(SYN, sport=6400, src=ME6, dst=YOU6)
for first in [0, 43, 60]:
    send(ip6(b'\x06\0\x01\x04\0\0\0\0' + segment, first), 6)
    send(ip6(b'\x06\xff\x01\x04\0\0\0\0' + segment, first), 6)
    send(ip6(b'\x3c\0\x01\x04\0\0\0\0' * 100 + segment, first), 6)
send(ip6(b'', 59), 6)
for proto in [0, 2, 41, 47, 50, 132, 255]:
    send(ip4(b'\0' * 20, proto))
    send(ip6(b'\0' * 20, proto), 6)
# Noise, the same every time.
noise = random.Random(1)
for i in range(2000):
    packet = bytearray(noise.randbytes(noise.randrange(1, 200)))
    if i % 4 == 1:
        packet[0] = 0x45
    elif i % 4 == 2:
        packet = bytearray(ip4(bytes(packet), noise.choice([1, 6, 17])))
    elif i % 4 == 3:
        packet = bytearray(ip4(tcp(noise.randrange(256), sport=7000 + i, options=noise.randbytes(20))))
    send(bytes(packet), 6 if packet[0] >> 4 == 6 else 4)
print(count, 'packets sent')
