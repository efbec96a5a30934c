import socket

s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
s.connect(('127.0.0.1', 1111))             # 客户端使用 connect 连接服务端
print('连接成功')
message = s.recv(1024).decode('utf8')
print(message)
password = input()
s.send(password.encode('utf8'))
message = s.recv(1024).decode('utf8')
print(message)
