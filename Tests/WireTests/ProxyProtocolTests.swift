import Testing

@testable import Wire

@Suite(.timeLimit(.minutes(5))) struct ProxyProtocolTests {
    private func decode(_ bytes: [UInt8], payloadBytesMax: Int = 536) -> ProxyProtocolDecoder.Result {
        bytes.withUnsafeBytes { ProxyProtocolDecoder(payloadBytesMax: payloadBytesMax).decode($0) }
    }

    private func decode(_ line: String) -> ProxyProtocolDecoder.Result { decode(Array(line.utf8)) }

    private func binary(_ command: UInt8, _ family: UInt8, _ payload: [UInt8]) -> [UInt8] {
        let length = [UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
        return [13, 10, 13, 10, 0, 13, 10, 0x51, 0x55, 0x49, 0x54, 10, command, family] + length + payload
    }

    @Test("version 1, section 2.1: TCP4 and TCP6 lines name the client")
    func lines() {
        let four = "PROXY TCP4 192.0.2.1 198.51.100.2 65535 25\r\n"
        #expect(
            decode(four + "EHLO x\r\n")
                == .header(consumed: four.utf8.count, source: .init(address: "192.0.2.1", port: 65535), local: false))
        let six = "PROXY TCP6 2001:DB8:0:0::0001 ::1 0 110\r\n"
        #expect(
            decode(six)
                == .header(consumed: six.utf8.count, source: .init(address: "2001:db8::1", port: 0), local: false))
    }

    @Test("version 1: after UNKNOWN everything up to the CRLF is ignored")
    func unknown() {
        #expect(decode("PROXY UNKNOWN\r\n") == .header(consumed: 15, source: nil, local: false))
        #expect(decode("PROXY UNKNOWN ffff:: x 1\r\n") == .header(consumed: 26, source: nil, local: false))
    }

    @Test(
        "version 1: anything else is no header",
        arguments: [
            "EHLO x\r\n", "PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n", "PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n",
            "PROXY TCP4 192.0.2.256 198.51.100.2 1 2\r\n", "PROXY TCP4 192.0.2.01 198.51.100.2 1 2\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n", "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n", "PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n", "PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n",
            "PROXY TCP6 1::2::3 ::1 1 2\r\n", "PROXY TCP6 :::1 ::1 1 2\r\n", "PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2\r\n",
            "PROXY TCP6 1:2:3:4:5:6:7 ::1 1 2\r\n", "PROXY TCP6 12345::1 ::1 1 2\r\n", "PROXY TCP6 g::1 ::1 1 2\r\n",
            "PROXY TCP6 1:2:3:4:5:6:7::8 ::1 1 2\r\n", "PROXY TCP6 1.2.3.4::1 ::1 1 2\r\n", "PROXY UNKNOWN\u{1}\r\n",
            "PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n", "proxy TCP4 192.0.2.1 198.51.100.2 1 2\r\n", "PROXY\r\n",
            "PROXY \r\n", "\n", "PROXY TCP6 ::1%eth0 ::1 1 2\r\n",
        ])
    func malformedLines(line: String) {
        guard case .invalid = decode(line) else { return #expect(Bool(false), "\(decode(line))") }
    }

    @Test("version 1: a line has at most 107 bytes")
    func lineLength() {
        #expect(decode("PROXY UNKNOWN " + String(repeating: "x", count: 91) + "\r\n") != .needBytes)
        #expect(decode("PROXY UNKNOWN " + String(repeating: "x", count: 91)) == .needBytes)
        #expect(decode("PROXY UNKNOWN " + String(repeating: "x", count: 93)) == .invalid("PROXY line too long"))
    }

    @Test("version 2, section 2.2: addresses and ports, TLVs skipped")
    func binaryHeaders() {
        let four = binary(0x21, 0x11, [192, 0, 2, 1, 198, 51, 100, 2, 0x12, 0x34, 0, 25] + [4, 0, 2, 0xFF, 0xFF])
        #expect(
            decode(four + [65])
                == .header(consumed: four.count, source: .init(address: "192.0.2.1", port: 0x1234), local: false))
        let client: [UInt8] = [0x20, 1, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [1]
        let six = binary(0x21, 0x21, client + client + [0xFF, 0xFF, 0, 110])
        #expect(
            decode(six) == .header(consumed: 52, source: .init(address: "2001:db8::1", port: 65535), local: false))
    }

    @Test("version 2: LOCAL, UNSPEC and UNIX name no client")
    func noClient() {
        #expect(decode(binary(0x20, 0x00, [])) == .header(consumed: 16, source: nil, local: true))
        #expect(decode(binary(0x20, 0x11, [1])) == .header(consumed: 17, source: nil, local: true))
        #expect(decode(binary(0x21, 0x00, [1, 2])) == .header(consumed: 18, source: nil, local: false))
        let unix = [UInt8](repeating: 65, count: 216)
        #expect(decode(binary(0x21, 0x31, unix)) == .header(consumed: 232, source: nil, local: false))
    }

    @Test("version 2: other versions, commands and families, short addresses and long headers are refused")
    func brokenBinary() {
        let addresses = [UInt8](repeating: 1, count: 12)
        #expect(decode(binary(0x11, 0x11, addresses)) == .invalid("unknown PROXY version"))
        #expect(decode(binary(0x22, 0x11, addresses)) == .invalid("unknown PROXY command"))
        #expect(decode(binary(0x21, 0x41, addresses)) == .invalid("unknown PROXY address family"))
        #expect(decode(binary(0x21, 0x13, addresses)) == .invalid("unknown PROXY address family"))
        #expect(decode(binary(0x21, 0x11, Array(addresses.dropLast()))) == .invalid("PROXY addresses cut short"))
        #expect(decode(binary(0x21, 0x21, addresses)) == .invalid("PROXY addresses cut short"))
        #expect(decode(binary(0x21, 0x31, addresses)) == .invalid("PROXY addresses cut short"))
        let long = binary(0x21, 0x11, [UInt8](repeating: 1, count: 537))
        #expect(decode(Array(long.prefix(16))) == .invalid("PROXY header too long"))
        #expect(decode(long, payloadBytesMax: 4096) != .invalid("PROXY header too long"))
        let longest = binary(0x21, 0x11, [UInt8](repeating: 1, count: 4097))
        #expect(decode(longest, payloadBytesMax: 100_000) == .invalid("PROXY header too long"))
    }

    @Test("a header cut anywhere waits for the rest, and ends at the same place")
    func anyPieces() {
        let headers = [
            Array("PROXY TCP4 192.0.2.1 198.51.100.2 65535 25\r\n".utf8), Array("PROXY UNKNOWN\r\n".utf8),
            binary(0x21, 0x11, [UInt8](repeating: 7, count: 40)), binary(0x20, 0, []),
        ]
        for header in headers {
            for length in 0..<header.count { #expect(decode(Array(header.prefix(length))) == .needBytes) }
            guard case .header(header.count, _, _) = decode(header + [1, 2, 3]) else { return #expect(Bool(false)) }
        }
    }

    @Test(
        "RFC 5952 §4: IPv6 addresses are written one way",
        arguments: [
            ("1:0:0:2:0:0:0:3", "1:0:0:2::3"), ("0:0:0:0:0:0:0:0", "::"), ("::1", "::1"), ("1::", "1::"),
            ("1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"), ("1:0:0:2:3:0:0:4", "1::2:3:0:0:4"), ("ABCD::00ef", "abcd::ef"),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.1"), ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"),
        ])
    func addresses(text: String, canonical: String) throws {
        let address = try #require(IPv6Text.parse(Substring(text)))
        #expect(IPv6Text.format(address) == canonical)
        #expect(IPv6Text.parse(Substring(canonical)) == address)
    }
}
