"""Requests at a fixed rate, whatever becomes of those before: no coordinated omission.

A closed loop of clients waits for a slow server and so leaves out just the requests that would have been slow. Here each
request has its moment, and its latency counts from that moment, also when it could only be sent later.
"""
import asyncio
import time


class Connection(asyncio.Protocol):
    """One kept connection with one request at a time."""

    def __init__(self):
        self.buffer, self.answered, self.transport = b"", None, None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.buffer += data
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        if not end:
            return
        lines = head.lower().split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        if len(body) >= length:
            self.buffer = b""
            self.answered.set_result(lines[0].split()[1] == b"200")

    def connection_lost(self, _):
        if self.answered and not self.answered.done():
            self.answered.set_result(False)


async def measure(address, port, request, rate, seconds):
    """Sorted latencies in ms, and how many requests were not answered by a 200."""
    loop, idle, failed, latencies = asyncio.get_running_loop(), [], 0, []

    async def ask(due):
        nonlocal failed
        connection = idle.pop() if idle else (await loop.create_connection(Connection, address, port))[1]
        connection.answered = loop.create_future()
        connection.transport.write(request)
        good = await connection.answered
        latencies.append(1000 * (time.perf_counter() - due))
        failed += not good
        if good:
            idle.append(connection)

    begin = time.perf_counter() + 0.1
    tasks = []
    for number in range(int(rate * seconds)):
        due = begin + number / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.ensure_future(ask(due)))
    await asyncio.gather(*tasks)
    for connection in idle:
        connection.transport.close()
    return sorted(latencies), failed


def quantile(values, share):
    return values[min(len(values) - 1, int(len(values) * share))]
