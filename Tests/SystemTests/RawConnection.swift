import Foundation

/// A TCP connection that sends whatever a test wants and reads lines: for what no proper client would do. A peer that
/// neither answers nor closes is an error.
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
            // The connection is whole, so its end closes the file.
            throw Failed(description: "connect to \(port): errno \(errno)")
        }
    }

    deinit { close(file) }

    /// Sends all bytes. False if the peer has closed.
    @discardableResult
    func send(_ bytes: [UInt8]) async throws -> Bool {
        try await onQueue { try $0.sendNow(bytes) }
    }

    @discardableResult
    func send(_ text: String) async throws -> Bool { try await send(Array(text.utf8)) }

    /// The next line without its line end; nil when the peer has closed.
    func line() async throws -> String? {
        try await onQueue { connection in
            while true {
                if let end = connection.unread.firstIndex(of: UInt8(ascii: "\n")) {
                    let line = connection.unread[..<end]
                    connection.unread.removeSubrange(...end)
                    return String(decoding: line.last == UInt8(ascii: "\r") ? line.dropLast() : line, as: UTF8.self)
                }
                guard try connection.readMore() else { return nil }
            }
        }
    }

    func byte() async throws -> UInt8 {
        try await onQueue { connection in
            while connection.unread.isEmpty {
                guard try connection.readMore() else { throw Failed(description: "closed instead of another byte") }
            }
            return connection.unread.removeFirst()
        }
    }

    /// The last line of the next SMTP reply; nil when the peer has closed.
    func reply() async throws -> String? {
        while let line = try await line() {
            if line.utf8.count < 4 || line.utf8.dropFirst(3).first != UInt8(ascii: "-") { return line }
        }
        return nil
    }

    /// Sends one command and reads its reply.
    func command(_ text: String) async throws -> String? {
        try await send(text + "\r\n")
        return try await reply()
    }

    /// The lines up to the one that is a single dot, with their CRLF and without the dots that transparency added
    /// (RFC 1939 §3).
    func multiline() async throws -> [UInt8] {
        let bytes = try await onQueue { try $0.takeMultiline() }
        guard let bytes else { throw Failed(description: "closed before the end of a multi-line answer") }
        return bytes
    }

    private func takeMultiline() throws -> [UInt8]? {
        let end = Array("\r\n.\r\n".utf8)
        if unread.starts(with: end.dropFirst(2)) {
            unread.removeFirst(3)
            return []
        }
        // Answers end a batch here: nothing is asked ahead of them.
        while !unread.ends(with: end) {
            if unread.elementsEqual(end.dropFirst(2)) {
                unread = []
                return []
            }
            guard try readMore() else { return nil }
        }
        let text = unread.dropLast(3)
        unread = []
        return text.withUnsafeBytes(withoutTransparency)
    }

    private func withoutTransparency(_ text: UnsafeRawBufferPointer) -> [UInt8] {
        var plain: [UInt8] = []
        plain.reserveCapacity(text.count)
        var atLineStart = true
        for byte in text {
            if !(atLineStart && byte == UInt8(ascii: ".")) { plain.append(byte) }
            atLineStart = byte == UInt8(ascii: "\n")
        }
        return plain
    }

    /// Everything up to the peer's end.
    func rest() async throws -> String {
        try await onQueue { connection in
            while try connection.readMore() {}
            defer { connection.unread = [] }
            return String(decoding: connection.unread, as: UTF8.self)
        }
    }

    private func onQueue<Value: Sendable>(
        _ body: @escaping @Sendable (RawConnection) throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { done in
            queue.async { done.resume(with: Result { try body(self) }) }
        }
    }

    private func sendNow(_ bytes: [UInt8]) throws -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(file, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EAGAIN { throw Failed(description: "the peer takes nothing, and does not close") }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// False if the peer has closed.
    private func readMore() throws -> Bool {
        var bytes = [UInt8](repeating: 0, count: 65536)
        let count = recv(file, &bytes, bytes.count, 0)
        if count < 0, errno == EAGAIN { throw Failed(description: "the peer says nothing, and does not close") }
        guard count > 0 else { return false }
        unread += bytes[..<count]
        return true
    }
}

extension [UInt8] {
    fileprivate func ends(with end: [UInt8]) -> Bool { suffix(end.count).elementsEqual(end) }
}
