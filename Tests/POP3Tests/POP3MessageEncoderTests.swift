import POP3
import SeededRandom
import Testing

@Suite struct POP3MessageEncoderTests {
    private func encode(
        _ message: [UInt8], topLines: Int? = nil, piece: Int = 1 << 20
    ) -> [UInt8] {
        var encoder = POP3MessageEncoder(topLines: topLines)
        var encoded: [UInt8] = []
        for start in stride(from: 0, to: message.count, by: piece) {
            let input = Array(message[start..<min(message.count, start + piece)])
            encoded += [UInt8](
                unsafeUninitializedCapacity: POP3MessageEncoder.maximumOutputBytes(forInput: input.count)
            ) { room, count in
                count = input.withUnsafeBytes { encoder.encode($0, into: UnsafeMutableRawBufferPointer(room)) }
            }
        }
        return encoded
            + [UInt8](unsafeUninitializedCapacity: POP3MessageEncoder.finishBytesMax) { room, count in
                count = encoder.finish(into: UnsafeMutableRawBufferPointer(room))
            }
    }

    private func encode(_ message: String, topLines: Int? = nil) -> String {
        String(decoding: encode(Array(message.utf8), topLines: topLines), as: UTF8.self)
    }

    @Test("LF on disk becomes CRLF, and CRLF on disk stays")
    func lineEnds() {
        #expect(encode("a\nb\r\nc\n") == "a\r\nb\r\nc\r\n.\r\n")
        #expect(encode("\n\r\n\n") == "\r\n\r\n\r\n.\r\n")
        #expect(encode("a\rb\n") == "a\rb\r\n.\r\n")
    }

    @Test("RFC 1939 §3: a line that starts with the termination octet gets another")
    func dots() {
        #expect(encode(".\n..\n.a\nb.\n") == "..\r\n...\r\n..a\r\nb.\r\n.\r\n")
        #expect(encode(".\r\n") == "..\r\n.\r\n")
        #expect(encode(".") == "..\r\n.\r\n")
    }

    @Test("a last line without its end gets one, and an empty message none")
    func lastLine() {
        #expect(encode("a") == "a\r\n.\r\n")
        #expect(encode("a\r") == "a\r\r\n.\r\n")
        #expect(encode("") == ".\r\n")
    }

    @Test("RFC 1939 §7: TOP sends the header, the empty line and n lines of the body")
    func top() {
        let message = "A: 1\nB: 2\n\none\n\n.three\nfour"
        #expect(encode(message, topLines: 0) == "A: 1\r\nB: 2\r\n\r\n.\r\n")
        #expect(encode(message, topLines: 1) == "A: 1\r\nB: 2\r\n\r\none\r\n.\r\n")
        #expect(encode(message, topLines: 3) == "A: 1\r\nB: 2\r\n\r\none\r\n\r\n..three\r\n.\r\n")
        #expect(encode(message, topLines: 4) == encode(message))
        #expect(encode(message, topLines: Int.max) == encode(message))
        #expect(encode("A: 1\r\n\r\nx\r\n", topLines: 0) == "A: 1\r\n\r\n.\r\n")
        #expect(encode("no header end", topLines: 0) == "no header end\r\n.\r\n")
        #expect(encode("\nbody\n", topLines: 0) == "\r\n.\r\n")
    }

    @Test("TOP says when it has enough")
    func satisfied() {
        var encoder = POP3MessageEncoder(topLines: 1)
        var room = [UInt8](repeating: 0, count: 100)
        func feed(_ text: String) -> Int {
            Array(text.utf8).withUnsafeBytes { input in room.withUnsafeMutableBytes { encoder.encode(input, into: $0) }
            }
        }
        #expect(feed("A: 1\n\nb") == 9)
        #expect(!encoder.isSatisfied)
        #expect(feed("\nrest\n") == 2)
        #expect(encoder.isSatisfied)
        #expect(feed("more\n") == 0)
    }

    @Test("any message in any pieces is encoded as one byte at a time says, and comes back from a client")
    func randomPieces() {
        var random = SplitMix(seed: 20_261_122)
        let alphabet = Array("..\n\n\r\rab ".utf8)
        for _ in 0..<4000 {
            let message = (0..<Int.random(in: 0...60, using: &random)).map { _ in
                alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
            }
            let topLines = Bool.random(using: &random) ? nil : Int.random(in: 0...4, using: &random)
            let piece = Int.random(in: 1...9, using: &random)
            let encoded = encode(message, topLines: topLines, piece: piece)
            #expect(
                encoded == naive(message, topLines: topLines), "\(message) \(String(describing: topLines)) \(piece)")
            if topLines == nil { #expect(received(encoded, piece: piece) == withCRLF(message)) }
        }
    }

    private func withCRLF(_ message: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        for byte in message {
            if byte == 10, output.last != 13 { output.append(13) }
            output.append(byte)
        }
        return message.isEmpty || message.last == 10 ? output : output + [13, 10]
    }

    private func naive(_ message: [UInt8], topLines: Int?) -> [UInt8] {
        var output: [UInt8] = []
        var line: [UInt8] = []
        var bodyLines: Int?
        for byte in withCRLF(message) {
            line.append(byte)
            guard line.suffix(2) == [13, 10] else { continue }
            if let count = bodyLines, let topLines {
                if count == topLines { break }
                bodyLines = count + 1
            }
            output += (line[0] == 46 ? [46] : []) + line
            if line.count == 2, bodyLines == nil { bodyLines = 0 }
            line = []
        }
        return output + [46, 13, 10]
    }

    private func received(_ response: [UInt8], piece: Int) -> [UInt8] {
        var client = POP3TestClient([.retr(1)])
        client.feed(Array("+OK hello\r\n+OK 5 octets\r\n".utf8) + response, piece: piece)
        #expect(client.events.last == .end(.retr(1), octets: client.text.count))
        return client.text
    }
}
