import Mail
import Testing

@testable import Serialmail

@Suite("Line ends and addresses", .timeLimit(.minutes(5)))
struct TextTests {
    private func cut(_ text: String, piece: Int, _ body: ([UInt8]) -> [UInt8]) -> String {
        var output: [UInt8] = []
        var rest = text.bytes[...]
        while !rest.isEmpty {
            output += body(Array(rest.prefix(piece)))
            rest = rest.dropFirst(min(piece, rest.count))
        }
        return String(decoding: output, as: UTF8.self)
    }

    @Test("LF becomes CRLF, and a CRLF stays as it is, however the text is cut", arguments: 1...5)
    func lineEnds(piece: Int) {
        var encoder = LineEndEncoder()
        #expect(cut("a\n\nb\r\nc\rd\r\n\ne", piece: piece) { encoder.encode($0) } == "a\r\n\r\nb\r\nc\rd\r\n\r\ne")
    }

    @Test("CRLF becomes LF, and a CR alone stays, however the text is cut", arguments: 1...5)
    func lineFeeds(piece: Int) {
        var decoder = LineFeeds()
        let text = cut("a\r\n\r\nb\nc\rd\r\r\n\r", piece: piece) { decoder.decode($0) }
        #expect(text + String(decoding: decoder.finish(), as: UTF8.self) == "a\n\nb\nc\rd\r\n\r")
    }

    @Test(
        "A local part has quotes in SMTP where it needs them",
        arguments: [
            ("a@b", "a@b"), ("", ""), ("a b@c", "\"a b\"@c"), ("a@b@c", "\"a@b\"@c"), ("\"a b\"@c", "\"a b\"@c"),
            ("a\"b@c", "\"a\\\"b\"@c"), ("a\\b@c", "\"a\\\\b\"@c"), ("#@[]", "#@[]"), ("x", "x"), ("ü@b", "ü@b"),
        ])
    func quoted(address: String, expected: String) throws {
        let quoted = try #require(WireAddress.quoted(address.bytes))
        #expect(String(decoding: quoted, as: UTF8.self) == expected)
    }

    @Test(
        "What would break out of a path cannot be quoted",
        arguments: ["a\rb@c", "a\u{0}@b", "a@b>", "a@b c", "a b", "a>", "a@b\u{7F}"])
    func unquotable(address: String) { #expect(WireAddress.quoted(address.bytes) == nil) }

    @Test(
        "Quotes come off for QMTP",
        arguments: [
            ("\"a b\"@c", "a b@c"), ("\"a\\\"b\\\\\"@c", "a\"b\\@c"), ("a@b", "a@b"), ("\"a\"b\"@c", "\"a\"b\"@c"),
        ])
    func unquoted(address: String, expected: String) {
        #expect(String(decoding: WireAddress.unquoted(address.bytes), as: UTF8.self) == expected)
    }

    @Test(
        "What a client tells of a peer is taken apart for the bounce",
        arguments: [
            ("192.0.2.7 said: 550 5.1.1 no such person", "192.0.2.7", Reason(550, "5.1.1", "no such person")),
            ("192.0.2.7 said: 554 no such person", "192.0.2.7", Reason(554, "5.0.0", "no such person")),
            ("550 5.1.1 no", nil, Reason(550, "5.1.1", "no")),
            ("450 4.1.1 later", nil, Reason(550, "5.0.0", "later")),
            ("sorry said: the (#5.1.1)", "sorry", Reason(550, "5.0.0", "the (#5.1.1)")),
            ("unable to read file", nil, Reason(550, "5.0.0", "unable to read file")),
            ("", nil, Reason(550, "5.0.0", "")),
        ] as [(String, String?, Reason)])
    func said(line: String, host: String?, reason: Reason) {
        let said = SaidText(line)
        #expect(said.host == host && said.reason(isRefusal: true) == reason)
    }

    @Test("A refusal's code is not that of a message that became too old")
    func tooOld() {
        #expect(SaidText("450 4.2.1 later").reason(isRefusal: false) == Reason(450, "4.2.1", "later"))
        #expect(SaidText("550 5.1.1 no").reason(isRefusal: false) == Reason(451, "4.0.0", "no"))
    }
}
