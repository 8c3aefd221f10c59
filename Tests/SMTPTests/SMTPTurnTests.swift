import SMTP
import Testing

/// ETRN and ATRN beyond their dialogues (RFC 1985, RFC 2645).
@Suite("SMTP server: ETRN and ATRN")
struct SMTPTurnTests {
    private func server() -> TestedServer {
        let server = TestedServer(.submission) {
            $0.offersETRN = true
            $0.offersATRN = true
        }
        server.receive("EHLO c\r\n")
        server.receive("AUTH PLAIN AGEAYg==\r\n")
        server.output = ""
        return server
    }

    @Test("RFC 2033: a service of LMTP has no queues to start, and turns no connection", arguments: [true, false])
    func onlySMTP(_ isCluster: Bool) {
        let settings = SMTPServerSettings(
            hostname: "mx.example.test", service: isCluster ? .cluster : .lmtp, offersETRN: true, offersATRN: true)
        #expect(!settings.offersETRN && !settings.offersATRN)
        let mx = SMTPServerSettings(hostname: "mx.example.test", service: .mx, offersETRN: true, offersATRN: true)
        #expect(mx.offersETRN && mx.offersATRN)
    }

    @Test("RFC 1035 §2.3.4: labels of 63 octets and names of 255 are nodes, longer ones are not")
    func lengths() {
        let label = String(repeating: "a", count: 63)
        let longest = [label, label, label, label].joined(separator: ".")
        let tested = server()
        for (name, isNode) in [(longest, true), (longest + "a", false), (label + "a", false), (longest + ".b", false)] {
            tested.receive("ETRN \(name)\r\n")
            #expect(tested.output.hasPrefix(isNode ? "250 " : "501 "), "\(name)")
            tested.output = ""
        }
        tested.receive("ETRN #\(String(repeating: "q", count: 256))\r\n")
        #expect(tested.output.hasPrefix("501 "))
    }

    @Test("Every byte in a node's name gets one reply, and no other name than the one that was given")
    func everyByte() {
        for byte in UInt8.min...UInt8.max where byte != 10 && byte != 13 {
            for verb in ["ETRN ", "ETRN #", "ATRN "] {
                let tested = server()
                tested.receive(bytes: "\(verb)a".bytes + [byte] + "b".bytes + "\r\n".bytes)
                #expect(tested.output.split(separator: "\r\n").count == 1, "\(verb)\(byte): \(tested.output)")
                let isName = byte == UInt8(ascii: ".") || byte == UInt8(ascii: "-") || byte.isAlphanumeric
                let isList = verb == "ATRN " && byte == UInt8(ascii: ",")
                let isQueue = verb == "ETRN #" && (0x21...0x7E).contains(byte)
                let isTaken = tested.output.hasPrefix("250 ")
                #expect(isTaken == (isName || isList || isQueue), "\(verb)\(byte): \(tested.output)")
            }
        }
    }

    @Test("RFC 2645 §5.2.1: once the connection is turned the session reads nothing more of it")
    func turned() {
        let tested = server()
        tested.receive("ATRN\r\n")
        #expect(tested.hasTurned && tested.output == "250 2.0.0 now reversing the connection\r\n")
        tested.receive("220 c\r\nMAIL FROM:<a@b.c>\r\n")
        #expect(tested.unreadCount == 26 && tested.envelopes.isEmpty)
    }
}

extension UInt8 {
    fileprivate var isAlphanumeric: Bool {
        (0x30...0x39).contains(self) || (0x41...0x5A).contains(self) || (0x61...0x7A).contains(self)
    }
}
