# Says whether an interface leaves checksums and segmentation to whoever is behind it (linux/ethtool.h).
import fcntl, socket, struct, sys, array

SIOCETHTOOL, GET_TX_CHECKSUM, GET_TSO = 0x8946, 0x16, 0x1e
any_socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def ask(command):
    value = array.array('I', [command, 0])
    request = struct.pack('16sP', sys.argv[1].encode(), value.buffer_info()[0])
    fcntl.ioctl(any_socket, SIOCETHTOOL, request)
    return value[1]


print('checksums', ask(GET_TX_CHECKSUM), 'segmentation', ask(GET_TSO))
