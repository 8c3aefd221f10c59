import Mail
import Testing

@testable import POP3

@Suite struct POP3CommandTests {
    private func parse(_ line: String) -> POP3Command {
        Array(line.utf8).withUnsafeBytes { POP3Command($0) }
    }

    @Test("RFC 1939 §3: keywords do not depend on case")
    func keywords() {
        #expect(parse("sTaT") == .stat)
        #expect(parse("quit") == .quit)
        #expect(parse("Retr 3") == .retr(3))
        #expect(parse("") == .unknown)
        #expect(parse("STATS") == .unknown)
        #expect(parse("STATISTICALLY") == .unknown)
    }

    @Test("RFC 1939 §7: a password may hold spaces, and keeps all of them")
    func password() {
        #expect(parse("PASS  two  words ") == .pass(" two  words "))
        #expect(parse("PASS ") == .malformed("PASS password"))
        #expect(parse("PASS") == .malformed("PASS password"))
        #expect(parse("PASS a\tb") == .malformed("PASS password"))
    }

    @Test("a number too large for the machine becomes the greatest, and never traps")
    func numbers() {
        #expect(parse("RETR 007") == .retr(7))
        #expect(parse("RETR 9223372036854775807") == .retr(.max))
        #expect(parse("RETR 9223372036854775808") == .retr(.max))
        #expect(parse("TOP 1 \(String(repeating: "9", count: 200))") == .top(1, lines: .max))
        #expect(parse("RETR -1") == .malformed("RETR msg"))
        #expect(parse("RETR +1") == .malformed("RETR msg"))
        #expect(parse("RETR 1 2") == .malformed("RETR msg"))
        #expect(parse("LIST") == .list(nil))
        #expect(parse("LIST  2 ") == .list(2))
        #expect(parse("TOP 1") == .malformed("TOP msg n"))
    }

    @Test("arguments of a command that takes none are refused, spaces behind it are not")
    func noArguments() {
        #expect(parse("STAT ") == .stat)
        #expect(parse("STAT 1") == .malformed("the command alone"))
        #expect(parse("UTF8 x") == .malformed("the command alone"))
    }

    @Test("RFC 1939 §7: APOP takes a name and 32 hexadecimal digits")
    func apop() {
        let digest: [UInt8] = [
            0xC4, 0xC9, 0x33, 0x4B, 0xAC, 0x56, 0x0E, 0xCC, 0x97, 0x9E, 0x58, 0x00, 0x1B, 0x3E, 0x22, 0xFB,
        ]
        #expect(parse("APOP mrose c4c9334bac560ecc979e58001b3e22fb") == .apop(user: "mrose", digest: digest))
        #expect(parse("APOP mrose c4c9334bac560ecc979e58001b3e22f") == .malformed("APOP name digest"))
        #expect(parse("APOP mrose c4c9334bac560ecc979e58001b3e22fg") == .malformed("APOP name digest"))
        #expect(parse("APOP mrose") == .malformed("APOP name digest"))
    }

    @Test("what is not UTF-8 is no name")
    func invalidUTF8() {
        let line = Array("USER a".utf8) + [0xFF]
        #expect(line.withUnsafeBytes { POP3Command($0) } == .malformed("USER name"))
        #expect(parse("USER jürgen") == .user("jürgen"))
    }

    @Test("XSITE takes a site and an order, as the client writes them, whatever the mailbox is called")
    func xsite() throws {
        let odd = try #require(MailboxName("a b+c=d~2@bücher.test"))
        for order in [
            SiteOrder.pause, .resume, .beginSync("17.ab-c_D"), .endSync("17.ab"), .sync(partition: 0, after: nil),
            .sync(partition: 4095, after: odd),
        ] {
            let line = POP3ClientCommand.xsite("west", order).line
            #expect(line.withUnsafeBytes { POP3Command($0) } == .xsite("west", order))
        }
        let syntax = POP3Command.malformed("XSITE site order")
        for line in [
            "XSITE", "XSITE west", "XSITE west GO", "XSITE west pause", "XSITE west PAUSE now", "XSITE west BEGIN",
            "XSITE west BEGIN a/b", "XSITE west END ..", "XSITE west END a b", "XSITE west SYNC", "XSITE west SYNC x",
            "XSITE west SYNC -1", "XSITE west SYNC 1 nobody", "XSITE west SYNC 1 a+zz@b", "XSITE west SYNC 1 a@b c@d",
        ] {
            #expect(parse(line) == syntax, "\(line)")
        }
        #expect(parse("XSITE west SYNC 9223372036854775808") == .xsite("west", .sync(partition: .max, after: nil)))
    }

    @Test("XOPEN takes a mailbox name in xtext, UTF8 and a language, whatever the name holds")
    func xopen() throws {
        for name in ["alice@example.test", "a b+c=d@example.test", "jürgen~2@bücher.test", "\"@\"@x.test"] {
            let mailbox = try #require(MailboxName(name))
            let line = POP3ClientCommand.xopen(mailbox, utf8: true, language: "en").line
            let request = POP3OpenRequest(mailbox: mailbox, utf8: true, language: "en")
            #expect(line.withUnsafeBytes { POP3Command($0) } == .xopen(request))
            var ahead = request
            ahead.takesAhead = true
            let asks = POP3ClientCommand.xopen(mailbox, utf8: true, language: "en", ahead: true).line
            #expect(asks.withUnsafeBytes { POP3Command($0) } == .xopen(ahead))
        }
        let syntax = POP3Command.malformed("XOPEN mailbox [UTF8] [LANG=tag] [LOCAL] [AHEAD]")
        for line in [
            "XOPEN", "XOPEN nobody", "XOPEN a+4@b", "XOPEN a+zz@b", "XOPEN a=@b", "XOPEN a@b X", "XOPEN a@b LANG=",
            "XOPEN a+FF@b", "XOPEN a+00@b",
        ] {
            #expect(parse(line) == syntax, "\(line)")
        }
    }
}
