import socket

s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)    # 第一个参数表明是 ipv4 ，第二个参数表明是 TCP 连接。socket.SOCK_STREAM 是TCP的意思
s.bind(('127.0.0.1', 1111))            # 服务器端要设置绑定的ip和端口
s.listen(5)                            # 调用listen()方法开始监听端口，传入的参数指定同时连接数
print('正在监听...')
while True:
    sock,addr = s.accept()             # accept() 返回 客户端的sock和addr(ip,port)
    sock.send('请输入密码:'.encode('utf8'))   # 使用 send 发送数据， 以字节流发送

    res = sock.recv(1024).decode('utf8')     # 使用 recv 接收数据，以字节流接收

    if res == '123':
        sock.send('进入成功'.encode('utf8'))
    else:
        sock.send('密码错误'.encode('utf8'))

