import Testing

@testable import Load

@Suite("Ledger")
struct LedgerCheckTests {
    private func check(_ ledger: String, found: [(LoadMessage.Finding, String)]) throws -> LedgerCheck.Figures {
        var check = LedgerCheck()
        try check.read(ledger: ledger)
        for (finding, mailbox) in found { check.found(finding, in: mailbox) }
        #expect(check.isGood == check.text.split(separator: "\n").dropFirst().isEmpty)
        return check.figures
    }

    @Test("Acknowledged and there once: good")
    func good() throws {
        let figures = try check(
            "r-1 a@x 250\nr-1 b@x 250\n", found: [(.whole(token: "r-1"), "a@x"), (.whole(token: "r-1"), "b@x")])
        #expect(
            figures
                == .init(acknowledged: 2, readBack: 2, missing: 0, duplicated: 0, damaged: 0, unexpected: 0))
    }

    @Test("Acknowledged and not in that very mailbox: missing there, unexpected where it is")
    func wrongMailbox() throws {
        let figures = try check("r-1 a@x 250\n", found: [(.whole(token: "r-1"), "b@x")])
        #expect(figures.missing == 1)
        #expect(figures.unexpected == 1)
    }

    @Test("Deferred or unanswered: once or not at all; twice is a duplicate", arguments: ["451", "unknown"])
    func uncertain(outcome: String) throws {
        let ledger = "r-1 a@x \(outcome)\n"
        let copy = (LoadMessage.Finding.whole(token: "r-1"), "a@x")
        for copies in 0...1 {
            let figures = try check(ledger, found: Array(repeating: copy, count: copies))
            #expect(figures.missing + figures.duplicated + figures.damaged + figures.unexpected == 0)
        }
        #expect(try check(ledger, found: [copy, copy]).duplicated == 1)
    }

    @Test("Refused for good, never sent, or not ours: unexpected", arguments: ["550", "unsent"])
    func unexpected(outcome: String) throws {
        #expect(try check("r-1 a@x \(outcome)\n", found: [(.whole(token: "r-1"), "a@x")]).unexpected == 1)
        #expect(try check("", found: [(.foreign, "a@x"), (.whole(token: "r-2"), "a@x")]).unexpected == 2)
    }

    @Test("Damaged is not missing")
    func damaged() throws {
        let figures = try check("r-1 a@x 250\n", found: [(.damaged(token: "r-1"), "a@x")])
        #expect(figures.damaged == 1)
        #expect(figures.missing == 0)
    }

    @Test("A line that is none is told", arguments: ["r-1 a@x", "r-1 a@x 99", "r-1 a@x 250 more", "r-1 a@x maybe"])
    func badLine(line: String) {
        #expect(throws: LoadError.self) {
            var check = LedgerCheck()
            try check.read(ledger: "r-0 a@x 250\n\(line)\n")
        }
    }
}
