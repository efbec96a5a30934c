import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.sendto(b'Hello Sever',('127.0.0.1', 1111))
print(s.recv(1024).decode('utf8'))
s.close()                                               
