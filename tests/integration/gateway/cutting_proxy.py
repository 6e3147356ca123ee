#!/usr/bin/env python3
"""An engine that dies in mid-stream: passes requests to a real one and breaks the connection after some chunks.

cutting_proxy.py PORT ENGINE_PORT FILE, where FILE holds the number of chunks, read for every request.
"""
import http.client
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Cutter(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def pass_on(self):
        size = int(self.headers.get("Content-Length") or 0)
        engine = http.client.HTTPConnection("127.0.0.1", int(sys.argv[2]), timeout=120)
        engine.request(self.command, self.path, self.rfile.read(size), {"content-type": "application/json"})
        answer = engine.getresponse()
        self.send_response(answer.status)
        self.send_header("content-type", answer.getheader("content-type", "text/plain"))
        if not answer.getheader("content-type", "").startswith("text/event-stream"):
            body = answer.read()
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        with open(sys.argv[3], encoding="utf-8") as order:
            left = int(order.read())
        for line in answer:
            if line.startswith(b"data: "):
                if left == 0:
                    self.wfile.flush()
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    engine.close()
                    return
                left -= 1
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    do_GET = do_POST = pass_on


class Server(ThreadingHTTPServer):
    daemon_threads = True


Server(("0.0.0.0", int(sys.argv[1])), Cutter).serve_forever()
