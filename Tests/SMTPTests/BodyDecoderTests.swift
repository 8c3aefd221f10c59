import SMTP
import Testing

@Suite("Body decoder")
struct BodyDecoderTests {
    private struct Result: Equatable {
        var text = ""
        var ended = false
        var fault: BodyDecoder.Fault?
        var rest = ""
    }

    @Test("Bytes of a copy are taken as they are, whatever lines they make")
    func bytes() {
        let result = decode(["a\n\r", "\r\n..\r\n.\r\n", "\u{0}\r"], framing: .bytes, lineBytesMax: 4)
        #expect(result == Result(text: "a\n\r\r\n..\r\n.\r\n\u{0}\r", ended: false, fault: nil, rest: ""))
    }

    private func decode(
        _ pieces: [String], framing: BodyDecoder.Framing = .dots, lineBytesMax: Int = 1 << 20
    ) -> Result {
        var decoder = BodyDecoder(framing: framing, lineBytesMax: lineBytesMax)
        var result = Result()
        for piece in pieces {
            var rest = piece.bytes[...]
            while !rest.isEmpty, !result.ended {
                let found = rest.withUnsafeBytes { decoder.decode($0) }
                let start = rest.startIndex
                result.text += Array(rest[(start + found.text.lowerBound)..<(start + found.text.upperBound)]).text
                rest = rest.dropFirst(found.consumed)
                result.ended = found.ended
            }
            if result.ended { result.rest += Array(rest).text }
        }
        if framing != .dots { decoder.endOfChunks() }
        result.fault = decoder.fault
        return result
    }

    @Test("RFC 5321 §4.5.2: the text ends at CRLF.CRLF, and what follows is not touched")
    func end() {
        #expect(decode(["a\r\n.\r\nQUIT\r\n"]) == Result(text: "a\r\n", ended: true, rest: "QUIT\r\n"))
        #expect(decode([".\r\n"]) == Result(text: "", ended: true))
    }

    @Test("RFC 5321 §4.5.2: a dot at the start of a line is taken away, wherever the bytes are cut")
    func stuffing() {
        let wire = "..a\r\n.b\r\nc.\r\n...\r\n.\r\n"
        let wanted = Result(text: ".a\r\nb\r\nc.\r\n..\r\n", ended: true)
        #expect(decode([wire]) == wanted)
        #expect(decode(wire.map(String.init)) == wanted)
        for cut in 0...wire.utf8.count {
            let bytes = wire.bytes
            #expect(decode([Array(bytes[..<cut]).text, Array(bytes[cut...]).text]) == wanted)
        }
    }

    @Test("A piece without dots at line starts is one run, as long as the piece")
    func longestRun() {
        var decoder = BodyDecoder(framing: .dots, lineBytesMax: 1000)
        let bytes = "one\r\ntwo.\r\nthree\r\nfour".bytes
        let found = bytes.withUnsafeBytes { decoder.decode($0) }
        #expect(found.text == 0..<bytes.count && found.consumed == bytes.count && !found.ended)
    }

    @Test(
        "CVE-2023-51764: no other line end ends the text, and each is a fault",
        arguments: ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\r\r\n", "\n", "\r"])
    func smuggling(_ end: String) {
        let result = decode(["a" + end + "b\r\n.\r\n"])
        #expect(result.fault == .bareLineEnd)
        #expect(result.ended && result.rest.isEmpty)
        #expect(decode(("a" + end + "b\r\n.\r\n").map(String.init)).fault == .bareLineEnd)
    }

    @Test("RFC 3030 §2: chunks are taken as they are, and a CR at the end of all is a fault")
    func chunks() {
        #expect(decode([".\r\n..\r", "\nx"], framing: .chunks) == Result(text: ".\r\n..\r\nx"))
        #expect(decode(["x\r"], framing: .chunks).fault == .bareLineEnd)
    }

    @Test("RFC 5321 §4.5.3.1.6: a line of just the bound is taken, one octet more is a fault")
    func lineLength() {
        let line = String(repeating: "x", count: 998)
        #expect(decode([".", line, "\r\n.\r\n"], lineBytesMax: 1000).fault == nil)
        #expect(decode([line, "x\r\n.\r\n"], lineBytesMax: 1000).fault == .lineTooLong)
        #expect(decode([line, "x\r\n.\r\n"], lineBytesMax: 1000).ended)
    }

    @Test("What is told at a glance is told as byte by byte", arguments: [BodyDecoder.Framing.dots, .chunks])
    func glances(framing: BodyDecoder.Framing) {
        var random = UInt64(1)
        func next(_ bound: Int) -> Int {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(random >> 33) % bound
        }
        let oddities = ["\r", "\n", "\r\r\n", "\n\r", "\r\n.", "\r\n..", "\r\n.\r\n", "\r\n.\n", "\r\n\r\n", "\0"]
        for _ in 0..<3000 {
            var text = ""
            let odd = next(3) == 0
            while text.utf8.count < 400 {
                text += String(repeating: "x", count: next(90))
                text += odd && next(6) == 0 ? oddities[next(oddities.count)] : "\r\n"
            }
            let most = [30, 85, 150, 1 << 20][next(4)]
            let whole = decode([text], framing: framing, lineBytesMax: most)
            let single = decode(text.bytes.map { [$0].text }, framing: framing, lineBytesMax: most)
            #expect(whole.fault == single.fault, "\(text.debugDescription)")
            #expect(whole.ended == single.ended && whole.rest == single.rest, "\(text.debugDescription)")
            if whole.fault == nil { #expect(whole.text == single.text, "\(text.debugDescription)") }
        }
    }
}
