import Foundation
import Glibc
import Mail
import NIOCore
import NIOPosix
import Synchronization

@testable import Wire

/// A conversation of lines: answers each line with itself, counts how it ended, and starts TLS at "TLS". LINGER ends it
/// while its client may still be sending; STAY makes it deaf to draining, and LATER also owe an answer for a while.
final class EchoConversation: Conversation {
    let tls: ServerTLS?
    let record: Record
    private var stays = false

    init(tls: ServerTLS? = nil, record: Record = Record()) {
        self.tls = tls
        self.record = record
    }

    final class Record: Sendable {
        let events = Mutex<[String]>([])
        func note(_ event: String) { events.withLock { $0.append(event) } }
        var all: [String] { events.withLock { $0 } }

        func waits(for event: String) async throws {
            for _ in 0..<6000 {
                if all.contains(event) { return }
                try await Task.sleep(for: .milliseconds(10))
            }
            throw WaitTooLong(event: event)
        }

        struct WaitTooLong: Error { let event: String }
    }

    func opened(_ connection: Connection) {
        record.note("opened \(connection.peer.address) tls=\(connection.isTLS)")
        connection.write(Array("hello\r\n".utf8))
        connection.flush()
    }

    func received(_ connection: Connection) {
        while let line = connection.unread.readLine() {
            connection.madeProgress()
            if line == "TLS", let tls { return connection.startTLS(tls) }
            if line == "QUIT" { return connection.close() }
            if line == "LINGER" { return linger(connection) }
            if line == "STAY" || line == "LATER" { return stay(connection, owesAnswer: line == "LATER") }
            connection.write(Array("\(line)\r\n".utf8))
        }
        connection.flush()
        connection.consume(0)
        if connection.inputEnded { connection.close() }
        connection.wantsBytes = connection.isWritable
    }

    private func linger(_ connection: Connection) {
        connection.write(Array("last words\r\n".utf8))
        connection.closeLingering()
    }

    private func stay(_ connection: Connection, owesAnswer: Bool) {
        stays = true
        connection.write(Array((owesAnswer ? "wait\r\n" : "stay\r\n").utf8))
        connection.flush()
        guard owesAnswer else { return }
        connection.owesAnswer = true
        connection.after(.seconds(3)) {
            connection.write(Array("answer\r\n".utf8))
            connection.close()
        }
    }

    func writable(_ connection: Connection) { received(connection) }
    func tlsStarted(_ connection: Connection) {
        record.note("tls")
        connection.write(Array("secure\r\n".utf8))
        connection.flush()
    }
    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout) {
        record.note("timedOut \(timeout)")
        connection.write(Array("bye\r\n".utf8))
        connection.close()
    }
    func draining(_ connection: Connection) {
        record.note("draining")
        if !stays { connection.close() }
    }
    func closed(_ reason: ConnectionEnd) {
        if case .failed(let why) = reason { record.note("failed \(why)") }
        record.note("closed")
    }
}

extension ByteBuffer {
    /// Takes one line without its CRLF, if there is a whole one.
    mutating func readLine() -> String? {
        guard let length = readableBytesView.firstIndex(of: UInt8(ascii: "\n")).map({ $0 - readerIndex + 1 }),
            let line = readString(length: length)
        else { return nil }
        return String(line.dropLast(1).unicodeScalars.filter { $0 != "\r" }.map(Character.init))
    }
}

/// A client of plain blocking sockets, which wait on threads of their own: it shares no code with what it tests.
final class SocketClient: Sendable {
    private let descriptor: Int32
    private static let threads: NIOThreadPool = {
        let pool = NIOThreadPool(numberOfThreads: 64)
        pool.start()
        return pool
    }()

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let result = withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw SocketError(code: errno) }
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    struct SocketError: Error { let code: Int32 }

    deinit { close(descriptor) }

    func send(_ text: String) async throws { try await send(bytes: Array(text.utf8)) }

    func send(bytes: [UInt8]) async throws {
        try await Self.threads.runIfActive { [descriptor] in
            _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        }
    }

    /// Connects, sends one text after the other and reads until `end` has come, from a thread that waits for nothing else:
    /// where the machine is busy, what the pool of tasks begins comes late.
    static func converse(
        port: Int, says texts: [String], every pause: Duration, until end: String
    ) async throws -> String {
        try await withCheckedThrowingContinuation { done in
            Thread.detachNewThread {
                done.resume(
                    with: Result {
                        let client = try SocketClient(port: port)
                        for (number, text) in texts.enumerated() {
                            if number > 0 { usleep(UInt32(pause / .microseconds(1))) }
                            let bytes = Array(text.utf8)
                            _ = Glibc.send(client.descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
                        }
                        return String(decoding: try client.readBlocking(until: Array(end.utf8)), as: UTF8.self)
                    })
            }
        }
    }

    /// Sends pieces until none is taken for a second; how many octets were.
    func sendUntilBlocked(_ piece: @escaping @Sendable (_ number: Int) -> [UInt8]) async throws -> Int {
        try await Self.threads.runIfActive { [descriptor] in
            var limit = timeval(tv_sec: 1, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            var sent = 0
            for start in stride(from: 0, to: 16 << 20, by: 4096) {
                let bytes = (start..<start + 4096).flatMap { piece($0) }
                let count = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
                sent += max(0, count)
                if count < bytes.count { break }
            }
            return sent
        }
    }

    func endInput() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Reads until `text` has come or the peer has closed; the whole of what came.
    /// - Throws: `SocketError` if nothing comes for a minute.
    func read(until text: String? = nil) async throws -> String {
        String(decoding: try await readBytes(until: text.map { Array($0.utf8) }), as: UTF8.self)
    }

    func readBytes(until end: [UInt8]? = nil) async throws -> [UInt8] {
        try await Self.threads.runIfActive { try self.readBlocking(until: end) }
    }

    private func readBlocking(until end: [UInt8]?) throws -> [UInt8] {
        var all: [UInt8] = []
        var bytes = [UInt8](repeating: 0, count: 4096)
        // Bytes, not characters: to Swift CRLF is one character, in which there is no LF.
        while end.map({ !all.suffix($0.count).elementsEqual($0) }) ?? true {
            let count = recv(descriptor, &bytes, bytes.count, 0)
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EAGAIN { throw SocketError(code: errno) }
            guard count > 0 else { break }
            all += bytes[..<count]
        }
        return all
    }
}
