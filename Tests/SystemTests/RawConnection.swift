import Foundation

/// A TCP connection that sends whatever a test wants and reads lines: for what no proper client would do.
final class RawConnection: @unchecked Sendable {
    private let file: Int32
    private var unread: [UInt8] = []
    private let queue = DispatchQueue(label: "raw connection")

    struct Failed: Error, CustomStringConvertible {
        let description: String
    }

    /// - Parameter secondsMax: how long a read or a write may wait: only so that a test that fails does not hang.
    init(port: Int, secondsMax: Int = 60) throws {
        file = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var limit = timeval(tv_sec: secondsMax, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(file, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
        setsockopt(file, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
        let file = file
        guard withLoopback(port, { connect(file, $0, $1) }) == 0 else {
            close(file)
            throw Failed(description: "connect to \(port): errno \(errno)")
        }
    }

    deinit { close(file) }

    /// Sends all bytes. False if the peer has closed.
    @discardableResult
    func send(_ bytes: [UInt8]) async -> Bool {
        await onQueue { $0.sendNow(bytes) }
    }

    @discardableResult
    func send(_ text: String) async -> Bool { await send(Array(text.utf8)) }

    /// The next line without its line end; nil when the peer has closed.
    func line() async -> String? {
        await onQueue { connection in
            while true {
                if let end = connection.unread.firstIndex(of: UInt8(ascii: "\n")) {
                    let line = connection.unread[..<end]
                    connection.unread.removeSubrange(...end)
                    return String(decoding: line.last == UInt8(ascii: "\r") ? line.dropLast() : line, as: UTF8.self)
                }
                guard connection.readMore() else { return nil }
            }
        }
    }

    /// The last line of the next SMTP reply; nil when the peer has closed.
    func reply() async -> String? {
        while let line = await line() {
            if line.utf8.count < 4 || line.utf8.dropFirst(3).first != UInt8(ascii: "-") { return line }
        }
        return nil
    }

    /// Sends one command and reads its reply.
    func command(_ text: String) async -> String? {
        await send(text + "\r\n")
        return await reply()
    }

    /// Everything up to the peer's end.
    func rest() async -> String {
        await onQueue { connection in
            while connection.readMore() {}
            defer { connection.unread = [] }
            return String(decoding: connection.unread, as: UTF8.self)
        }
    }

    private func onQueue<Result: Sendable>(_ body: @escaping @Sendable (RawConnection) -> Result) async -> Result {
        await withCheckedContinuation { done in
            queue.async { done.resume(returning: body(self)) }
        }
    }

    private func sendNow(_ bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(file, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    private func readMore() -> Bool {
        var bytes = [UInt8](repeating: 0, count: 65536)
        let count = recv(file, &bytes, bytes.count, 0)
        guard count > 0 else { return false }
        unread += bytes[..<count]
        return true
    }
}
