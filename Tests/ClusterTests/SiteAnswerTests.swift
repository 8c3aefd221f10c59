import Mail
import Testing

@testable import Cluster

@Suite struct SiteAnswerTests {
    private func answer(_ lacks: Int...) -> Verdict { SiteAnswer(lacks: lacks.map { $0 == 1 }).verdict }

    private static let away = Verdict.deferred(Reason(451, "4.4.1", "away"))

    // MARK: one answer

    @Test("An answer crosses as a verdict: all there is accepted, what is lacking is told by place", arguments: 1...260)
    func crossing(count: Int) throws {
        for pattern in [{ (_: Int) in false }, { $0 == count - 1 }, { $0 % 3 == 0 }, { _ in true }] {
            let answer = SiteAnswer(lacks: (0..<count).map(pattern))
            #expect(SiteAnswer(answer.verdict, count: count) == answer)
            #expect(answer.verdict.isAccepted == answer.isAll)
            if count > 4 { #expect(answer.isAll || SiteAnswer(answer.verdict, count: count - 4) == nil) }
        }
    }

    @Test("Lacking things are told in digits of four, the first one lowest")
    func digits() {
        #expect(answer(0, 1, 0, 0, 1) == .refused(Reason(550, "5.2.0", "lacking 21")))
        #expect(answer(1) == .refused(Reason(550, "5.2.0", "lacking 1")))
        #expect(answer(0) == .accepted)
    }

    @Test(
        "What is no answer is none",
        arguments: [
            (550, "5.1.1", "lacking 1"), (551, "5.2.0", "lacking 1"), (550, "5.2.0", "lacking"), (550, "5.2.0", ""),
            (550, "5.2.0", "lacking 1 2"), (550, "5.2.0", "lacking 11"), (550, "5.2.0", "lacking g"),
            (550, "5.2.0", "lacking 8"), (550, "5.2.0", "lacking ١"), (550, "5.2.0", "has 1"),
        ])
    func noAnswer(code: Int, status: String, text: String) {
        #expect(SiteAnswer(.refused(Reason(code, status, text)), count: 3) == nil)
        #expect(SiteAnswer(.deferred(Reason(450, "4.2.0", "lacking 1")), count: 3) == nil)
    }

    @Test("Names cross in lines; what is no list of names is refused")
    func names() throws {
        let names = try (1...SiteQuestion.namesMax).map {
            try #require(MessageIdentity(String(repeating: "n", count: 67) + "\(100 + $0 % 900)"))
        }
        #expect(SiteQuestion.names(SiteQuestion.text(names)) == names)
        #expect(SiteQuestion.text(names).count <= SiteQuestion.bytesMax)
        #expect(SiteQuestion.names(SiteQuestion.text(names + [try #require(MessageIdentity("x"))])) == nil)
        for text in ["", "\r\n", "a b\r\n", "a\r\n,\r\n", ".a\r\n", "a\u{0}", "\u{e4}\r\n", "a/b"] {
            #expect(SiteQuestion.names(Array(text.utf8)) == nil, "\(text)")
        }
        #expect(SiteQuestion.names(Array("a\r\nb".utf8))?.map(\.text) == ["a", "b"])
        #expect(SiteQuestion.names([0x61, 0xFF]) == nil)
        #expect(SiteQuestion.names(Array(repeating: 0x61, count: 1 << 20)) == nil)
    }

    // MARK: the owners' answers

    @Test("What W owners have is there, as soon as that is known, whatever the others say")
    func quorum() {
        var answers = SiteAnswers(owners: 3, quorum: 2, count: 2)
        #expect(answers.verdict == nil)
        answers.answered(answer(0, 0))
        #expect(answers.verdict == nil)
        answers.answered(answer(0, 1))
        #expect(answers.verdict == nil)
        answers.answered(answer(1, 0))
        #expect(answers.verdict == .accepted)
        answers.answered(Self.away)
        #expect(answers.verdict == .accepted)
        var early = SiteAnswers(owners: 3, quorum: 2, count: 1)
        for _ in 0..<2 { early.answered(.accepted) }
        #expect(early.verdict == .accepted)
    }

    @Test("What fewer have is lacking, once all owners have answered")
    func lacking() {
        var answers = SiteAnswers(owners: 3, quorum: 2, count: 3)
        answers.answered(answer(0, 0, 1))
        answers.answered(answer(0, 1, 1))
        #expect(answers.verdict == nil)
        answers.answered(answer(1, 1, 0))
        #expect(answers.verdict == answer(0, 1, 1))
    }

    @Test("An owner that does not answer makes no difference where the others suffice, one way or the other")
    func awayWithoutNeed() {
        var there = SiteAnswers(owners: 3, quorum: 2, count: 1)
        for verdict in [Self.away, .accepted, .accepted] { there.answered(verdict) }
        #expect(there.verdict == .accepted)
        var lacking = SiteAnswers(owners: 3, quorum: 2, count: 1)
        for verdict in [answer(1), Self.away, answer(1)] { lacking.answered(verdict) }
        #expect(lacking.verdict == answer(1))
    }

    @Test("Where it depends on an owner that does not answer, or answers nonsense, nothing is told")
    func doubt() {
        for nonsense in [Self.away, .refused(Reason(554, "5.6.0", "no list")), answer(0, 1)] {
            var answers = SiteAnswers(owners: 2, quorum: 2, count: 1)
            answers.answered(.accepted)
            answers.answered(nonsense)
            guard case .deferred(let reason) = answers.verdict else {
                Issue.record("\(String(describing: answers.verdict))")
                continue
            }
            #expect(nonsense != Self.away || reason.text == "away")
        }
        var all = SiteAnswers(owners: 2, quorum: 1, count: 1)
        for _ in 0..<2 { all.answered(Self.away) }
        #expect(all.verdict == Self.away)
    }

    @Test("One owner is a quorum of its own")
    func single() {
        var answers = SiteAnswers(owners: 1, quorum: 1, count: 2)
        answers.answered(answer(0, 1))
        #expect(answers.verdict == answer(0, 1))
        answers.answered(.accepted)
        #expect(answers.verdict == answer(0, 1))
    }
}
