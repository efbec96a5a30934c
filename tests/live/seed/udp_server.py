import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)   # socket.SOCK_DGRAM 这里表示是UDP
s.bind(('127.0.0.1', 1111))                            #  绑定ip和端口 UDP 不需要 listen
print('正在监听 UDP on 1111...')                        
while True:
    data, addr = s.recvfrom(1024)                      # recefrom 返回收到的data和客户端addr
    print('Received from {}'.format(addr))
    s.sendto(b'Hello',addr)                            # 使用sendto发送信息给客户端 接收2个参数
