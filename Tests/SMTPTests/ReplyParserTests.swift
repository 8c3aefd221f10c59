import Mail
import Testing

@testable import SMTP

@Suite("Reply parser")
struct ReplyParserTests {
    private func parse(_ text: String, piece: Int = .max) -> [ReplyParser.Next] {
        var parser = ReplyParser()
        var found: [ReplyParser.Next] = []
        var unread: [UInt8] = []
        var rest = text.bytes[...]
        while !rest.isEmpty {
            unread += rest.prefix(piece)
            rest = rest.dropFirst(piece)
            var at = 0
            while true {
                let next = unread.withUnsafeBytes { parser.next($0, &at) }
                if next == .needBytes { break }
                found.append(next)
                if case .garbage = next { return found }
            }
            unread.removeFirst(at)
        }
        return found
    }

    @Test("RFC 5321 §4.2.1: replies of one and of several lines, wherever they are cut", arguments: [1, 3, 100])
    func lines(piece: Int) {
        let found = parse("220 hello\r\n250-a\r\n250-b\r\n250 c\r\n354\r\n", piece: piece)
        #expect(
            found == [
                .reply(ParsedReply(code: 220, text: "hello".bytes)),
                .reply(ParsedReply(code: 250, text: "a\nb\nc".bytes)),
                .reply(ParsedReply(code: 354, text: [])),
            ])
    }

    @Test(
        "RFC 5321 §4.2: what is no reply",
        arguments: [
            "\n", "\r\n", "25\r\n", "250 ok\n", "abc\r\n", "100 x\r\n", "600 x\r\n", "250_x\r\n", "250-a\r\n251 b\r\n",
            String(repeating: "x", count: 5000),
        ])
    func garbage(_ text: String) {
        guard case .garbage = parse(text).last else {
            Issue.record("taken: \(text)")
            return
        }
    }

    @Test("A reply without end is bounded")
    func endless() {
        let found = parse(String(repeating: "250-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n", count: 2000))
        #expect(found == [.garbage("reply is too long")])
    }

    @Test("RFC 2034: the enhanced code is taken from the text, and made up where there is none")
    func reasons() {
        func verdict(_ code: Int, _ text: String) -> Verdict { ParsedReply(code: code, text: text.bytes).verdict }
        #expect(verdict(250, "2.0.0 ok") == .accepted)
        #expect(verdict(550, "5.1.1 no user") == .refused(Reason(550, "5.1.1", "no user")))
        #expect(verdict(451, "4.3.0") == .deferred(Reason(451, "4.3.0", "")))
        #expect(verdict(552, "too big") == .refused(Reason(552, "5.0.0", "too big")))
        #expect(verdict(550, "4.1.1 odd") == .refused(Reason(550, "5.0.0", "4.1.1 odd")))
        #expect(verdict(334, "x") == .deferred(Reason(451, "4.0.0", "unexpected reply 334")))
    }
}
