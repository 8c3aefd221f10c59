import SMTP
import Testing

@Suite("Dot stuffing")
struct DotStufferTests {
    private func encode(_ pieces: [String]) -> String {
        var stuffer = DotStuffer()
        var output: [UInt8] = []
        for piece in pieces { piece.bytes.withUnsafeBytes { stuffer.encode($0, into: &output) } }
        stuffer.finish(into: &output)
        return output.text
    }

    @Test("RFC 5321 §4.5.2: a dot at the start of a line is doubled, wherever the bytes are cut")
    func stuffing() {
        let message = ".\r\na.b\r\n..\r\n\r\n.x\r\n"
        let wanted = "..\r\na.b\r\n...\r\n\r\n..x\r\n.\r\n"
        #expect(encode([message]) == wanted)
        #expect(encode(message.unicodeScalars.map { String($0) }) == wanted)
    }

    @Test("RFC 5321 §4.1.1.4: the end is a line of its own")
    func end() {
        #expect(encode([]) == ".\r\n")
        #expect(encode(["a"]) == "a\r\n.\r\n")
        #expect(encode(["a\r\n"]) == "a\r\n.\r\n")
    }

    @Test("What was stuffed is unstuffed to the same message")
    func roundTrip() {
        let message = "..\r\n.\r\n\r\na\r\n..b\r\n"
        var decoder = BodyDecoder(framing: .dots, lineBytesMax: 1000)
        var rest = encode([message]).bytes[...]
        var text = ""
        while !rest.isEmpty {
            let found = rest.withUnsafeBytes { decoder.decode($0) }
            let start = rest.startIndex
            text += Array(rest[(start + found.text.lowerBound)..<(start + found.text.upperBound)]).text
            rest = rest.dropFirst(found.consumed)
        }
        #expect(text == message)
    }
}
