import Testing

@testable import Load

@Suite("Messages of the generator")
struct LoadMessageTests {
    private let maker = MessageMaker(run: "run", sender: "load@load.test", sizes: .list([1, 500, 4096, 200_000]))

    @Test("A message is whole, also behind the fields that servers put on top", arguments: 0..<8)
    func whole(number: Int) {
        let message = maker.message(number, recipient: "user@example.test")
        #expect(LoadMessage.inspect(message) == .whole(token: "run-\(number)"))
        let top = Array("Return-Path: <a@b>\r\nReceived: from x\r\n\tby y; date\r\n".utf8)
        #expect(LoadMessage.inspect(top + message) == .whole(token: "run-\(number)"))
    }

    @Test("Any changed, lost or added octet is damage")
    func damage() {
        let message = maker.message(1, recipient: "user@example.test")
        let firstLine = (message.firstIndex(of: UInt8(ascii: "\n")) ?? 0) + 1
        for index in firstLine..<message.count {
            var changed = message
            changed[index] ^= 1
            #expect(LoadMessage.inspect(changed) == .damaged(token: "run-1"))
        }
        #expect(LoadMessage.inspect(message.dropLast()) == .damaged(token: "run-1"))
        #expect(LoadMessage.inspect(message + [10]) == .damaged(token: "run-1"))
    }

    @Test("A message without our field is foreign, whatever its body says")
    func foreign() {
        let body = Array("Subject: x\r\n\r\nX-Hauberk-Load: run-1 0 0\r\n".utf8)
        #expect(LoadMessage.inspect(body) == .foreign)
        #expect(LoadMessage.inspect([]) == .foreign)
        #expect(LoadMessage.inspect([13, 10]) == .foreign)
    }

    @Test("Messages have only CRLF line ends, end with one, and are as large as asked for", arguments: 0..<8)
    func form(number: Int) {
        let message = maker.message(number, recipient: "user@example.test")
        #expect(LoadMessage.withCRLF(message) == message)
        let asked = [1, 500, 4096, 200_000][number % 4]
        if asked >= 500 { #expect((asked - 1...asked).contains(message.count)) }
    }

    @Test("Files get CRLF line ends, whatever they had")
    func lineEnds() {
        let text = LoadMessage.withCRLF(Array("a\nb\r\nc\rd\n\n\r\r\ne".utf8))
        #expect(String(decoding: text, as: UTF8.self) == "a\r\nb\r\nc\r\nd\r\n\r\n\r\n\r\ne\r\n")
    }
}

extension LoadMessage {
    fileprivate static func inspect(_ slice: ArraySlice<UInt8>) -> Finding { inspect(Array(slice)) }
}
