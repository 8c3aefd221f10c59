import Testing

@testable import Maildirs

/// A message's two forms: LF on disk, CRLF on the wire.
@Suite(.timeLimit(.minutes(5))) struct LineEndsTests {
    private static func decoded(_ pieces: [[UInt8]]) -> (text: String, size: WireSize) {
        var decoder = LineEndDecoder()
        let buffer = BodyBuffer(capacity: 4)
        for piece in pieces { piece.withUnsafeBytes { decoder.append($0, to: buffer) } }
        decoder.finish(buffer)
        return (String(decoding: buffer.bytes, as: UTF8.self), decoder.size)
    }

    @Test(
        "CRLF becomes LF, wherever the pieces are cut",
        arguments: [
            ("Subject: x\r\n\r\nline\r\n", "Subject: x\n\nline\n"),
            ("\r\n\r\n\r\n", "\n\n\n"),
            ("a\rb\r\n", "a\rb\n"),
            ("a\r\r\n", "a\r\r\n"),
            ("a\r\r\r\n\r\r\n\r\n", "a\r\r\r\n\r\r\n\n"),
            ("a\r", "a\r"),
            ("", ""),
        ])
    func cuts(wire: String, disk: String) {
        let bytes = Array(wire.utf8)
        for first in 0...bytes.count {
            for second in first...bytes.count {
                let pieces = [bytes[..<first], bytes[first..<second], bytes[second...]].map { Array($0) }
                let (text, size) = Self.decoded(pieces)
                #expect(text == disk)
                #expect(size.diskOctets == disk.utf8.count)
            }
        }
        #expect(Self.decoded(bytes.map { [$0] }).text == disk)
    }

    @Test("Both sizes of a received message are exact")
    func sizes() {
        let wire = "From: a\r\n\r\n" + String(repeating: "a line\r\n", count: 1000)
        let (text, size) = Self.decoded([Array(wire.utf8)])
        #expect(size.diskOctets == text.utf8.count)
        #expect(size.wireOctets == wire.utf8.count)
    }

    @Test(
        "RFC 1939 §11: octets on disk count as POP3 sends them",
        arguments: [
            ("", 0), ("\n", 2), ("a\n", 3), ("a", 3), ("a\r\n", 3), ("a\r\nb\n", 6), ("a\r", 4), ("\r\n\n", 4),
        ])
    func foreign(disk: String, octets: Int) {
        var whole = WireSize()
        whole.add(Array(disk.utf8))
        #expect(whole.wireOctets == octets)
        var piecewise = WireSize()
        for byte in disk.utf8 { piecewise.add([byte]) }
        #expect(piecewise.wireOctets == octets)
    }

    @Test("A copy of what any tool put there is sent as the original is")
    func copies() {
        func sent(_ disk: [UInt8]) -> [UInt8] {
            var sent: [UInt8] = []
            for byte in disk {
                if byte == 10, sent.last != 13 { sent.append(13) }
                sent.append(byte)
            }
            return sent
        }
        for disk in Self.anything {
            let copy = Array(Self.decoded([sent(disk)]).text.utf8)
            #expect(sent(copy) == sent(disk), "\(disk)")
        }
    }

    /// Eight bytes of three kinds.
    private static let anything: [[UInt8]] = (0..<6561).map { number in
        var rest = number
        return (0..<8).map { _ in
            defer { rest /= 3 }
            return Array("a\r\n".utf8)[rest % 3]
        }
    }

    @Test("Sizes of what is taken in are those of what lies on disk, whatever its line ends", arguments: [1, 2, 3, 7])
    func sizesOfAnything(piece: Int) {
        for wire in Self.anything {
            let pieces = stride(from: 0, to: 8, by: piece).map { Array(wire[$0..<min(8, $0 + piece)]) }
            let (text, size) = Self.decoded(pieces)
            var counted = WireSize()
            counted.add(Array(text.utf8))
            #expect(size.diskOctets == counted.diskOctets && size.wireOctets == counted.wireOctets, "\(wire)")
        }
    }
}
