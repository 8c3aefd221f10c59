/// Compares what was answered with what is in the mailboxes.
///
/// What got 250 must be there once, whole. What was refused for good or never sent must not be there; what was deferred
/// or had no answer may be there once.
package struct LedgerCheck: Sendable {
    package struct Key: Hashable, Sendable {
        package let token: String
        /// The address, which is also the name to log in with.
        package let recipient: String

        package init(token: String, recipient: String) {
            self.token = token
            self.recipient = recipient
        }
    }

    private var outcomes: [Key: Ledger.Outcome] = [:]
    private var copies: [Key: Int] = [:]
    package private(set) var readBack = 0
    package private(set) var damaged: [Key] = []
    private var foreign: [Key] = []

    package init() {}

    /// Takes the ledger's text. A line that is none is told by its number.
    package mutating func read(ledger: String) throws(LoadError) {
        for (number, line) in ledger.split(separator: "\n").enumerated() {
            let words = line.split(separator: " ")
            guard words.count == 3, let outcome = Ledger.Outcome(words[2]) else {
                throw LoadError("line \(number + 1) of the ledger is none: \(line)")
            }
            outcomes[Key(token: String(words[0]), recipient: String(words[1]))] = outcome
        }
    }

    package mutating func found(_ finding: LoadMessage.Finding, in mailbox: String) {
        readBack += 1
        switch finding {
        case .whole(let token): copies[Key(token: token, recipient: mailbox), default: 0] += 1
        case .damaged(let token):
            let key = Key(token: token, recipient: mailbox)
            copies[key, default: 0] += 1
            damaged.append(key)
        case .foreign: foreign.append(Key(token: "(no token)", recipient: mailbox))
        }
    }

    package var acknowledged: Int { outcomes.values.count { $0 == .replied(250) } }

    package var missing: [Key] {
        outcomes.filter { $0.value == .replied(250) && copies[$0.key] == nil }.map(\.key)
    }

    package var duplicated: [Key] { copies.filter { $0.value > 1 }.map(\.key) }

    package var unexpected: [Key] {
        foreign
            + copies.keys.filter { key in
                switch outcomes[key] {
                case .replied(let code): code >= 500
                case .unknown: false
                case .unsent, nil: true
                }
            }
    }

    /// Whether every promise was kept.
    package var isGood: Bool { missing.isEmpty && duplicated.isEmpty && damaged.isEmpty && unexpected.isEmpty }
}

extension LedgerCheck {
    /// What the check comes to.
    package struct Figures: Sendable, Encodable, Equatable {
        package let acknowledged, readBack, missing, duplicated, damaged, unexpected: Int
    }

    package var figures: Figures {
        Figures(
            acknowledged: acknowledged, readBack: readBack, missing: missing.count, duplicated: duplicated.count,
            damaged: damaged.count, unexpected: unexpected.count)
    }

    /// The figures in a line, and the first messages of each kind of trouble.
    package var text: String {
        let figures = figures
        var lines = [
            "acknowledged \(figures.acknowledged), read back \(figures.readBack), missing \(figures.missing), "
                + "duplicated \(figures.duplicated), damaged \(figures.damaged), unexpected \(figures.unexpected)"
        ]
        let troubles = [
            ("missing", missing), ("duplicated", duplicated), ("damaged", damaged), ("unexpected", unexpected),
        ]
        for (name, keys) in troubles {
            for key in keys.prefix(10) { lines.append("\(name): \(key.token) for \(key.recipient)") }
        }
        return lines.joined(separator: "\n")
    }
}
