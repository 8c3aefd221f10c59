package import Mail

/// What another site asks of a mailbox before it sends anything: its digest, or names of messages and tombstones.
package enum SiteQuestion {
    /// The most names that are asked about at once: the answer has a bit for each, and is one line.
    package static let namesMax = 256
    /// Octets of a question's text: each name has at most 70, and its line's end.
    package static let bytesMax = namesMax * 72

    /// One name a line, as it goes over the wire.
    package static func text(_ names: some Sequence<MessageIdentity>) -> [UInt8] {
        Array(names.map { "\($0.text)\r\n" }.joined().utf8)
    }

    /// Nil unless every line is a name, and there are some, but not too many.
    package static func names(_ text: [UInt8]) -> [MessageIdentity]? {
        guard text.count <= bytesMax else { return nil }
        let lines = text.split(whereSeparator: { $0 == UInt8(ascii: "\r") || $0 == UInt8(ascii: "\n") })
        let names = lines.compactMap { String(validating: $0, as: UTF8.self).flatMap { MessageIdentity($0) } }
        return (1...namesMax).contains(names.count) && names.count == lines.count ? names : nil
    }
}

/// What is lacking of what was asked about, in the order of the question. A digest is one thing, and lacking if it differs.
package struct SiteAnswer: Hashable, Sendable {
    package let lacks: [Bool]

    package init(lacks: [Bool]) { self.lacks = lacks }

    package var isAll: Bool { !lacks.contains(true) }

    /// As it goes over the wire: accepted if nothing is lacking.
    package var verdict: Verdict {
        isAll ? .accepted : .refused(Reason(Self.code, Self.status, "\(Self.word) \(Self.digits(lacks))"))
    }

    /// Nil for a verdict that is no answer, or none to a question about so many things.
    package init?(_ verdict: Verdict, count: Int) {
        switch verdict {
        case .accepted:
            lacks = Array(repeating: false, count: count)
        case .refused(let reason) where reason.code == Self.code && reason.status == Self.status:
            let words = reason.text.split(separator: " ")
            guard words.count == 2, words[0] == Self.word, let lacks = Self.flags(words[1], count: count) else {
                return nil
            }
            self.lacks = lacks
        case .refused, .deferred:
            return nil
        }
    }

    private static let code = 550
    /// RFC 3463 §3.3: the mailbox's status, of a kind that has no number.
    private static let status = "5.2.0"
    private static let word = "lacking"

    /// Four of them a digit, the first one its lowest bit.
    private static func digits(_ flags: [Bool]) -> String {
        stride(from: 0, to: flags.count, by: 4).map { start in
            let four = flags[start..<min(start + 4, flags.count)].enumerated()
            return String(four.reduce(0) { $0 | ($1.element ? 1 << $1.offset : 0) }, radix: 16)
        }.joined()
    }

    private static func flags(_ digits: Substring, count: Int) -> [Bool]? {
        guard digits.utf8.count == (count + 3) / 4 else { return nil }
        var flags: [Bool] = []
        for digit in digits {
            guard digit.isASCII, let value = digit.hexDigitValue else { return nil }
            flags += (0..<4).map { value >> $0 & 1 == 1 }
        }
        return flags[count...].contains(true) ? nil : Array(flags[..<count])
    }
}

/// Gathers what the owners of a mailbox answer to another site's question, which is told once: what W of them have is there.
///
/// What fewer have is lacking, whatever the others would say: a copy that comes in vain is harmless. But where it depends on
/// an owner that does not answer, nothing is told: while a node is away all of its mailboxes would come in vain, and would be
/// kept for it by others.
package struct SiteAnswers: Sendable {
    private let quorum: Int
    private var missing: Int
    private var having: [Int]
    private var silence: Reason?
    private var silent = 0

    /// - Parameters:
    ///   - owners: how many are asked.
    ///   - quorum: W, 1 to that.
    ///   - count: how many things the question is about.
    package init(owners: Int, quorum: Int, count: Int) {
        precondition((1...owners).contains(quorum), "a quorum of \(quorum) of \(owners)")
        self.quorum = quorum
        missing = owners
        having = Array(repeating: 0, count: count)
    }

    /// One more owner has answered, or will not answer.
    package mutating func answered(_ verdict: Verdict) {
        guard missing > 0 else { return }
        missing -= 1
        if let answer = SiteAnswer(verdict, count: having.count) {
            for (place, lacks) in answer.lacks.enumerated() where !lacks { having[place] += 1 }
            return
        }
        silent += 1
        switch verdict {
        case .deferred(let reason): silence = silence ?? reason
        case .accepted, .refused: silence = silence ?? .unexpected
        }
    }

    /// Nil until it is known.
    package var verdict: Verdict? {
        let answer = SiteAnswer(lacks: having.map { $0 < quorum })
        if answer.isAll { return .accepted }
        if missing > 0 { return nil }
        let isDoubtful = having.contains { $0 < quorum && $0 + silent >= quorum }
        return isDoubtful ? .deferred(silence ?? .unexpected) : answer.verdict
    }
}
